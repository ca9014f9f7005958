"""Methods that train vectors which the model has already, or multiplies with: IA3 and the weights of norms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.methods.method import ALL_LINEAR, Method, parameter, targets

__all__ = ["IA3", "NORMS"]

_LAYER_NORMS = ("input_layernorm", "post_attention_layernorm")


@dataclass(frozen=True, slots=True)
class Ia3Settings:
    """One vector for each of these projections."""

    target_modules: tuple[str, ...] = parameter(("k_proj", "v_proj", "down_proj"), choices=ALL_LINEAR)
    """What is scaled: keys, values and what enters the MLP's last projection, as in the paper's section 3.3."""


def _ia3(settings: Ia3Settings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import IA3Config

    names = targets(settings.target_modules, shape)
    places = {name.partition(".")[2]: name for name in shape.projections}
    return IA3Config(
        # peft has no choice of layers for it.
        target_modules=[f"layers.{layer}.{places[name]}" for layer in layers for name in names],
        feedforward_modules=[
            f"layers.{layer}.{places[name]}" for layer in layers for name in names if name == "down_proj"
        ],
        task_type="CAUSAL_LM",
    )


IA3 = Method(
    name="ia3",
    title="IA3",
    source="arXiv 2205.05638",
    defaults=Ia3Settings(),
    parts=(_ia3,),
    learning_rate=1e-2,
    rates=(3e-3, 1e-2, 3e-2),
)
"""Activations are scaled by a vector."""


@dataclass(frozen=True, slots=True)
class NormSettings:
    """Which norms are trained."""

    target_modules: tuple[str, ...] = parameter(_LAYER_NORMS, choices=_LAYER_NORMS)
    """Which of each layer's norms; both, as in the paper."""
    last: bool = parameter(True)
    """Whether the model's last norm, too."""


def _norms(settings: NormSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import LNTuningConfig

    names = [f"layers.{layer}.{name}" for layer in layers for name in settings.target_modules]
    return LNTuningConfig(
        target_modules=[*names, *(["model.norm"] if settings.last else [])], task_type="CAUSAL_LM"
    )


NORMS = Method(
    name="norms",
    title="norm tuning",
    source="arXiv 2312.11420",
    defaults=NormSettings(),
    parts=(_norms,),
    learning_rate=3e-3,
    rates=(1e-3, 3e-3, 1e-2),
)
"""Only the weights of norms: the place of BitFit (arXiv 2106.10199) in models that have hardly a bias."""
