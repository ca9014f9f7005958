"""Variants of LoRA that end as one, or nearly: trained differently, served on the same path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import MethodError
from tailora_adapters.methods.lora import LoraSettings, lora_config
from tailora_adapters.methods.method import ALL_LINEAR, Method, check_rank, targets

__all__ = ["ADALORA", "DORA", "QLORA", "RSLORA", "VERA"]

QLORA = Method(
    name="qlora",
    title="QLoRA",
    source="arXiv 2305.14314",
    defaults=LoraSettings(),
    parts=(lora_config,),
    learning_rate=6e-4,
    rates=(3e-4, 6e-4, 1.2e-3),
    floor="continued",
    quantization="nf4",
)
"""LoRA over a base in 4-bit NormalFloat, so that it takes a fraction of the memory in training."""


def _rslora(settings: LoraSettings, shape: Shape, layers: Sequence[int]) -> Any:
    return lora_config(settings, shape, layers, use_rslora=True)


RSLORA = Method(
    name="rslora",
    title="rsLoRA",
    source="arXiv 2312.03732",
    defaults=LoraSettings(rank=16, alpha=16),
    parts=(_rslora,),
    learning_rate=3e-4,
    rates=(1e-4, 3e-4, 6e-4),
)
"""The update is divided by the root of the rank, so that higher ranks learn, too."""


def _dora(settings: LoraSettings, shape: Shape, layers: Sequence[int]) -> Any:
    return lora_config(settings, shape, layers, use_dora=True)


DORA = Method(
    name="dora",
    title="DoRA",
    source="arXiv 2402.09353",
    defaults=LoraSettings(),
    parts=(_dora,),
    learning_rate=6e-4,
    rates=(3e-4, 6e-4, 1.2e-3),
)
"""Direction by LoRA, length of each row by a vector of its own."""


@dataclass(frozen=True, slots=True)
class AdaLoraSettings:
    """Ranks begin at half as much again as they are to have on average in the end, as in the paper's section 4."""

    initial_rank: int = 12
    target_rank: int = 8
    alpha: int = 16
    target_modules: tuple[str, ...] = ALL_LINEAR
    orthogonality: float = 0.1
    """Weight of the regularization that keeps the factors orthogonal; 0.1 to 0.5 in the paper."""
    warmup_share: float = 0.2
    """Share of the steps before ranks are pruned."""
    final_share: float = 0.3
    """Share of the steps after the last was pruned."""
    interval: int = 5
    """Steps between two prunings."""


def _adalora(settings: AdaLoraSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import AdaLoraConfig

    names = targets(settings.target_modules, shape)
    check_rank(settings.initial_rank, names, shape)
    check_rank(settings.target_rank, names, shape)
    return AdaLoraConfig(
        init_r=settings.initial_rank,
        target_r=settings.target_rank,
        lora_alpha=settings.alpha,
        target_modules=names,
        layers_to_transform=list(layers),
        orth_reg_weight=settings.orthogonality,
        deltaT=settings.interval,
        total_step=1_000_000,  # the loop sets the schedule, which knows the steps
        task_type="CAUSAL_LM",
    )


ADALORA = Method(
    name="adalora",
    title="AdaLoRA",
    source="arXiv 2303.10512",
    defaults=AdaLoraSettings(),
    parts=(_adalora,),
    learning_rate=2e-3,
    rates=(1e-3, 2e-3, 4e-3),
    linear=False,
)
"""Spends ranks where they matter most."""


_MOST_SHARED = 1_024


@dataclass(frozen=True, slots=True)
class VeraSettings:
    """As in the paper's experiments with language models, with a smaller rank for CPUs."""

    rank: int = 64
    initial: float = 0.1
    """Of the vector between the shared matrices."""
    target_modules: tuple[str, ...] = ("q_proj", "v_proj", "up_proj", "down_proj")
    seed: int = 0
    """Of the shared matrices."""


def _vera(settings: VeraSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import VeraConfig

    names = targets(settings.target_modules, shape)
    if not 1 <= settings.rank <= _MOST_SHARED:
        raise MethodError(f"the rank is {settings.rank}; 1 to {_MOST_SHARED} are possible")
    return VeraConfig(
        r=settings.rank,
        d_initial=settings.initial,
        projection_prng_key=settings.seed,
        save_projection=True,
        target_modules=names,
        layers_to_transform=list(layers),
        task_type="CAUSAL_LM",
    )


VERA = Method(
    name="vera",
    title="VeRA",
    source="arXiv 2310.11454",
    defaults=VeraSettings(),
    parts=(_vera,),
    learning_rate=1e-2,
    rates=(3e-3, 1e-2, 3e-2),
    quantized=False,
)
"""Random matrices shared by all layers; only vectors are trained."""
