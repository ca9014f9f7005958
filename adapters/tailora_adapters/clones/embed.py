"""A function as one vector: the mean of what the adapted model makes of its tokens. Knows nothing of clones.

The base with an adapter, as it is measured in training: hidden states of the last layer over sequences without padding,
each function by itself.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tailora_adapters.training.adapters import load_alone

__all__ = ["embed"]

_MOST_TOKENS = 512
"""Of a function; what follows is not read."""
_BATCH_TOKENS = 2_048


@torch.no_grad()
def embed(
    texts: Sequence[str],
    model: str,
    adapter: Path | None,
    progress: Callable[[float], None] = lambda _fraction: None,
) -> NDArray[np.float32]:
    """The vectors of some texts, (texts, hidden).

    Args:
        adapter: Folder of an adapter; None: the base model alone.

    Raises:
        ModelMissing, ModelCorrupt, ModelError: the base model.
        AdapterCorrupt: the adapter does not fit it.
    """
    alone = load_alone(model, adapter)
    decoder, encode = alone.decoder, alone.tokenizer.encode
    ids = [encode(text)[:_MOST_TOKENS] or [alone.tokenizer.end_id] for text in texts]
    found = np.zeros((len(texts), decoder.head_weight.shape[1]), dtype=np.float32)
    done = 0
    for batch in _batches(ids):
        lengths = [len(ids[place]) for place in batch]
        flat = torch.tensor([token for place in batch for token in ids[place]], device=decoder.device)
        hidden = decoder.upper(decoder.lower(flat, lengths), lengths)  # (tokens, hidden)
        for place, part in zip(batch, hidden.float().split_with_sizes(lengths), strict=True):
            found[place] = part.mean(dim=0).cpu().numpy()
        done += len(batch)
        progress(done / len(texts))
    return found


def _batches(ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Numbers of the sequences, those of like length together."""
    batches: list[list[int]] = []
    size = _BATCH_TOKENS
    for place in sorted(range(len(ids)), key=lambda place: len(ids[place])):
        if size + len(ids[place]) > _BATCH_TOKENS:
            batches.append([])
            size = 0
        batches[-1].append(place)
        size += len(ids[place])
    return batches
