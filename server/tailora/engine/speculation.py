"""Guesses at the next tokens, found where the last few stood before: prompt lookup.

Checking a few guesses costs little more than writing one token, as decoding is bound by reading the weights. A guess is
only ever a guess: the decoder keeps those that it would have written itself. Source of the idea: Saxena, "Prompt Lookup
Decoding" (2023); verification as in Leviathan et al. (arXiv 2211.17192), greedy. Knows nothing of models.
"""

from array import array
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

__all__ = ["PromptLookup"]

_WIDTH = array("I").itemsize
_MATCHES = ((4, 5), (3, 4), (2, 3), (1, 1))
"""Length of what is looked for, and how many of the tokens behind it are guessed: the longer the match, the more."""


class PromptLookup:
    """Looks for the end of what was written so far in it and in other texts.

    Args:
        written: Tokens of the prompt.
        others: Further sequences, the most likely first, e.g. what the last suggestion was.
        never: Tokens that are not guessed, as they end a text; a guess stops before them.
    """

    def __init__(
        self, written: Sequence[int], others: Iterable[Sequence[int]] = (), never: Collection[int] = ()
    ) -> None:
        self._written = bytearray(array("I", written).tobytes())
        self._others = [array("I", tokens).tobytes() for tokens in others]
        self._never = never

    def append(self, token: int) -> None:
        """Says that ``token`` was written."""
        self._written += array("I", (token,)).tobytes()

    def guess(self, limit: int) -> list[int]:
        """Up to ``limit`` tokens that may come next."""
        if limit <= 0:
            return []
        for length, count in _MATCHES:
            if len(self._written) < length * _WIDTH:
                continue
            end = bytes(self._written[-length * _WIDTH :])
            texts: tuple[bytes | bytearray, ...] = (self._written, *self._others)
            for number, text in enumerate(texts):
                place = _last(text, end, len(self._written) - _WIDTH if number == 0 else len(text))
                if place >= 0:
                    found = array("I", bytes(text[place : place + min(limit, count) * _WIDTH])).tolist()
                    if kept := list(takewhile(lambda token: token not in self._never, found)):
                        return kept
        return []


def _last(text: bytes | bytearray, wanted: bytes, end: int) -> int:
    """Where the last occurrence of ``wanted`` that begins on a token and ends before ``end`` is over, or -1."""
    while (place := text.rfind(wanted, 0, end)) >= 0:
        if place % _WIDTH == 0:
            return place + len(wanted)
        end = place + len(wanted) - 1
    return -1
