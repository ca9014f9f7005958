"""LoRA (Hu et al., arXiv 2106.09685) by peft: a new one, or a copy of an adapter to train on.

``first_layer`` keeps the layers below it as the parent has them (the base, or the foundation adapter): their
activations are then the same for every step, and can be computed once and kept.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import PreTrainedModel

from tailora_adapters.errors import AdapterCorrupt

__all__ = ["LoraSettings", "attach", "freeze_below", "resume"]

_ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Shape of a new LoRA."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    target_modules: tuple[str, ...] = _ALL_LINEAR

    def as_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return asdict(self)


def attach(model: PreTrainedModel, settings: LoraSettings) -> PeftModel:
    """A new LoRA on every layer of ``model`` (B is zero: nothing changes until it is trained)."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules),
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def resume(model: PreTrainedModel, adapter: Path) -> PeftModel:
    """A trainable copy of the adapter in a folder.

    Raises:
        AdapterCorrupt: the folder does not hold an adapter that fits ``model``.
    """
    try:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {adapter} cannot be loaded: {error}") from error


def freeze_below(model: PeftModel, first_layer: int) -> None:
    """Only the LoRA parameters from ``first_layer`` upwards are trained."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".default." in name and _layer_of(name) >= first_layer)


def _layer_of(name: str) -> int:
    """The layer's number in a parameter's name (``….layers.7.mlp…``)."""
    parts = name.split(".")
    return int(parts[parts.index("layers") + 1]) if "layers" in parts else 0
