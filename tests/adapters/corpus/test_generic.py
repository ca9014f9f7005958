"""Generic code: of Python's library, other for training than for the gate, and the same every time."""

from tailora_adapters.corpus import generic
from tailora_adapters.corpus.examples import FimExample, SpanMix


def modules(examples: list[FimExample]) -> set[str]:
    return {example.path.removeprefix("<library>/").split(".py")[0] for example in examples}


def test_what_is_asked_is_never_replayed() -> None:
    asked, replayed = generic.asked(40), generic.replayed(400, seed=1, mix=SpanMix())
    assert len(asked) == 40
    assert len(replayed) == 400
    assert not modules(asked) & modules(replayed)
    assert all(example.path.startswith("<library>/") for example in (*asked, *replayed))


def test_the_same_questions_and_other_replay_for_another_seed() -> None:
    assert generic.asked(12) == generic.asked(12)
    first, second = (generic.replayed(12, seed=seed, mix=SpanMix()) for seed in (1, 2))
    assert first == generic.replayed(12, seed=1, mix=SpanMix())
    assert first != second


def test_functions_alone_and_whole_modules() -> None:
    paths = [example.path for example in generic.asked(30)]
    alone = [path for path in paths if path.count(".py") == 2]
    assert len(alone) == 20
    assert len(set(alone)) == 20
