"""FIM examples to token sequences, by the same prompt that serving builds. Knows nothing of models."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tailora_adapters.base.prompt import PromptBudget, build_prompt
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.examples import FimExample

__all__ = ["TokenSequence", "encode", "encode_all"]

ContextOf = Mapping[str, Sequence[tuple[str, str]]]
"""Snippets (path, text) that serving would show beside a file, by the file's path."""


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """``ids[start:]`` is the middle and its end token, on which a model is judged."""

    ids: tuple[int, ...]
    start: int
    tail: int
    """Where the prompt's tail begins (``base.prompt``): as much part of the hole as the middle, so that it is learned
    from too."""
    example: FimExample
    code: tuple[int, ...] = ()
    """Places of the prompt before the tail whose token follows from those before it: no control tokens, nothing right
    behind one."""

    @property
    def labels(self) -> int:
        """Number of tokens that a model is judged on."""
        return len(self.ids) - self.start


def encode(
    tokenizer: CodeTokenizer,
    example: FimExample,
    budget: PromptBudget,
    context: Sequence[tuple[str, str]] = (),
) -> TokenSequence:
    """Prompt, middle, end token."""
    prompt = build_prompt(
        tokenizer, example.prefix, example.suffix, context=context, path=example.path, budget=budget
    )
    ids, control = prompt.ids, tokenizer.stop_ids
    code = tuple(
        place
        for place in range(1, prompt.tail)
        if ids[place] not in control and ids[place - 1] not in control
    )
    return TokenSequence(
        (*ids, *tokenizer.encode(example.middle), tokenizer.end_id), len(ids), prompt.tail, example, code
    )


def encode_all(
    tokenizer: CodeTokenizer,
    examples: Sequence[FimExample],
    *,
    seed: int,
    max_prompt: int = 384,
    context: ContextOf | None = None,
    context_share: float = 0.5,
) -> list[TokenSequence]:
    """Encodes with budgets of many sizes, so that short files, long ones and every cut are learned.

    ``context_share`` of the examples get the snippets that ``context`` has for their file.
    """
    result = []
    for example in examples:
        rng = random.Random(f"{seed}:{example.path}:{example.line}:{example.middle}")
        total = rng.randint(max_prompt // 3, max_prompt)
        suffix = rng.randint(total // 8, total // 4)
        snippets: Sequence[tuple[str, str]] = ()
        if context and rng.random() < context_share:
            snippets = context.get(example.path, ())
        reserved = total // 4 if snippets else 0
        budget = PromptBudget(prefix=total - suffix - reserved, suffix=suffix, context=reserved)
        result.append(encode(tokenizer, example, budget, snippets))
    return result
