"""Parameter-efficient fine-tuning methods, one registry.

A method turns a base model into a trainable ``PeftModel`` and says which of its layers stay as they are.
Knows nothing of data, training or the gate.
"""

from tailora_adapters.methods.lora import LoraSettings, attach, freeze_below, resume

__all__ = ["LoraSettings", "attach", "freeze_below", "resume"]
