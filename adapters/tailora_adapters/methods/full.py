"""Full fine-tuning, the baseline that the others are measured against. Its result is a whole model, and not served."""

from dataclasses import dataclass

from tailora_adapters.methods.method import Method

__all__ = ["FULL"]


@dataclass(frozen=True, slots=True)
class FullSettings:
    """Nothing to choose but the learning rate."""


FULL = Method(
    name="full",
    title="full fine-tuning",
    source="",
    defaults=FullSettings(),
    parts=(),
    learning_rate=2e-5,
    rates=(1e-5, 2e-5, 5e-5),
    whole=True,
    linear=False,
    quantized=False,
    served=False,
)
