"""Compiled or not, the passes between the products compute the same, also at the ends of what numbers can be."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tailora_adapters.base import compiled
from tailora_adapters.training import fused

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")  # compiled code is kept in the test's own folder

with_compiler = pytest.mark.skipif(compiled.compiler() is None, reason="no C compiler on this machine")
GATES = (0.0, -0.0, 1e-30, 1.0, -1.0, 30.0, -30.0, 87.5, -87.5, 1e4, -1e4)


@pytest.fixture
def fresh() -> Iterator[None]:
    """As in a process that has not asked for compiled code yet."""
    compiled.library.cache_clear()
    fused._compiled.cache_clear()
    yield
    compiled.library.cache_clear()
    fused._compiled.cache_clear()


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rows() -> torch.Tensor:
    """Usual tokens, one of zeros, a tiny and two large ones."""
    x = random(6, 96)
    x[1], x[2] = 0.0, x[2] * 1e-6
    x[3], x[4] = x[3] * 1e4, -1e4
    return x


def both(
    monkeypatch: pytest.MonkeyPatch, compute: Callable[[], tuple[torch.Tensor, ...]]
) -> list[tuple[torch.Tensor, ...]]:
    """Results by compiled code, and without it."""
    assert fused._compiled() is not None
    first = compute()
    with monkeypatch.context() as patch:
        patch.setattr(fused, "_compiled", lambda: None)
        return [first, compute()]


def with_gradients(
    function: Callable[..., torch.Tensor], *inputs: torch.Tensor
) -> Callable[[], tuple[torch.Tensor, ...]]:
    """Result, and the gradients of the inputs for a random gradient of the result."""

    def compute() -> tuple[torch.Tensor, ...]:
        ours = [one.detach().clone().requires_grad_() for one in inputs]
        y = function(*ours)
        torch.autograd.backward(y, random(*y.shape, seed=9))
        return y.detach(), *(one.grad for one in ours if one.grad is not None)

    return compute


@with_compiler
def test_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = random(96, seed=4)
    compute = with_gradients(lambda x: fused.norm(x, weight, 1e-6), rows())
    for ours, theirs in zip(*both(monkeypatch, compute), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    y, gradient = compute()
    assert y[1].eq(0).all()
    assert gradient.isfinite().all()


@with_compiler
def test_swiglu(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = torch.cat((torch.tensor(GATES), random(389, seed=2) * 8)).view(4, 100)
    compute = with_gradients(fused.swiglu, gate, random(4, 100, seed=3))
    for ours, theirs in zip(*both(monkeypatch, compute), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        assert ours.isfinite().all()


@with_compiler
def test_rotate(monkeypatch: pytest.MonkeyPatch) -> None:
    angles = random(6, 8, seed=5) * 100
    x = random(6, 3, 16)
    compute = with_gradients(lambda x: fused.rotate(x, angles.cos(), angles.sin()), x)
    for ours, theirs in zip(*both(monkeypatch, compute), strict=True):
        torch.testing.assert_close(ours, theirs)
    y, _ = compute()
    torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))  # turned, and nothing else


@with_compiler
def test_quantize(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows()
    ours, theirs = both(monkeypatch, lambda: _whole(x))
    difference = (ours[0].int() - theirs[0].int()).abs()
    assert difference.max() <= 1  # where a value lies in the middle between two
    assert difference.float().mean() < 0.01
    torch.testing.assert_close(ours[1], theirs[1])
    assert torch.equal(ours[2], theirs[2])
    for values, steps, narrow in (ours, theirs):
        assert values[1].eq(128).all()
        assert values[4].eq(1).all()
        assert values.min() == 1
        assert ((values.float() - 128) * steps - x).abs().le(0.51 * steps).all()
        assert torch.equal(narrow, x.bfloat16())
    assert fused.quantize(x, copy=False)[2] is None


def _whole(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    values, steps, narrow = fused.quantize(x, copy=True)
    assert narrow is not None
    return values, steps, narrow


@with_compiler
def test_views_are_as_good_as_copies() -> None:
    x, weight = rows().T, random(6, seed=4)
    angles = random(6, 8, seed=5)
    heads = random(3, 6, 16).transpose(0, 1)
    for view, copy in (
        (fused.norm(x, weight, 1e-6), fused.norm(x.contiguous(), weight, 1e-6)),
        (fused.quantize(x, copy=False)[0], fused.quantize(x.contiguous(), copy=False)[0]),
        (fused.swiglu(x, x), fused.swiglu(x.contiguous(), x.contiguous())),
        (
            fused.rotate(heads, angles.cos(), angles.sin()),
            fused.rotate(heads.contiguous(), angles.cos(), angles.sin()),
        ),
    ):
        assert torch.equal(view, copy)


@with_compiler
def test_subnormal_numbers_stay_what_they_are_elsewhere() -> None:
    assert fused._compiled() is not None
    assert torch.full((64,), 1e-40).mul(0.5).gt(0).all()


def test_switched_off(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.OFF, "0")
    assert fused._compiled() is None
    assert fused.norm(rows(), torch.ones(96), 1e-6).isfinite().all()


def test_a_compiler_that_fails(fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path))
    monkeypatch.setenv("CC", "false")
    assert fused._compiled() is None
    x = rows()
    values, steps, _ = fused.quantize(x, copy=True)
    assert ((values.float() - 128) * steps - x).abs().le(0.51 * steps).all()
