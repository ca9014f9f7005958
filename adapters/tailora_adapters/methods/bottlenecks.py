"""Bottleneck adapters: a small network of two layers behind a sublayer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.methods.method import ALL_LINEAR, Method, check_rank, parameter, targets

__all__ = ["HOULSBY", "MOST_WIDTH", "PFEIFFER", "BottleneckSettings", "bottleneck_config"]

MOST_WIDTH = 256


@dataclass(frozen=True, slots=True)
class BottleneckSettings:
    """Behind the attention's and the MLP's last projection, or behind one of them."""

    width: int = parameter(32, low=1, high=MOST_WIDTH)
    """Of the small network; Houlsby et al. found 8 to 256 much alike, Pfeiffer et al. take a sixteenth of the hidden
    size."""
    target_modules: tuple[str, ...] = parameter(("o_proj", "down_proj"), choices=ALL_LINEAR)
    """Behind which projections: the last of attention and of the MLP (Houlsby et al., section 2.1), or of the MLP alone
    (Pfeiffer et al.)."""


def bottleneck_config(settings: BottleneckSettings, shape: Shape, layers: Sequence[int]) -> Any:
    """Bottleneck adapters in these layers."""
    from tailora_adapters.methods.bottleneck_tuner import BottleneckConfig

    names = targets(settings.target_modules, shape)
    check_rank(settings.width, names, shape)
    return BottleneckConfig(
        width=settings.width,
        target_modules=names,
        layers_to_transform=list(layers),
        task_type="CAUSAL_LM",
    )


HOULSBY = Method(
    name="houlsby",
    title="adapters (Houlsby)",
    source="arXiv 1902.00751",
    defaults=BottleneckSettings(),
    parts=(bottleneck_config,),
    learning_rate=1e-3,
    rates=(3e-4, 1e-3, 3e-3),
)
"""Behind attention and behind the MLP."""

PFEIFFER = Method(
    name="pfeiffer",
    title="adapters (Pfeiffer)",
    source="arXiv 2005.00247",
    defaults=BottleneckSettings(width=64, target_modules=("down_proj",)),
    parts=(bottleneck_config,),
    learning_rate=1e-3,
    rates=(3e-4, 1e-3, 3e-3),
)
"""Behind the MLP alone."""
