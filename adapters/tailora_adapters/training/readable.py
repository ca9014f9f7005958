"""Files of which the base model makes nothing: data, encoded text, another language under a known name.

Files with many tokens for their length are suspects; of these, the base's loss decides. Knows nothing of repositories.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.training.decoder import Decoder

__all__ = ["MOST_LOSS", "suspects", "unreadable"]

MOST_LOSS = 3.0
"""Nats a token; more than any language of the foundation adapter's held-out packages has with the bare base."""
_SUSPECT_DENSITY = 0.45
"""Tokens a character. Only chooses whom the base's loss is asked for."""
_SAMPLE_CHARS = 2_000
_SAMPLE_TOKENS = 256
_MOST_SUSPECTS = 32


def suspects(files: Sequence[SourceFile], tokenizer: CodeTokenizer) -> dict[str, list[int]]:
    """Tokens of a sample from the middle of each suspicious file, the densest first."""
    found: list[tuple[float, str, list[int]]] = []
    for file in files:
        start = max(0, (len(file.text) - _SAMPLE_CHARS) // 2)
        sample = file.text[start : start + _SAMPLE_CHARS]
        ids = tokenizer.encode(sample)
        if len(ids) > _SUSPECT_DENSITY * len(sample):
            found.append((len(ids) / len(sample), file.path, ids[:_SAMPLE_TOKENS]))
    return {path: ids for _, path, ids in sorted(found, reverse=True)[:_MOST_SUSPECTS]}


@torch.no_grad()
def unreadable(
    files: Sequence[SourceFile], tokenizer: CodeTokenizer, decoder: Callable[[], Decoder]
) -> dict[str, str]:
    """The files whose sample has a loss above ``MOST_LOSS``: why, by path. ``decoder`` is asked for if need be."""
    found = suspects(files, tokenizer)
    if not found:
        return {}
    model = decoder()
    result = {}
    for path, ids in found.items():
        tokens = torch.tensor(ids, device=model.device)
        hidden = model.upper(model.lower(tokens[:-1], [len(ids) - 1]), [len(ids) - 1])
        loss = float(F.cross_entropy(model.logits(hidden), tokens[1:]))
        if loss > MOST_LOSS:
            result[path] = f"loss {loss:.1f} nats a token"
    return result
