"""Loss through the frozen output matrix: the same as torch's, in value and gradient."""

import pytest
import torch
import torch.nn.functional as F

from tailora_adapters.training.head import Vocabulary, frozen_cross_entropy, frozen_divergence


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


def test_divergence_and_gradient_are_those_of_torch() -> None:
    torch.manual_seed(0)
    weight, teacher = torch.randn(300, 16), torch.randn(150, 16)
    ours = torch.randn(150, 16, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    loss = frozen_divergence(ours, weight, teacher)
    logs = [(states @ weight.T).log_softmax(-1) for states in (theirs, teacher)]
    reference = F.kl_div(*logs, log_target=True, reduction="batchmean")
    torch.testing.assert_close(loss, reference)
    (loss * 3).backward()
    (reference * 3).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert frozen_divergence(teacher, weight, teacher).item() == pytest.approx(0.0, abs=1e-5)


def test_a_vocabulary_is_the_frequent_tokens_and_the_labels() -> None:
    torch.manual_seed(0)
    weight = torch.randn(20_000, 16, requires_grad=True)
    labels = torch.tensor([3, 19_999, 8_192, 3, 15_000])
    vocabulary = Vocabulary(weight, [15_000, 19_999, 8_192, 3])
    assert len(vocabulary.rows) == 8_192 + 3
    assert not vocabulary.rows.requires_grad
    chosen = [*range(8_193), 15_000, 19_999]
    hidden = torch.randn(5, 16)
    expected = F.cross_entropy(hidden @ weight.detach()[chosen].T, torch.tensor([3, 8_194, 8_192, 3, 8_193]))
    torch.testing.assert_close(vocabulary.loss(hidden, labels), expected)


def test_a_small_vocabulary_is_whole() -> None:
    weight, hidden, labels = torch.randn(40, 8), torch.randn(3, 8), torch.tensor([0, 39, 7])
    loss = Vocabulary(weight, [7]).loss(hidden, labels)
    assert loss.item() == pytest.approx(F.cross_entropy(hidden @ weight.T, labels).item(), rel=1e-5)
