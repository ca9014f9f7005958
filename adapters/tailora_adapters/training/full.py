"""A whole model to fine-tune, the baseline that methods are compared with. It is measured and never stored or served.

Trained are the weights of all layers and norms; the embedding and the output matrix stay, which most published recipes
for small data leave alone, too. Knows nothing of data.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import psutil

from tailora_adapters import foundation
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import TrainingFailed
from tailora_adapters.methods.attached import Attached
from tailora_adapters.methods.full import FULL
from tailora_adapters.training.adapters import load_for_training, merged
from tailora_adapters.training.batches import collate
from tailora_adapters.training.loop import Anchors
from tailora_adapters.training.split import SplitDecoder

__all__ = ["WholeModel"]

_BYTES = 16
"""Of each trained weight: itself, its gradient and AdamW's two moments, in float32."""


class WholeModel:
    """One model in memory, the foundation adapter in its weights where one ships.

    Raises:
        ModelMissing, ModelCorrupt, ModelError: the base model.
        TrainingFailed: it does not fit into memory.
    """

    def __init__(self, model: str) -> None:
        loaded = load_for_training(model, FULL)
        self.tokenizer: CodeTokenizer = loaded.tokenizer
        floor = foundation.find(loaded.record.name)
        base: Any = merged(loaded.model, floor.path) if floor else loaded.model
        for parameter in base.parameters():
            parameter.requires_grad_(False)
        trained = list(base.model.layers.parameters()) + list(base.model.norm.parameters())
        needed = _BYTES * sum(parameter.numel() for parameter in trained)
        available = psutil.virtual_memory().available
        if needed > available:
            raise TrainingFailed(
                f"full fine-tuning needs {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} are free"
            )
        base.float()
        for parameter in trained:
            parameter.requires_grad_(True)
        self.trainable = sum(parameter.numel() for parameter in trained)
        """Number of weights."""
        self.model = Attached(base)
        self.decoder = SplitDecoder(self.model, 0)

    def anchors(self, sequences: Sequence[TokenSequence], indices: Sequence[int]) -> Anchors:
        """What the model says of these now: once it is trained, nothing tells any more."""
        anchors = Anchors(self.decoder, sequences, indices, nullcontext)
        for index in indices:
            batch = collate(sequences, [index], self.decoder.device, anchors=anchors.indices)
            anchors.states(batch, self.decoder.lower(batch.ids, batch.lengths))
        return anchors
