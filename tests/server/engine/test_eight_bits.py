"""Long inputs in 8 bits: right, kept, and refused where the processor computes them wrongly."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tailora.engine.decoder import LeanDecoder
from tailora.engine.eight_bits import INT8_FILE, load_eight_bits
from tailora_adapters.base import eight_bits
from tailora_adapters.base.eight_bits import EightBits, quantize_eight

pytestmark = pytest.mark.skipif(
    not eight_bits.is_right(64), reason="this processor has no right 8-bit product"
)


def matrix(out: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn((out, width), generator=torch.Generator().manual_seed(seed))


def test_a_product_is_near_that_of_the_weights() -> None:
    weight, x = matrix(96, 256), matrix(20, 256, 1)
    y = EightBits.of(*quantize_eight(weight)).multiply(x)
    expected = F.linear(x, weight)
    assert (y - expected).norm() < 0.01 * expected.norm()


def test_a_token_with_large_values_does_not_blur_the_others() -> None:
    weight, x = matrix(96, 256), matrix(20, 256, 1)
    calm = EightBits.of(*quantize_eight(weight)).multiply(x)
    x[0] *= 1e4
    loud = EightBits.of(*quantize_eight(weight)).multiply(x)
    assert torch.equal(calm[1:], loud[1:])


def test_nothing_but_zeros() -> None:
    product = EightBits.of(*quantize_eight(torch.zeros(8, 32))).multiply(torch.zeros(9, 32))
    assert torch.equal(product, torch.zeros(9, 8))


def test_quantized_once_and_kept(tmp_path: Path) -> None:
    weight, x, asked = matrix(64, 128), matrix(9, 128, 1), []

    def dense(name: str) -> torch.Tensor:
        asked.append(name)
        return weight

    fractions: list[float] = []
    first = load_eight_bits(tmp_path, ["a", "b"], dense, fractions.append)
    again = load_eight_bits(tmp_path, ["a", "b"], dense)
    assert asked == ["a", "b"]
    assert fractions == [0.5, 1.0]
    assert torch.equal(first["a"].multiply(x), again["a"].multiply(x))


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    (tmp_path / INT8_FILE).write_bytes(b"no tensors")
    found = load_eight_bits(tmp_path, ["a"], lambda _: matrix(64, 128))
    assert found["a"].multiply(matrix(9, 128)).shape == (9, 64)


def test_refused_where_sums_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(values: Any, *arguments: Any) -> torch.Tensor:
        del arguments
        return torch.full((len(values), 64), 32767.0)

    monkeypatch.setattr(torch.ops.onednn, "qlinear_pointwise", saturating)
    assert not eight_bits.is_right(64)


def test_a_prompt_read_in_eight_bits_is_nearly_the_same(tiny_model: Any) -> None:
    ids = list(range(3, 43))
    eight = LeanDecoder(tiny_model.folder, packed=True, eight=True)
    usual = LeanDecoder(tiny_model.folder, packed=True)
    ours = eight.forward(ids, eight.new_state(64), None, all_logits=True)
    expected = usual.forward(ids, usual.new_state(64), None, all_logits=True)
    assert ours is not None
    assert expected is not None
    assert (ours - expected).norm() < 0.05 * expected.norm()


def test_tokens_after_a_prompt_in_eight_bits_still_come_out_as_if_alone(tiny_model: Any) -> None:
    ids = list(range(3, 43))
    decoder = LeanDecoder(tiny_model.folder, packed=True, eight=True, few=4)
    state = decoder.new_state(64)
    decoder.forward(ids, state, None)
    alone = [decoder.forward([token], state, None) for token in (5, 6, 7)]
    state.crop(len(ids))
    together = decoder.forward([5, 6, 7], state, None, all_logits=True)
    assert together is not None
    assert torch.equal(together, torch.stack([row for row in alone if row is not None]))
