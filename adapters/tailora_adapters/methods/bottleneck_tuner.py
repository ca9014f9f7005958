"""Bottleneck adapters as a tuner of peft's, which has none: registered under the name ``bottleneck`` when imported.

A small network behind a projection whose output is what a sublayer gives: h + up(gelu(down(h))). Behind attention and
the MLP (Houlsby et al., arXiv 1902.00751), or behind the MLP alone (Pfeiffer et al., arXiv 2005.00247). ``up`` begins
as zero, so a new one changes nothing. Saved and loaded by peft like any other method, after this module was imported.
"""

from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import PeftType, register_peft_method
from torch import Tensor, nn

__all__ = ["BottleneckConfig", "BottleneckModel"]

_NAME = "bottleneck"


def _new_type(name: str) -> PeftType:
    """A member of peft's enumeration, which has no way to register one."""
    if name in PeftType.__members__:
        return PeftType[name]
    member = str.__new__(PeftType, name)
    member._name_, member._value_ = name, name
    PeftType._member_names_.append(name)
    PeftType._member_map_[name] = member
    PeftType._value2member_map_[name] = member
    type.__setattr__(PeftType, name, member)
    return member


_TYPE = _new_type(_NAME.upper())


@dataclass
class BottleneckConfig(PeftConfig):  # type: ignore[misc]
    """Of a set of bottleneck adapters."""

    width: int = field(default=32, metadata={"help": "Of the bottleneck."})
    target_modules: list[str] | set[str] | str | None = field(
        default=None, metadata={"help": "Projections behind which one stands."}
    )
    layers_to_transform: list[int] | None = field(
        default=None, metadata={"help": "Numbers of the layers that have them; all where it is not given."}
    )
    layers_pattern: str | None = None
    exclude_modules: list[str] | str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = _TYPE


class _BottleneckLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A projection with adapters behind it."""

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    other_param_names = ()
    active_adapters: Any
    get_base_layer: Any
    set_adapter: Any
    _move_adapter_to_device_of_base_layer: Any

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig) -> None:
        super().__init__()
        self.base_layer: Any = base_layer
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: BottleneckConfig) -> None:
        """Adds an adapter."""
        base: Any = self.get_base_layer()
        hidden: int = base.out_features
        down, up = nn.Linear(hidden, config.width), nn.Linear(config.width, hidden)
        nn.init.normal_(down.weight, std=hidden**-0.5)
        for zero in (down.bias, up.weight, up.bias):
            nn.init.zeros_(zero)
        self.bottleneck_down[adapter_name], self.bottleneck_up[adapter_name] = down, up
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Cannot be done: it is not linear."""
        raise ValueError("bottleneck adapters cannot be merged into a projection: they are not linear")

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(…, in) -> (…, out)."""
        y: Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return y
        for name in self.active_adapters:
            if name in self.bottleneck_down:
                down: Any = self.bottleneck_down[name]
                up: Any = self.bottleneck_up[name]
                h = y.to(down.weight.dtype)
                y = y + up(F.gelu(down(h), approximate="tanh")).to(y.dtype)
        return y


class BottleneckModel(BaseTuner):  # type: ignore[misc]
    """A model with bottleneck adapters."""

    prefix = f"{_NAME}_"
    tuner_layer_cls = _BottleneckLayer

    def _create_and_replace(
        self,
        peft_config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        if isinstance(target, _BottleneckLayer):
            target.update_layer(adapter_name, peft_config)
            return
        if not hasattr(target, "out_features"):
            raise ValueError(f"{current_key} is no projection: a bottleneck adapter cannot stand behind it")
        layer = _BottleneckLayer(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    @staticmethod
    def _prepare_adapter_config(
        peft_config: BottleneckConfig, model_config: dict[str, Any]
    ) -> BottleneckConfig:
        if peft_config.target_modules is None:
            raise ValueError("target_modules is missing")
        return peft_config


register_peft_method(name=_NAME, config_cls=BottleneckConfig, model_cls=BottleneckModel)
