"""The control tokens of models as text: found, and cut with all that follows them.

A model that runs past the end of the hole writes them, or a server that detokenizes does; none may ever be
shown. Invariant: what ``cut`` returns has no token in it, and cutting it again changes nothing.
"""

import re

from tailora.completion.snapshot import Snapshot

__all__ = ["LONGEST", "cut", "find"]

LONGEST = 64
"""No token is longer, in characters."""

_TOKENS = re.compile(
    r"""
      <\|[A-Za-z][\w▁.:/-]{0,40}\|>                     # Qwen, Llama 3, Phi: <|fim_middle|>, <|endoftext|>
    | <｜[^\n｜]{1,40}｜>                                # DeepSeek: <｜fim▁hole｜>
    | <fim[_-](?:prefix|middle|suffix|pad)>             # StarCoder, SantaCoder, Granite
    | <(?:file_sep|repo_name|gh_stars|endoftext)>
    """,
    re.VERBOSE,
)
# CodeLlama's and Codestral's look like a type argument or a subscript: they count only where the document
# does not have the name.
_NAMED = re.compile(r"▁?(?<!<)<(PRE|SUF|MID|EOT)>|\[(PREFIX|SUFFIX|MIDDLE|/?INST)\]")
# What a stream that was cut in the middle of a token leaves.
_PARTIAL = re.compile(
    r"<(?:\|[A-Za-z][\w▁.:/-]{0,40}\|?|\|$|｜[^\n｜]{0,40}｜?|fim[_-][a-z]{0,7}|file_(?:s(?:ep?)?)?)\Z"
)
_NAME_CHARS = 32_768


def find(text: str, snapshot: Snapshot, start: int = 0) -> int:
    """Index of the first whole token in ``text`` from ``start`` on, or -1."""
    match = _TOKENS.search(text, start)
    end = match.start() if match else len(text)
    for named in _NAMED.finditer(text, start, end):
        low, high = max(0, snapshot.offset - _NAME_CHARS), snapshot.offset + _NAME_CHARS
        if not re.compile(rf"\b{(named[1] or named[2]).strip('/')}\b").search(snapshot.text, low, high):
            return named.start()
    return match.start() if match else -1


def cut(text: str, snapshot: Snapshot) -> str:
    """``text`` up to its first control token, whole or, at the very end, in part."""
    index = find(text, snapshot)
    if index >= 0:
        text = text[:index]
    while match := _PARTIAL.search(text, max(0, len(text) - LONGEST)):
        text = text[: match.start()]
    return text
