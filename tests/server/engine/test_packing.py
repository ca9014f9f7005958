"""Four bits stay near the weights, and are computed once."""

import logging
import os
from pathlib import Path

import pytest
import torch

from tailora.engine.packing import GROUP, PACKED_FILE, dequantize, load_packed, quantize


def weight(seed: int = 0) -> torch.Tensor:
    return torch.randn((64, 96), generator=torch.Generator().manual_seed(seed)).to(torch.bfloat16)


def test_error_is_bounded_by_half_a_step() -> None:
    w = weight().float()
    q, scales = quantize(w.to(torch.bfloat16))
    assert q.min() >= 0
    assert q.max() <= 15
    groups = w.reshape(64, -1, GROUP)
    low, high = groups.aminmax(dim=-1)
    error = (dequantize(q, scales) - w).reshape(64, -1, GROUP)
    # Plain rounding to 16 steps over the group's range has this root mean square error; the search betters it.
    plain = (high - low) / 15 / 12**0.5
    assert (error.square().mean(-1).sqrt() < 1.3 * plain).all()
    assert error.square().mean().sqrt() < plain.square().mean().sqrt()


def test_rows_do_not_influence_each_other() -> None:
    w = weight()
    q, scales = quantize(w)
    part, part_scales = quantize(w[10:20])
    assert torch.equal(q[10:20], part)
    assert torch.equal(scales[:, 10:20], part_scales)


def test_constant_and_zero_rows_survive() -> None:
    w = torch.zeros((2, GROUP), dtype=torch.bfloat16)
    w[1] = 0.5
    assert torch.allclose(dequantize(*quantize(w)), w.float(), atol=1e-4)


def test_kernel_agrees_with_dequantize(tmp_path: Path) -> None:
    w = weight()
    packed, scales = load_packed(tmp_path, ["w"], lambda _: w)["w"]
    x = weight(1)[:3]
    product = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, GROUP, scales).float()
    expected = x.float() @ dequantize(*quantize(w)).T
    assert (product - expected).abs().max() < 0.02 * expected.abs().max()


class Dense:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, name: str) -> torch.Tensor:
        self.calls += 1
        return weight(int(name))


def test_made_once_and_reused(tmp_path: Path) -> None:
    dense, fractions = Dense(), []
    first = load_packed(tmp_path, ["1", "2"], dense, fractions.append)
    assert fractions == [0.5, 1.0]
    second = load_packed(tmp_path, ["1", "2"], dense)
    assert dense.calls == 2
    assert [path.name for path in tmp_path.iterdir()] == [PACKED_FILE]
    for name in ("1", "2"):
        assert all(torch.equal(a, b) for a, b in zip(first[name], second[name], strict=True))


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    dense = Dense()
    expected = load_packed(tmp_path, ["1"], dense)["1"]
    path = tmp_path / PACKED_FILE
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-100], "garbage": b"\xff" * 500, "empty": b""}[damage])
    again = load_packed(tmp_path, ["1"], dense)["1"]
    assert dense.calls == 2
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))
    assert path.stat().st_size == len(content)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_still_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o500)
    try:
        with caplog.at_level(logging.WARNING):
            assert load_packed(tmp_path, ["1"], Dense())["1"][0].numel()
        assert "packs them again" in caplog.text
    finally:
        tmp_path.chmod(0o700)


def test_unwritable_place_still_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / PACKED_FILE).mkdir()  # neither to be read nor to be replaced, whoever runs this
    with caplog.at_level(logging.WARNING):
        assert load_packed(tmp_path, ["1"], Dense())["1"][0].numel()
    assert "packs them again" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [PACKED_FILE]
