"""Variants of LoRA that end as one, or nearly: trained differently, served on the same path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.methods.lora import LoraSettings, lora_config
from tailora_adapters.methods.method import ALL_LINEAR, MOST_RANK, Method, check_rank, parameter, targets

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
    """Ranks are pruned from the initial to the target rank."""

    initial_rank: int = parameter(12, low=1, high=MOST_RANK)
    """Rank in the beginning; half as much again as the target rank, as in the paper's section 4."""
    target_rank: int = parameter(8, low=1, high=MOST_RANK)
    """Rank in the end, on average over the matrices."""
    alpha: int = parameter(16, low=1, high=1024)
    """The update is multiplied with it over the rank."""
    target_modules: tuple[str, ...] = parameter(ALL_LINEAR, choices=ALL_LINEAR)
    """Which projections are trained; all, as in the paper's section 4."""
    orthogonality: float = parameter(0.1, low=0, high=10)
    """Weight of the regularization that keeps the factors orthogonal; 0.1 to 0.5 in the paper."""
    warmup_share: float = parameter(0.2, low=0, high=1)
    """Share of the steps before ranks are pruned."""
    final_share: float = parameter(0.3, low=0, high=1)
    """Share of the steps after the last was pruned."""
    interval: int = parameter(5, low=1, high=1000)
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


@dataclass(frozen=True, slots=True)
class VeraSettings:
    """Vectors around shared matrices."""

    rank: int = parameter(32, low=1, high=1024)
    """Of the shared matrices; less than in the paper, for CPUs."""
    initial: float = parameter(0.1, low=-10, high=10)
    """Start of the vector between the shared matrices; 0.1 in the paper."""
    target_modules: tuple[str, ...] = parameter(
        ("q_proj", "v_proj", "up_proj", "down_proj"), choices=ALL_LINEAR
    )
    """Which projections are trained."""
    seed: int = parameter(0, low=0, high=2**31 - 1)
    """Of the shared matrices."""


def _vera(settings: VeraSettings, shape: Shape, layers: Sequence[int]) -> Any:
    from peft import VeraConfig

    return VeraConfig(
        r=settings.rank,
        d_initial=settings.initial,
        projection_prng_key=settings.seed,
        save_projection=True,
        target_modules=targets(settings.target_modules, shape),
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
