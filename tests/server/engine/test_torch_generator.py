"""From a request to text: reuse that changes nothing, adapters that do not mix, cancels, stops and characters."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tailora.engine import torch_generator
from tailora.engine.generator import AdapterRef, GenerationRequest, GenerationStep, Snippet
from tailora.engine.native.weights import FIVE_FILE
from tailora.engine.packing import PACKED_FILE
from tailora.engine.torch_generator import TorchGenerator, prepare
from tailora.errors import PromptTooLong
from tailora_adapters.errors import AdapterCorrupt, ModelError, ModelMissing


def new(model: Any, quantization: Any = "none") -> TorchGenerator:
    generator = TorchGenerator(model.name, quantization=quantization, device="cpu")
    generator.load(lambda _fraction, _text: None)
    return generator


def steps(generator: TorchGenerator, request: GenerationRequest) -> list[GenerationStep]:
    found = list(generator.generate(request, lambda: False))
    assert [step.finish_reason for step in found[:-1]] == [None] * (len(found) - 1)
    assert found[-1].finish_reason in ("stop", "length")
    return found


def text(generator: TorchGenerator, request: GenerationRequest) -> str:
    return "".join(step.text for step in steps(generator, request))


def hole(example: Any, **fields: Any) -> GenerationRequest:
    return GenerationRequest(example.prefix, example.suffix, **fields)


@pytest.fixture
def generator(trained: Any) -> TorchGenerator:
    return new(trained)


class Plain(TorchGenerator):
    """One token at a time."""

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Iterator[GenerationStep]:
        return super().generate(dataclasses.replace(request, speculation=False), cancelled)


class Scripted:
    """A decoder that writes given tokens, whatever it reads, and counts what it is asked to read."""

    max_length = 4096

    class State:
        halted_ids, prompt_length, prompt_end = (), 0, None

        def __init__(self) -> None:
            self.tokens: list[int] = []

        def crop(self, length: int) -> None:
            del self.tokens[length:]

        def copy(self, length: int) -> Any:
            raise AssertionError("one document only")

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = iter(tokens)
        self.read: list[int] = []

    def new_state(self, capacity: int, adapter: Any = None) -> Any:
        return self.State()

    def forward(
        self,
        ids: Sequence[int],
        state: Any,
        adapter: None,
        *,
        want_logits: bool = True,
        all_logits: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> torch.Tensor | None:
        state.tokens.extend(ids)
        self.read.append(len(ids))
        if not want_logits:
            return None
        logits = torch.zeros(512)
        logits[next(self._tokens)] = 9.0
        return logits[None] if all_logits else logits


@pytest.fixture
def scripted(tiny: Any) -> Callable[[Sequence[int]], tuple[TorchGenerator, Scripted]]:
    def make(tokens: Sequence[int]) -> tuple[TorchGenerator, Scripted]:
        generator = Plain(tiny.name, quantization="none", device="cpu")
        generator.load(lambda _fraction, _text: None)
        decoder = Scripted(tokens)
        generator._decoder = decoder
        return generator, decoder

    return make


# What is written


@pytest.mark.parametrize("quantization", ["none", "packed"])
def test_writes_what_was_learned_and_stops(
    trained: Any, training_examples: list[Any], quantization: str
) -> None:
    generator = new(trained, quantization)
    right = [
        text(generator, hole(example, max_tokens=200)) == example.middle for example in training_examples
    ]
    assert sum(right) >= 0.8 * len(right)
    last = steps(generator, hole(training_examples[0], max_tokens=200))[-1]
    assert last.finish_reason == "stop"


def test_reuse_changes_nothing(trained: Any, training_examples: list[Any]) -> None:
    generator = new(trained)
    for example in training_examples[:6]:
        for cut in (0, 1, 2, 3):  # as someone types
            request = GenerationRequest(
                example.prefix + example.middle[:cut], example.suffix, document="a.py", max_tokens=40
            )
            assert text(generator, request) == text(new(trained), request)


def test_same_prompt_twice(generator: TorchGenerator, training_examples: list[Any]) -> None:
    request = hole(training_examples[0], document="a.py")
    first, second = steps(generator, request), steps(generator, request)
    assert [step.text for step in first] == [step.text for step in second]
    assert first[0].stats.cached_tokens == 0
    assert second[0].stats.cached_tokens == second[0].stats.prompt_tokens
    assert second[-1].stats.completion_tokens == first[-1].stats.completion_tokens > 0


@pytest.mark.parametrize("quantization", ["none", "packed", "int8"])
def test_adapters_do_not_mix(
    trained: Any, training_examples: list[Any], word_loras: dict[str, Path], quantization: str
) -> None:
    generator = new(trained, quantization)
    example = training_examples[0]
    refs = {word: AdapterRef(word, folder, f"hash-{word}") for word, folder in word_loras.items()}
    expected = {None: text(new(trained, quantization), hole(example))}
    assert expected[None] not in ("alpha", "beta")
    for word in (None, "alpha", "beta", "alpha", None, "beta"):
        request = hole(example, document="a.py", adapter=refs[word] if word else None)
        assert text(generator, request) == (word or expected[None])
    again = steps(generator, hole(example, document="a.py", adapter=refs["alpha"]))
    assert again[0].stats.cached_tokens > 0  # alpha's own state is still there


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_more_adapters_than_are_kept(
    trained: Any, training_examples: list[Any], word_loras: dict[str, Path], make_lora: Any, quantization: str
) -> None:
    generator = new(trained, quantization)
    alpha = AdapterRef("alpha", word_loras["alpha"], "alpha")
    for seed in range(6):
        assert text(generator, hole(training_examples[0], adapter=alpha)) == "alpha"
        for other in (seed, seed + 100):
            ref = AdapterRef(str(other), make_lora(other), str(other))
            steps(generator, hole(training_examples[0], adapter=ref, max_tokens=1))
    refs = [AdapterRef(str(i), make_lora(i), f"again-{i}") for i in range(4)]
    for ref in (*refs, *refs, alpha):
        steps(generator, hole(training_examples[0], adapter=ref, max_tokens=1))
    assert text(generator, hole(training_examples[0], adapter=alpha)) == "alpha"


def test_corrupt_adapter(trained: Any, training_examples: list[Any], tmp_path: Path) -> None:
    for quantization in ("none", "int8"):
        generator = new(trained, quantization)
        (tmp_path / "adapter_config.json").write_text("{}")
        ref = AdapterRef("1", tmp_path, "x")
        with pytest.raises(AdapterCorrupt):
            steps(generator, hole(training_examples[0], adapter=ref))
        assert text(generator, hole(training_examples[0]))  # goes on without it


def test_context_is_part_of_the_prompt(generator: TorchGenerator) -> None:
    bare = steps(generator, GenerationRequest("x = ", max_tokens=1))[0].stats.prompt_tokens
    snippet = Snippet("a.py", "def f(): ...")
    more = steps(generator, GenerationRequest("x = ", context=(snippet,), max_tokens=1))[0].stats
    assert more.prompt_tokens > bare + 5


def test_more_behind_the_hole_is_read_where_it_is_asked_for(generator: TorchGenerator) -> None:
    request = GenerationRequest("x = ", "\ny = f(x)" * 100, max_tokens=1)
    usual, more, less = (
        steps(generator, replace(request, suffix_tokens=tokens))[0].stats.prompt_tokens
        for tokens in (None, 192, 32)
    )
    assert less < usual < more <= usual + 96


def test_empty_request(generator: TorchGenerator) -> None:
    assert len(steps(generator, GenerationRequest("", "", max_tokens=3))) <= 4


# Cancelling


def test_cancel_between_prefill_chunks(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_generator, "_PREFILL_CHUNK", 256)
    generator, decoder = scripted([5] * 20)
    polls = 0

    def cancelled() -> bool:
        nonlocal polls
        polls += 1
        return polls > 1

    request = GenerationRequest("value = index + 1\n" * 200, document="a.py", max_tokens=9)
    assert list(generator.generate(request, cancelled)) == []
    assert decoder.read == [256]
    # What was read is not lost: the next request goes on there.
    first = next(iter(generator.generate(request, lambda: False)))
    assert first.stats.cached_tokens == 256


def test_cancel_between_tokens(scripted: Any) -> None:
    generator, decoder = scripted([5] * 20)
    seen: list[GenerationStep] = []
    for step in generator.generate(GenerationRequest("x", max_tokens=15), lambda: len(seen) >= 3):
        seen.append(step)
    assert [step.finish_reason for step in seen] == [None, None, None]
    assert (
        len(decoder.read) == 4
    )  # the prompt in two parts and two tokens: nothing was computed after the cancel


def test_abandoned_iterator_keeps_the_state(scripted: Any) -> None:
    generator, _ = scripted([5] * 20)
    request = GenerationRequest("x = 1", document="a.py", max_tokens=9)
    iterator: Iterator[GenerationStep] = generator.generate(request, lambda: False)
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert next(generator.generate(request, lambda: False)).stats.cached_tokens > 0


def test_cancel_between_layers_loses_nothing(trained: Any, training_examples: list[Any]) -> None:
    generator = new(trained)
    example = training_examples[0]
    request = hole(example, document="a.py", max_tokens=40)
    expected = text(new(trained), request)
    for typed in (1, 2, 3):  # someone types on, each time after one layer more
        polls = iter([False] * 2)
        request = dataclasses.replace(request, prefix=example.prefix + example.middle[:typed])
        assert list(generator.generate(request, lambda polls=polls: next(polls, True))) == []
    request = dataclasses.replace(request, prefix=example.prefix)
    assert text(generator, request) == expected


def test_reads_ahead(generator: TorchGenerator, training_examples: list[Any]) -> None:
    request = hole(training_examples[0], max_tokens=0)
    (step,) = steps(generator, request)
    assert (step.text, step.finish_reason) == ("", "length")
    real = steps(generator, dataclasses.replace(request, max_tokens=5))[0]
    assert real.stats.cached_tokens == real.stats.prompt_tokens


# Speculation


@pytest.mark.parametrize("quantization", ["none", "packed"])
def test_speculation_changes_nothing_and_is_used(
    trained: Any, training_examples: list[Any], quantization: str
) -> None:
    plain, fast = new(trained, quantization), new(trained, quantization)
    accepted = drafted = 0
    for _ in range(2):  # the second time, the last suggestion is known
        for example in training_examples:
            request = hole(example, document=example.path, max_tokens=60)
            expected = text(plain, dataclasses.replace(request, speculation=False))
            found = steps(fast, request)
            assert "".join(step.text for step in found) == expected
            accepted += found[-1].stats.accepted_tokens
            drafted += found[-1].stats.drafted_tokens
    # Dense weights promise no bits, so nothing is guessed there.
    assert 0 < accepted <= drafted if quantization == "packed" else drafted == 0


def test_speculation_ends_at_the_limit(trained: Any, training_examples: list[Any]) -> None:
    generator = new(trained)
    request = hole(training_examples[0], document="a.py")
    whole = text(generator, request)
    for limit in range(1, 8):
        found = steps(generator, dataclasses.replace(request, max_tokens=limit))
        assert found[-1].stats.completion_tokens <= limit
        assert whole.startswith("".join(step.text for step in found))


def test_without_reuse_all_is_read(generator: TorchGenerator, training_examples: list[Any]) -> None:
    request = hole(training_examples[0], document="a.py")
    steps(generator, request)
    assert steps(generator, dataclasses.replace(request, reuse=False))[0].stats.cached_tokens == 0


def test_keeps_less_where_memory_is_short(
    generator: TorchGenerator, training_examples: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = psutil.virtual_memory()
    for example in training_examples[:8]:
        steps(generator, hole(example, document=example.prefix, max_tokens=2))
    before = len(generator._pool)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=100 << 20))
    generator._kv_tokens = 200
    expected = text(generator, hole(training_examples[0]))
    assert len(generator._pool) < before
    assert generator._pool.tokens <= 200
    assert expected == text(new_like(generator), hole(training_examples[0]))
    assert "memory" in str(generator.info()["note"])
    monkeypatch.undo()
    steps(generator, hole(training_examples[0]))
    assert generator.info()["note"] is None


def new_like(generator: TorchGenerator) -> TorchGenerator:
    fresh = TorchGenerator(str(generator.info()["name"]), quantization="none", device="cpu")
    fresh.load(lambda _fraction, _text: None)
    return fresh


# Stopping


def test_max_tokens(scripted: Any) -> None:
    generator, decoder = scripted([5] * 20)
    found = steps(generator, GenerationRequest("x", max_tokens=4))
    assert found[-1].finish_reason == "length"
    assert found[-1].stats.completion_tokens == 4
    assert (
        len(decoder.read) == 5
    )  # the prompt in two parts and three tokens: nobody asks what follows the last


@pytest.mark.parametrize(
    "written,stops,expected",
    [
        ("one\ntwo\n", ("\n",), "one"),
        ("abcdefg", ("cde",), "ab"),
        ("abcdefg", ("efx", "def"), "abc"),
        ("ababac", ("abac",), "ab"),
        ("abc", ("",), "abc"),
        ("ends with sto", ("stop",), "ends with sto"),
        ("é#é", ("#",), "é"),
    ],
)
def test_stop_strings(
    scripted: Any, tokenizer: Any, written: str, stops: tuple[str, ...], expected: str
) -> None:
    for tokens in (tokenizer.encode(written), [i for char in written for i in tokenizer.encode(char)]):
        generator, _ = scripted([*tokens, tokenizer.end_id])
        found = steps(generator, GenerationRequest("x", stop=stops))
        assert "".join(step.text for step in found) == expected
        assert found[-1].finish_reason == "stop"


def test_held_back_text_comes_at_the_length_limit(scripted: Any, tokenizer: Any) -> None:
    tokens = tokenizer.encode("s") + tokenizer.encode("t")
    generator, _ = scripted(tokens)
    assert text(generator, GenerationRequest("x", stop=("stop",), max_tokens=2)) == "st"


def test_special_tokens_end_and_never_show(scripted: Any, tokenizer: Any) -> None:
    for token in tokenizer.fim.stops:
        if (identifier := tokenizer.token_id(token)) is None:
            continue
        generator, _ = scripted([*tokenizer.encode("ok"), identifier])
        assert text(generator, GenerationRequest("x")) == "ok"


def test_characters_split_over_tokens(scripted: Any, tokenizer: Any) -> None:
    written = "a é 日本 🙂!"
    tokens = tokenizer.encode(written)
    assert len(tokens) > len(written)
    generator, _ = scripted([*tokens, tokenizer.end_id])
    found = steps(generator, GenerationRequest("x", max_tokens=60))
    assert "".join(step.text for step in found) == written
    assert all("\ufffd" not in step.text for step in found)


def test_half_a_character_at_the_end_does_not_show(scripted: Any, tokenizer: Any) -> None:
    generator, _ = scripted(tokenizer.encode("日")[:2])
    assert text(generator, GenerationRequest("x", max_tokens=2)) == ""


# Sampling and limits


def test_seed_repeats_a_sample(tiny: Any) -> None:
    generator = new(tiny)

    def sample(seed: int | None, temperature: float = 1.0, top_p: float = 1.0) -> str:
        request = GenerationRequest(
            "def area(", max_tokens=12, temperature=temperature, seed=seed, top_p=top_p, speculation=False
        )
        return text(generator, request)

    sample(7)  # from here on, all of the prompt but its last token is reused
    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in range(5)}) > 1
    assert sample(1, top_p=1e-6) == sample(2, top_p=1e-6) == sample(None, temperature=0.0)


def test_prompt_too_long(generator: TorchGenerator) -> None:
    with pytest.raises(PromptTooLong, match="2048"):
        steps(generator, GenerationRequest("x", max_tokens=2048))


# Loading


def test_prefix_only_model_says_so(
    prefix_only_model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TAILORA_MODELS", str(prefix_only_model.models))
    generator = TorchGenerator(prefix_only_model.name, quantization="none", device="cpu")
    assert generator.info()["fim"] is None
    generator.load(lambda _fraction, _text: None)
    assert generator.info()["fim"] is False
    assert "text after the cursor is ignored" in caplog.text
    request = GenerationRequest("a = 1\n", max_tokens=5)
    assert text(generator, request) == text(generator, dataclasses.replace(request, suffix="\nb = 2"))


def test_load_unload_load(trained: Any, training_examples: list[Any]) -> None:
    generator = TorchGenerator(trained.name, quantization="none", device="cpu")
    assert not generator.loaded
    fractions: list[float] = []
    generator.load(lambda fraction, _text: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    request = hole(training_examples[0], document="a.py")
    first = text(generator, request)
    generator.unload()
    generator.unload()
    assert not generator.loaded
    generator.load(lambda _fraction, _text: None)
    again = steps(generator, request)
    assert again[0].stats.cached_tokens == 0
    assert "".join(step.text for step in again) == first


def test_missing_models(store_home: Path, tiny_model: Any) -> None:
    with pytest.raises(ModelMissing, match="tailora model pull"):
        TorchGenerator("qwen2.5-coder-0.5b").load(lambda _fraction, _text: None)
    with pytest.raises(ModelError, match="no base model"):
        TorchGenerator("no-such-model").load(lambda _fraction, _text: None)


def test_prepare_packs_once(trained: Any) -> None:
    messages: list[str] = []
    for name in (PACKED_FILE, FIVE_FILE):
        (trained.folder / name).unlink(missing_ok=True)
    prepare(trained.name, lambda _fraction, message: messages.append(message))
    assert messages
    before = len(messages)
    prepare(trained.name, lambda _fraction, message: messages.append(message))
    assert len(messages) == before


def test_scores_of_what_is_written(generator: TorchGenerator, training_examples: list[Any]) -> None:
    asked = hole(training_examples[0], max_tokens=8, scores=2)
    found = steps(generator, asked)
    scores = found[-1].stats.scores
    assert "".join(score.text for score in scores) == "".join(step.text for step in found)
    for score in scores:
        values = [value for _, value in score.top]
        assert values == sorted(values, reverse=True)
        assert score.logprob == pytest.approx(values[0]), "greedy: the likeliest is written"
        assert score.logprob <= 0
    assert steps(generator, hole(training_examples[0], max_tokens=8))[-1].stats.scores == []


def test_what_stands_in_the_hole_is_judged(generator: TorchGenerator, training_examples: list[Any]) -> None:
    example = training_examples[0]
    found = steps(generator, hole(example, middle=example.middle, scores=1))
    judged = found[-1].stats.scores
    assert [(step.text, step.finish_reason) for step in found] == [("", "stop")]
    assert "".join(score.text for score in judged) == example.middle
    assert judged[-1].text == "", "the end is judged, too"
    worse = steps(generator, hole(example, middle="zebra(" + example.middle, scores=0))[-1].stats
    assert sum(score.logprob for score in worse.scores) < sum(score.logprob for score in judged) - 1
    assert worse.cached_tokens == worse.prompt_tokens, "the prompt is kept, what was judged is not"


def test_judging_is_the_same_in_parts(generator: TorchGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = GenerationRequest("value = ", "\n", middle="index + 1\n" * 20, scores=0)
    whole = [score.logprob for score in steps(generator, asked)[-1].stats.scores]
    monkeypatch.setattr(torch_generator, "_JUDGED_AT_ONCE", 7)
    assert [score.logprob for score in steps(generator, asked)[-1].stats.scores] == pytest.approx(
        whole, abs=0.05
    )


def test_judging_can_be_cancelled(generator: TorchGenerator) -> None:
    asked = GenerationRequest("value = ", middle="index + 1\n" * 100, scores=0)
    steps(generator, GenerationRequest("value = ", max_tokens=0))
    polls = itertools.count()
    assert list(generator.generate(asked, lambda: next(polls) > 1)) == []
