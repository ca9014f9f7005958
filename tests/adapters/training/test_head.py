"""Loss through the frozen output matrix: the same as torch's, in value and gradient."""

import torch
import torch.nn.functional as F

from tailora_adapters.training.head import frozen_cross_entropy


def test_loss_and_gradient_are_those_of_cross_entropy() -> None:
    torch.manual_seed(0)
    weight, labels = torch.randn(300, 16), torch.randint(300, (150,))
    ours = torch.randn(150, 16, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    loss = frozen_cross_entropy(ours, weight, labels)
    reference = F.cross_entropy(theirs @ weight.T, labels)
    torch.testing.assert_close(loss, reference)
    (loss * 3).backward()
    (reference * 3).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
