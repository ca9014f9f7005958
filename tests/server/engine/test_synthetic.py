"""Synthetic layers run in every form, and the 4-bit kernel is only believed where it computes the right product."""

import itertools
from collections.abc import Callable

import pytest
import torch

from tailora.engine import synthetic
from tailora.engine.native.model import MOST_TOKENS
from tailora.engine.synthetic import Form, SyntheticModel, fastest, packed_is_right, time_model
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.base.compiled import compiler

SHAPE = Shape(hidden=64, intermediate=128, heads=4, kv_heads=2, head_width=16, layers=3, vocabulary=512)


with_native = pytest.param("native", marks=pytest.mark.skipif(compiler() is None, reason="no C compiler"))


@pytest.mark.parametrize("form", ["bfloat16", "float32", "packed", with_native])
@pytest.mark.parametrize("tokens", [1, 4, 8, 64])
def test_layers_run(form: Form, tokens: int) -> None:
    if form == "native" and tokens > MOST_TOKENS:
        pytest.skip("more than it is made for")
    run = SyntheticModel(SHAPE, native=form == "native").layer(tokens, form)
    for _ in range(4):  # more often than there are copies
        run()


def test_copies_are_no_more_than_the_model_has_layers_and_fit_their_share() -> None:
    assert synthetic._copies(SHAPE, 10, 1000) == 3
    assert synthetic._copies(SHAPE, 400, 1000) == 2
    assert synthetic._copies(SHAPE, 4000, 1000) == 1


def test_least_time_of_runs_that_take_turns() -> None:
    now = 0.0
    order: list[str] = []

    def run(name: str, *seconds: float) -> Callable[[], None]:
        durations = itertools.cycle(seconds)

        def go() -> None:
            nonlocal now
            order.append(name)
            now += next(durations)

        return go

    assert fastest([run("a", 5, 2), run("b", 1, 3)], 8, lambda: now) == [2, 1]
    assert order == ["a", "b", "a", "b"]
    order.clear()
    assert fastest([run("c", 9), run("d", 9)], 0, lambda: now) == [9, 9]  # each at least once
    assert order == ["c", "d"]


def test_all_of_a_model_is_timed() -> None:
    native = compiler() is not None
    for few, compiled in ((0, False), (1, False), (6, False), (16, native)):
        times = time_model(SHAPE, dense="bfloat16", few=few, native=compiled, device="cpu", seconds=0)
        assert len(times) == 4
        assert min(times) > 0


def test_the_kernel_of_this_torch_is_right() -> None:
    assert packed_is_right(128)


@pytest.mark.parametrize(
    "kernel",
    [
        lambda real, *arguments: real(*arguments) * 1.5,
        lambda real, *arguments: real(*arguments) * float("nan"),
        lambda real, *arguments: (_ for _ in ()).throw(NotImplementedError("not for this processor")),
    ],
)
def test_a_wrong_kernel_is_found_out(
    kernel: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = torch.ops.aten._weight_int4pack_mm_for_cpu
    monkeypatch.setattr(
        torch.ops.aten, "_weight_int4pack_mm_for_cpu", lambda *arguments: kernel(real, *arguments)
    )
    assert not packed_is_right(128)
