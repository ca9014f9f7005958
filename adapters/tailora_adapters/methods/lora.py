"""LoRA (Hu et al., arXiv 2106.09685): a low-rank update of each projection. The default: it goes on from the foundation
adapter, which is one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.methods.method import ALL_LINEAR, MOST_RANK, Method, check_rank, parameter, targets

if TYPE_CHECKING:
    from peft import PeftModel
    from torch.nn import Parameter
    from transformers import PreTrainedModel

__all__ = ["LORA", "LoraSettings", "attach", "freeze_below", "lora_config", "resume"]


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Shape of a LoRA. There is no dropout: training computes the layers itself and has none."""

    rank: int = parameter(8, low=1, high=MOST_RANK)
    """Of each update; small ones are enough (Hu et al., section 7.2). A LoRA that goes on from the foundation adapter
    has at least that one's rank."""
    alpha: int = parameter(16, low=1, high=1024)
    """The update is multiplied with it over the rank; twice the rank, as most recipes for small data have it. With
    `rslora`, over the rank's root."""
    target_modules: tuple[str, ...] = parameter(ALL_LINEAR, choices=ALL_LINEAR)
    """Which projections are trained; all (Dettmers et al., arXiv 2305.14314, section 4)."""

    def as_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)


def lora_config(settings: LoraSettings, shape: Shape, layers: Sequence[int], **more: Any) -> Any:
    """A LoRA on these layers; ``more`` makes it one of its variants."""
    from peft import LoraConfig

    names = targets(settings.target_modules, shape)
    check_rank(settings.rank, names, shape)
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=names,
        layers_to_transform=list(layers),
        bias="none",
        task_type="CAUSAL_LM",
        **more,
    )


LORA = Method(
    name="lora",
    title="LoRA",
    source="arXiv 2106.09685",
    defaults=LoraSettings(),
    parts=(lora_config,),
    learning_rate=6e-4,
    rates=(3e-4, 6e-4, 1.2e-3),
    floor="continued",
)


def attach(model: "PreTrainedModel", settings: LoraSettings) -> "PeftModel":
    """A new LoRA on every layer of ``model`` (B is zero: nothing changes until it is trained)."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=list(settings.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def resume(model: "PreTrainedModel", adapter: Path) -> "PeftModel":
    """A trainable copy of the adapter in a folder.

    Raises:
        AdapterCorrupt: the folder does not hold an adapter that fits ``model``.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {adapter} cannot be loaded: {error}") from error


def freeze_below(model: "PeftModel | Mapping[str, Parameter]", first_layer: int) -> None:
    """Only the adapter's parameters from ``first_layer`` upwards are trained."""
    named = model.items() if isinstance(model, Mapping) else model.named_parameters()
    for name, weight in named:
        weight.requires_grad_(".default" in name and _layer_of(name) >= first_layer)


def _layer_of(name: str) -> int:
    """The layer's number in a parameter's name (``….layers.7.mlp…``)."""
    parts = name.split(".")
    return int(parts[parts.index("layers") + 1]) if "layers" in parts else 0
