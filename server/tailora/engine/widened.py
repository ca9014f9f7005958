"""The product with weights that are stored in bfloat16 and computed in float32, for processors without bfloat16.

Knows nothing of models.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["widened_linear"]

_ROWS = 1024
"""Of the weights at once. MKL takes twice as long for ten times as many outputs of 64 tokens at once, on a processor of
AMD with AVX2; and what is widened stays in the processor's cache until it is multiplied."""


def widened_linear(x: Tensor, weight: Tensor) -> Tensor:
    """(tokens, in) float32 and (out, in) bfloat16 -> (tokens, out) bfloat16."""
    if len(weight) <= _ROWS:
        return F.linear(x, weight.float()).to(torch.bfloat16)
    y = torch.empty((len(x), len(weight)), dtype=torch.bfloat16)
    for to, rows in zip(torch.split(y, _ROWS, 1), torch.split(weight, _ROWS), strict=True):
        to.copy_(F.linear(x, rows.float()))
    return y
