"""Cross-entropy through a frozen output matrix in bounded memory.

A vocabulary of 152,000 makes the logits of a few hundred labels the largest tensors of a training step. The matrix
is not trained, so the gradient of the hidden states, (softmax - one hot) W, is computed chunk by chunk in the forward
pass, and no logits are kept. Knows nothing of models beyond the matrix.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["frozen_cross_entropy"]

_CHUNK = 64


def frozen_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood, nats, float32.

    hidden (labels, width), weight (vocabulary, width), labels (labels,).
    """
    assert not weight.requires_grad, "no gradient is computed for the matrix"
    loss: Tensor = _FrozenCrossEntropy.apply(hidden, weight, labels)  # type: ignore[no-untyped-call]
    return loss


class _FrozenCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        gradient = torch.empty_like(hidden)
        count = max(1, len(labels))
        for begin in range(0, len(labels), _CHUNK):
            part, target = hidden[begin : begin + _CHUNK], labels[begin : begin + _CHUNK, None]
            logits = (part.to(weight.dtype) @ weight.T).float()  # (chunk, vocabulary)
            norm = logits.logsumexp(-1, keepdim=True)
            total += (norm - logits.gather(1, target)).sum()
            probabilities = logits.sub_(norm).exp_()
            probabilities.scatter_add_(1, target, probabilities.new_full(target.shape, -1.0))
            gradient[begin : begin + _CHUNK] = (probabilities.to(weight.dtype) @ weight).to(hidden.dtype)
        ctx.save_for_backward(gradient)
        ctx.count = count
        return total / count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (gradients[0] / ctx.count).to(gradient.dtype), None, None
