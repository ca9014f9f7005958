"""On the real model: the lean decoder computes what transformers does, and guesses change no token."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import tailora
from tailora.engine.decoder import LeanDecoder
from tailora.engine.generator import AdapterRef, GenerationRequest
from tailora.engine.native import check
from tailora.engine.torch_generator import TorchGenerator
from tailora_adapters import foundation
from tailora_adapters.base import cache, catalogue, eight_bits
from tailora_adapters.base.prompt import build_prompt
from tailora_adapters.base.tokenizer import CodeTokenizer

MODEL = "qwen2.5-coder-0.5b"
TEXT = (Path(tailora.__file__).parent / "completion" / "stop.py").read_text()


@pytest.fixture(scope="module")
def folder(models: Path) -> Path:
    return cache.open_record(catalogue.find(MODEL))[0]


@pytest.fixture(scope="module")
def ids(folder: Path) -> list[int]:
    at = TEXT.index("def feed")
    return build_prompt(CodeTokenizer.from_folder(folder), TEXT[:at], TEXT[at + 400 :]).ids[-240:]


@pytest.fixture(scope="module")
def expected(folder: Path, ids: list[int]) -> dict[bool, torch.Tensor]:
    """Logits of transformers, without and with the foundation adapter."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    with torch.inference_mode():
        bare = model(input_ids=torch.tensor([ids])).logits[0].float()
        shipped = foundation.find(MODEL)
        assert shipped is not None
        adapted = PeftModel.from_pretrained(model, str(shipped.path))
        return {False: bare, True: adapted(input_ids=torch.tensor([ids])).logits[0].float()}


def differences(ours: torch.Tensor, theirs: torch.Tensor) -> tuple[float, float]:
    """Kullback-Leibler divergence in nats, and the share of places with another most probable token."""
    p, q = theirs.log_softmax(-1), ours.log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean()), float(
        (ours.argmax(-1) != theirs.argmax(-1)).float().mean()
    )


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize(
    "form,divergence,other",
    [("16 bits", 0.01, 0.04), ("8 bits", 0.04, 0.1), ("5 bits", 0.02, 0.06), ("4 bits", 0.12, 0.15)],
)
def test_logits(
    folder: Path,
    ids: list[int],
    expected: dict[bool, torch.Tensor],
    form: str,
    divergence: float,
    other: float,
    adapted: bool,
) -> None:
    if form == "8 bits" and not eight_bits.is_right(896):
        pytest.skip("this processor has no right 8-bit product")
    if form == "5 bits" and (missing := check.missing()):
        pytest.skip(missing)
    packed, native = form in ("4 bits", "5 bits"), form == "5 bits"
    decoder = LeanDecoder(folder, packed=packed, native=native, eight=form == "8 bits")
    shipped = foundation.find(MODEL)
    assert shipped is not None
    adapter = decoder.load_adapter(shipped.path) if adapted else None
    state = decoder.new_state(len(ids))
    step = 4 if packed else len(ids)  # up to a few tokens at once go by the packed weights
    parts = [ids[at : at + step] for at in range(0, len(ids), step)]
    ours = torch.cat([decoder.forward(part, state, adapter, all_logits=True) for part in parts])
    measured = differences(ours, expected[adapted])
    # 16 bits: another order of rounding to bfloat16.
    assert measured[0] < divergence
    assert measured[1] < other


@pytest.mark.parametrize("native", [False, True])
def test_guesses_are_read_bit_for_bit_as_if_alone(folder: Path, ids: list[int], native: bool) -> None:
    if native and (missing := check.missing()):
        pytest.skip(missing)
    decoder = LeanDecoder(folder, packed=True, native=native, few=16)
    shipped = foundation.find(MODEL)
    assert shipped is not None
    adapter = decoder.load_adapter(shipped.path)
    for start in range(5, 200, 47):
        state = decoder.new_state(240)
        decoder.forward(ids[:start], state, adapter, want_logits=False)
        count = decoder.guessable(state) + 1
        alone = [decoder.forward([token], state, adapter) for token in ids[start : start + count]]
        state.crop(start)
        together = decoder.forward(ids[start : start + count], state, adapter, all_logits=True)
        assert torch.equal(together, torch.stack(alone))


def test_guesses_change_no_token(models: Path) -> None:
    generator = TorchGenerator(MODEL, quantization="packed")
    generator.load(lambda _fraction, _text: None)
    shipped = foundation.find(MODEL)
    assert shipped is not None
    adapter = AdapterRef("foundation", shipped.path, shipped.sha256)
    accepted = 0
    for name in ("def feed", "def _choose", "def _begin_line", "def _repeats_suffix", "def _period"):
        at = TEXT.index("\n", TEXT.index(name)) + 1
        request = GenerationRequest(
            TEXT[:at], TEXT[at + 150 :], max_tokens=40, adapter=adapter, document=name
        )
        plain = dataclasses.replace(request, speculation=False)
        written = ["".join(step.text for step in generator.generate(plain, lambda: False))]
        for _ in range(2):  # the second time, the last suggestion is known
            steps = list(generator.generate(request, lambda: False))
            written.append("".join(step.text for step in steps))
            accepted += steps[-1].stats.accepted_tokens
        assert len(set(written)) == 1
    assert accepted > 0
