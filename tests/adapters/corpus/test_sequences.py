"""A sequence is the prompt that serving builds, then the middle and its end, on which a model is judged."""

from dataclasses import replace
from typing import Any

from tailora_adapters.base.prompt import PromptBudget, build_prompt
from tailora_adapters.corpus.sequences import encode, encode_all


def test_labels_are_middle_and_end(tokenizer: Any, training_examples: list[Any]) -> None:
    for example in training_examples:
        sequence = encode(tokenizer, example, PromptBudget())
        expected = build_prompt(tokenizer, example.prefix, example.suffix, path=example.path)
        assert list(sequence.ids[: sequence.start]) == expected.ids
        assert sequence.tail == expected.tail
        labels = list(sequence.ids[sequence.start :])
        assert labels[-1] == tokenizer.end_id
        assert tokenizer.decode(labels[:-1]) == example.middle
        assert sequence.labels == len(labels)


def test_budgets_vary_and_hold(tokenizer: Any, training_examples: list[Any]) -> None:
    examples = [replace(example, line=line) for line in range(5) for example in training_examples]
    sequences = encode_all(tokenizer, examples, seed=1, max_prompt=60)
    lengths = {sequence.tail for sequence in sequences}
    assert max(lengths) <= 60 + 3  # and the three tokens of the format
    assert len(lengths) > 10
    # The same whatever stands beside it.
    assert sequences[7:9] == encode_all(tokenizer, examples[7:9], seed=1, max_prompt=60)


def test_some_get_context(tokenizer: Any, training_examples: list[Any]) -> None:
    context = {"shelf.py": (("board.py", "class Board: ..."),)}
    sequences = encode_all(
        tokenizer, training_examples * 5, seed=1, max_prompt=300, context=context, context_share=0.5
    )
    separator = tokenizer.token_id("<|file_sep|>")
    with_context = [sequence for sequence in sequences if separator in sequence.ids]
    assert 0.2 * len(sequences) < len(with_context) < 0.8 * len(sequences)
    assert all("class Board" in tokenizer.decode(list(s.ids[: s.start])) for s in with_context)
