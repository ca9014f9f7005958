"""Two methods at once, each on a part of the model of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.methods.bottlenecks import MOST_WIDTH, BottleneckSettings, bottleneck_config
from tailora_adapters.methods.lora import LoraSettings, lora_config
from tailora_adapters.methods.method import ALL_LINEAR, MOST_RANK, Method, parameter
from tailora_adapters.methods.virtual_tokens import MOST_TOKENS, STARTS, PrefixSettings, prefix_config

__all__ = ["LORA_BOTTLENECK", "LORA_PREFIX"]


@dataclass(frozen=True, slots=True)
class LoraPrefixSettings:
    """LoRA on all projections, and a short prefix."""

    rank: int = parameter(8, low=1, high=MOST_RANK)
    """Of each update, as with `lora`."""
    alpha: int = parameter(16, low=1, high=1024)
    """The update is multiplied with it over the rank; twice the rank."""
    tokens: int = parameter(10, low=1, high=MOST_TOKENS)
    """Tokens ahead; fewer than with `prefix`, as He et al., section 4.6, spend little there."""
    target_modules: tuple[str, ...] = parameter(ALL_LINEAR, choices=ALL_LINEAR)
    """Which projections the LoRA is on."""
    start: str = parameter("activations", choices=STARTS)
    """What the tokens begin as, as with `prefix`."""


def _lora_of_prefix(settings: LoraPrefixSettings, shape: Shape, layers: Sequence[int]) -> Any:
    return lora_config(LoraSettings(settings.rank, settings.alpha, settings.target_modules), shape, layers)


def _prefix_of_lora(settings: LoraPrefixSettings, shape: Shape, layers: Sequence[int]) -> Any:
    return prefix_config(PrefixSettings(settings.tokens, settings.start), shape, layers)


LORA_PREFIX = Method(
    name="lora+prefix",
    title="LoRA and prefix",
    source="arXiv 2110.04366",
    defaults=LoraPrefixSettings(),
    parts=(_lora_of_prefix, _prefix_of_lora),
    learning_rate=6e-4,
    rates=(3e-4, 6e-4, 1.2e-3),
    whole=True,
    linear=False,
)
"""He et al., "Towards a Unified View of Parameter-Efficient Transfer Learning": parts combine."""


@dataclass(frozen=True, slots=True)
class LoraBottleneckSettings:
    """LoRA on the projections that have no adapter behind them."""

    rank: int = parameter(8, low=1, high=MOST_RANK)
    """Of each update, as with `lora`."""
    alpha: int = parameter(16, low=1, high=1024)
    """The update is multiplied with it over the rank; twice the rank."""
    width: int = parameter(32, low=1, high=MOST_WIDTH)
    """Of the small networks, as with `houlsby`."""
    lora_modules: tuple[str, ...] = parameter(
        ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"), choices=ALL_LINEAR
    )
    """Which projections the LoRA is on."""
    bottleneck_modules: tuple[str, ...] = parameter(("o_proj", "down_proj"), choices=ALL_LINEAR)
    """Behind which projections the small networks are."""


def _lora_of_bottleneck(settings: LoraBottleneckSettings, shape: Shape, layers: Sequence[int]) -> Any:
    return lora_config(LoraSettings(settings.rank, settings.alpha, settings.lora_modules), shape, layers)


def _bottleneck_of_lora(settings: LoraBottleneckSettings, shape: Shape, layers: Sequence[int]) -> Any:
    return bottleneck_config(BottleneckSettings(settings.width, settings.bottleneck_modules), shape, layers)


LORA_BOTTLENECK = Method(
    name="lora+adapter",
    title="LoRA and adapters",
    source="arXiv 2110.04366",
    defaults=LoraBottleneckSettings(),
    parts=(_lora_of_bottleneck, _bottleneck_of_lora),
    learning_rate=6e-4,
    rates=(3e-4, 6e-4, 1.2e-3),
)
"""LoRA inside the sublayers, adapters behind them."""
