"""Parameter-efficient fine-tuning methods, one registry.

A method turns a base model into a trainable ``PeftModel`` and says which of its layers stay as they are; ``effects``
says what a trained one does to the model. Knows nothing of data, training or the gate.
"""

from tailora_adapters.errors import MethodError
from tailora_adapters.methods.bottlenecks import HOULSBY, PFEIFFER
from tailora_adapters.methods.full import FULL
from tailora_adapters.methods.hybrids import LORA_BOTTLENECK, LORA_PREFIX
from tailora_adapters.methods.lora import LORA, LoraSettings, attach, freeze_below, resume
from tailora_adapters.methods.lora_variants import ADALORA, DORA, QLORA, RSLORA, VERA
from tailora_adapters.methods.method import Method, Parameter, Settings, parameters_of, settings_of
from tailora_adapters.methods.scaling import IA3, NORMS
from tailora_adapters.methods.virtual_tokens import P_TUNING, P_TUNING_V2, PREFIX, PROMPT

__all__ = [
    "LORA",
    "METHODS",
    "LoraSettings",
    "Method",
    "Parameter",
    "Settings",
    "attach",
    "freeze_below",
    "method_named",
    "parameters_of",
    "resume",
    "settings_of",
]

METHODS = {
    method.name: method
    for method in (
        LORA,
        QLORA,
        RSLORA,
        DORA,
        ADALORA,
        VERA,
        IA3,
        NORMS,
        HOULSBY,
        PFEIFFER,
        PREFIX,
        P_TUNING_V2,
        PROMPT,
        P_TUNING,
        LORA_PREFIX,
        LORA_BOTTLENECK,
        FULL,
    )
}


def method_named(name: str) -> Method:
    """The method of that name.

    Raises:
        MethodError: there is none; says which there are.
    """
    try:
        return METHODS[name]
    except KeyError:
        raise MethodError(f"there is no method '{name}'; there are: {', '.join(METHODS)}") from None
