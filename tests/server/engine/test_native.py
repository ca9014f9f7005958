"""The compiled code: right on every instruction set, built once, and never in the way where it cannot be built."""

import platform
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tailora.engine.decoder import LeanDecoder
from tailora.engine.native import build, check
from tailora.engine.native.model import MOST_TOKENS, spans_of, suits
from tailora.engine.native.weights import FIVE_FILE, OUTPUTS, load_five, pack_five, unpack_five
from tailora_adapters.base import compiled
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.base.compiled import NativeUnavailable

HAS_COMPILER = compiled.compiler() is not None
with_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler on this machine")


@pytest.fixture
def rebuilt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty cache, for which nothing was compiled yet."""
    monkeypatch.setenv("TAILORA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(compiled, "models_dir", lambda: tmp_path / "models")
    compiled.library.cache_clear()
    yield tmp_path / "models"
    compiled.library.cache_clear()


def weight(out: int = 48, width: int = 96) -> torch.Tensor:
    return torch.randn((out, width), generator=torch.Generator().manual_seed(0))


def test_five_bits_are_near_and_keep_the_grid_of_other_formats() -> None:
    w = weight()
    error = unpack_five(pack_five(w)) - w
    assert error.square().mean().sqrt() < 0.04
    groups = torch.randint(0, 32, (48, 3, 32), generator=torch.Generator().manual_seed(1)).float()
    groups[..., 0] = 0  # its largest value is -16 units
    exact = ((groups - 16) * 0.0123).half().float().reshape(48, 96)
    assert (unpack_five(pack_five(exact)) - exact).abs().max() < 2e-4
    four = (groups.clamp(max=15) * 0.031 - 0.2).reshape(48, 96)
    assert (unpack_five(pack_five(four)) - four).abs().max() < 4e-4


def test_odd_numbers_of_outputs_constants_and_zeros() -> None:
    w = weight(21, 64)
    w[3], w[4] = 0.5, 0.0
    found = unpack_five(pack_five(w))
    assert found.shape == (32, 64)
    assert torch.allclose(found[3:5], w[3:5], atol=1e-3)
    assert (found[:21] - w).square().mean().sqrt() < 0.05


def test_packed_once_and_kept(tmp_path: Path) -> None:
    asked: list[str] = []

    def dense(name: str) -> torch.Tensor:
        asked.append(name)
        return weight()

    first = load_five(tmp_path, ["a"], dense)["a"]
    assert torch.equal(load_five(tmp_path, ["a"], dense)["a"], first)
    (tmp_path / FIVE_FILE).write_bytes(b"no tensors")
    assert torch.equal(load_five(tmp_path, ["a"], dense)["a"], first)
    assert asked == ["a", "a"]


@with_compiler
@pytest.mark.parametrize(
    "without", ["", "-mno-avx512f", "-mno-avx512f -mno-avx2"] if platform.machine() == "x86_64" else [""]
)
def test_right_on_every_instruction_set(without: str, rebuilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = compiled.compiler()
    assert command is not None
    monkeypatch.setenv("CC", f"{' '.join(command)} {without}")
    assert check.missing() is None
    assert len(list((rebuilt / ".machine").glob("step-*.so"))) == 1


@with_compiler
def test_compiled_once(rebuilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.library()
    compiled.library.cache_clear()
    monkeypatch.setattr(compiled, "_compile", lambda *_: pytest.fail("compiled again"))
    build.library()


@with_compiler
def test_a_damaged_library_is_compiled_again(rebuilt: Path) -> None:
    folder = rebuilt / ".machine"
    build.library()
    (path,) = folder.glob("step-*.so")
    path.unlink()  # not overwritten: it is mapped
    path.write_bytes(b"no library")
    compiled.library.cache_clear()
    assert check.missing() is None


@with_compiler
def test_a_cache_that_cannot_be_written_stops_nothing(rebuilt: Path) -> None:
    rebuilt.write_text("a file where the folder would be")
    assert check.missing() is None


def test_no_compiler(rebuilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(rebuilt))
    monkeypatch.delenv("CC", raising=False)
    assert "no C compiler was found" in str(check.missing())
    assert build.mark() == "none"


def test_a_compiler_that_fails(rebuilt: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "broken-cc"
    script.write_text("#!/bin/sh\necho 'stdint.h: no such file' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(NativeUnavailable, match=r"cannot compile: stdint\.h: no such file"):
        build.library()


def test_switched_off(rebuilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORA_NATIVE", "0")
    assert "switched off" in str(check.missing())


def test_a_model_falls_back_to_torch(
    rebuilt: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    usual = LeanDecoder(tiny_model.folder, packed=True)
    monkeypatch.setenv("TAILORA_NATIVE", "0")
    decoder = LeanDecoder(tiny_model.folder, packed=True, native=True, few=16)
    ids = [5, 6, 7]
    assert torch.equal(
        decoder.forward(ids, decoder.new_state(8), None), usual.forward(ids, usual.new_state(8), None)
    )
    assert "switched off" in caplog.text


@with_compiler
def test_threads_change_no_bit_and_may_change_at_any_time(tiny_model: Any) -> None:
    decoder = LeanDecoder(tiny_model.folder, packed=True, native=True, few=MOST_TOKENS)
    state = decoder.new_state(64)
    decoder.forward(list(range(20)), state, None)
    before = torch.get_num_threads()
    found = []
    try:
        for number in range(60):
            torch.set_num_threads((1, 3, 2, 4)[number % 4])
            state.crop(20)
            found.append(decoder.forward([7, 8, 9], state, None, all_logits=True))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


@with_compiler
def test_two_decoders_at_once_wait_for_each_other(tiny_model: Any) -> None:
    decoders = [LeanDecoder(tiny_model.folder, packed=True, native=True) for _ in range(2)]
    results: dict[int, list[torch.Tensor]] = {0: [], 1: []}

    def run(which: int) -> None:
        for _ in range(20):
            state = decoders[which].new_state(64)
            logits = decoders[which].forward([3, 4, 5], state, None)
            assert logits is not None
            results[which].append(logits)

    threads = [threading.Thread(target=run, args=(which,)) for which in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(results[0][0], other) for rows in results.values() for other in rows)


def test_suits_only_whole_groups() -> None:
    shape = Shape(
        hidden=896, intermediate=4864, heads=14, kv_heads=2, head_width=64, layers=24, vocabulary=99
    )
    assert suits(shape)
    assert not suits(Shape(900, 4864, 14, 2, 64, 24, 99))
    assert not suits(Shape(896, 4864, 14, 2, 72, 24, 99))


def test_only_the_ranks_of_a_projection_are_read() -> None:
    b = torch.zeros(24, 3 * OUTPUTS)
    b[:8, :OUTPUTS] = 1.0  # a projection with ranks of its own
    b[9, OUTPUTS + 3] = b[15, OUTPUTS] = 1.0  # one with zeros among them
    spans, rows = spans_of(b)
    assert spans.tolist() == [[0, 8, 0], [9, 16, 8], [0, 0, 15]]
    assert torch.equal(rows, torch.cat((b[:8, :OUTPUTS], b[9:16, OUTPUTS : 2 * OUTPUTS])))
