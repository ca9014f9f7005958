"""The product with weights that are stored in bfloat16 and computed in float32, for processors without bfloat16.

Knows nothing of models.
"""

import torch
from torch import Tensor

__all__ = ["widened_linear"]

_ROWS = 1024
"""Of the weights at once. MKL takes twice as long for ten times as many outputs of 64 tokens at once, on a processor of
AMD with AVX2; and what is widened stays in the processor's cache until it is multiplied."""


def widened_linear(x: Tensor, weight: Tensor) -> Tensor:
    """(tokens, in) float32 and (out, in) bfloat16 -> (tokens, out) bfloat16."""
    y = torch.empty((len(x), len(weight)), dtype=torch.bfloat16)
    for to, rows in zip(torch.split(y, _ROWS, 1), torch.split(weight, _ROWS), strict=True):
        # The other way round MKL reads the weights anew for each of a few tokens (docs/experiments.md).
        to.copy_(torch.mm(rows.float(), x.T).T)
    return y
