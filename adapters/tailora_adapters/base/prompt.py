"""From prefix, suffix and snippets to the token ids of a fill-in-the-middle prompt within a budget.

Serving and training build their prompts here, so that a model is trained on what it will be asked. The invariant:
what stands first changes least, so that a KV cache survives typing. Where a format puts the suffix behind the prefix,
the hole therefore begins some lines above the cursor, and the lines from there on stand behind the middle token, as if
the model had written them (the tail)::

    snippets  <prefix> head <suffix> suffix <middle> tail|
              head:  whole lines, from a multiple of ANCHOR_LINES to a multiple of TAIL_LINES
              tail:  the rest up to the cursor, all that typing changes

Knows nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tailora_adapters.base.fim import PREFIX, SUFFIX
from tailora_adapters.base.tokenizer import CodeTokenizer

__all__ = ["ANCHOR_LINES", "TAIL_LINES", "Prompt", "PromptBudget", "build_prompt"]

ANCHOR_LINES = 16
"""A prefix that is cut begins at a line whose number is a multiple of this; callers that cut earlier keep to it."""
TAIL_LINES = 8
"""The tail begins at a line whose number is a multiple of this, which divides ``ANCHOR_LINES``."""

_CHARS_PER_TOKEN = 8
"""More characters than a token of code has on average (3 to 4): bounds what is tokenized of a long text."""


@dataclass(frozen=True, slots=True)
class PromptBudget:
    """Upper limits, in tokens."""

    prefix: int = 512
    suffix: int = 96
    context: int = 192
    tail: int = 160
    """A longer tail begins at the cursor's line; a line that is longer still belongs to the head."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads before it fills the hole."""

    ids: list[int]
    tail: int
    """Place in ``ids`` of the first token of the tail; ``len(ids)`` where there is none."""


def build_prompt(
    tokenizer: CodeTokenizer,
    prefix: str,
    suffix: str,
    *,
    context: Sequence[tuple[str, str]] = (),
    path: str | None = None,
    budget: PromptBudget = PromptBudget(),
) -> Prompt:
    """The prompt; the middle is what follows it.

    ``context`` holds (path, text) pairs, the most stable first; those that no longer fit are left out whole.
    Line endings should be LF.
    """
    template = tokenizer.fim.template
    head, tail = prefix, list[int]()
    if template[-1] != PREFIX:
        head, tail = _split(tokenizer, prefix, budget.tail)
    ids = _context_ids(tokenizer, context, path, budget.context)
    for part in template:
        if part == PREFIX:
            ids += _prefix_ids(tokenizer, head, budget.prefix)
        elif part == SUFFIX:
            ids += _suffix_ids(tokenizer, suffix, budget.suffix)
        else:
            identifier = tokenizer.token_id(part)
            assert identifier is not None, f"{part} was in the vocabulary when the format was chosen"
            ids.append(identifier)
    return Prompt(ids + tail, len(ids))


def _split(tokenizer: CodeTokenizer, prefix: str, budget: int) -> tuple[str, list[int]]:
    """Head, and the tokens of the tail."""
    lines = prefix.split("\n")
    current = len(lines) - 1
    for first in (current - current % TAIL_LINES, current):
        tail = "\n".join(lines[first:])
        ids = tokenizer.encode(tail) if len(tail) <= budget * _CHARS_PER_TOKEN else []
        if len(ids) <= budget and (ids or not tail):
            return prefix[: len(prefix) - len(tail)], ids
    return prefix, []


def _context_ids(
    tokenizer: CodeTokenizer, context: Sequence[tuple[str, str]], path: str | None, budget: int
) -> list[int]:
    separator = tokenizer.fim.file_separator
    separator_id = tokenizer.token_id(separator) if separator else None
    if separator_id is None or not context:
        return []
    ids: list[int] = []
    for name, text in context:
        piece = [separator_id, *tokenizer.encode(f"{name}\n{text.rstrip()}\n")]
        if len(ids) + len(piece) > budget:
            break
        ids += piece
    if ids:
        ids += [separator_id, *tokenizer.encode(f"{path or 'untitled'}\n")]
    return ids


def _prefix_ids(tokenizer: CodeTokenizer, prefix: str, budget: int) -> list[int]:
    lines = prefix.splitlines(keepends=True) or [""]
    start = 0
    # A cheap bound first, then whole steps of ANCHOR_LINES until it fits; the last step may be a single long line.
    size = len(prefix)
    while size > budget * _CHARS_PER_TOKEN and start + ANCHOR_LINES < len(lines):
        size -= sum(map(len, lines[start : start + ANCHOR_LINES]))
        start += ANCHOR_LINES
    ids = tokenizer.encode("".join(lines[start:])[-budget * _CHARS_PER_TOKEN :])
    while len(ids) > budget and start + ANCHOR_LINES < len(lines):
        start += ANCHOR_LINES
        ids = tokenizer.encode("".join(lines[start:]))
    return ids[-budget:]


def _suffix_ids(tokenizer: CodeTokenizer, suffix: str, budget: int) -> list[int]:
    ids = tokenizer.encode(suffix[: budget * _CHARS_PER_TOKEN])
    if len(ids) <= budget:
        return ids
    # Cut at a line's end where one is near, so that the model does not see half a line.
    text = tokenizer.decode(ids[:budget])
    head, newline, _ = text.rpartition("\n")
    return tokenizer.encode(head + newline)[:budget] if len(head) > len(text) // 2 else ids[:budget]
