"""From prefix, suffix and snippets to the token ids of a fill-in-the-middle prompt within a budget.

Serving and training build their prompts here, so that a model is trained on what it will be asked. The invariant:
what stands first changes least (snippets, then the prefix from a line that is a multiple of ``ANCHOR_LINES``),
so that a KV cache survives typing. Knows nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tailora_adapters.base.fim import PREFIX, SUFFIX
from tailora_adapters.base.tokenizer import CodeTokenizer

__all__ = ["ANCHOR_LINES", "PromptBudget", "build_prompt"]

ANCHOR_LINES = 16
"""A prefix that is cut begins at a line whose number is a multiple of this; callers that cut earlier keep to it."""

_CHARS_PER_TOKEN = 8
"""More characters than a token of code has on average (3 to 4): bounds what is tokenized of a long text."""


@dataclass(frozen=True, slots=True)
class PromptBudget:
    """Upper limits, in tokens."""

    prefix: int = 512
    suffix: int = 96
    context: int = 192


def build_prompt(
    tokenizer: CodeTokenizer,
    prefix: str,
    suffix: str,
    *,
    context: Sequence[tuple[str, str]] = (),
    path: str | None = None,
    budget: PromptBudget = PromptBudget(),
) -> list[int]:
    """Token ids of the prompt; the middle is what follows them.

    ``context`` holds (path, text) pairs, the most stable first; those that no longer fit are left out whole.
    Line endings should be LF.
    """
    ids = _context_ids(tokenizer, context, path, budget.context)
    for part in tokenizer.fim.template:
        if part == PREFIX:
            ids += _prefix_ids(tokenizer, prefix, budget.prefix)
        elif part == SUFFIX:
            ids += _suffix_ids(tokenizer, suffix, budget.suffix)
        else:
            identifier = tokenizer.token_id(part)
            assert identifier is not None, f"{part} was in the vocabulary when the format was chosen"
            ids.append(identifier)
    return ids


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
