"""Guesses at the next tokens, found where the last few stood before: prompt lookup.

Checking a few guesses costs less than writing as many tokens, as decoding is bound by reading the weights. A guess is
only ever a guess: the decoder keeps those that it would have written itself. Sources of the idea: Saxena, "Prompt
Lookup Decoding" (2023), and verification as in Leviathan et al. (arXiv 2211.17192), greedy. Knows nothing of models.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

__all__ = ["PromptLookup"]

_LONGEST = 4
_WORTH = 0.4
"""Below it, checking costs more than it saves: a token more in a step costs a fifth of it (docs/experiments.md)."""
_PRIOR = {1: 0.25, 2: 0.45, 3: 0.65, 4: 0.75}
_TRUST = {1: 0.6, 2: 0.8, 3: 0.9, 4: 0.95}
"""Both measured on 70 holes in Python and C++ (docs/experiments.md)."""


class PromptLookup:
    """Finds the places where the longest end of what was written stood before, and counts what followed there.

    Args:
        written: Tokens of the prompt.
        earlier: Another text that is likely to be repeated, e.g. the last suggestion; as if it stood before the prompt.
        never: Tokens that are not guessed; a guess stops before them.
        worth: Least probability that all guesses up to one hold, by the tables above.
    """

    def __init__(
        self,
        written: Sequence[int],
        earlier: Sequence[int] = (),
        never: Collection[int] = (),
        *,
        worth: float = _WORTH,
    ) -> None:
        self._worth = worth
        self._tokens = [*earlier, *written]
        self._places: defaultdict[int, list[int]] = defaultdict(list)
        for place, token in enumerate(self._tokens[:-1]):
            self._places[token].append(place)
        self._never = never

    def append(self, token: int) -> None:
        """Says that ``token`` was written."""
        if self._tokens:
            self._places[self._tokens[-1]].append(len(self._tokens) - 1)
        self._tokens.append(token)

    def guess(self, limit: int) -> list[int]:
        """Up to ``limit`` tokens that may come next; fewer or none where they are not likely enough."""
        end = self._tokens[-_LONGEST:]
        guesses: list[int] = []
        certainty = 1.0
        while len(guesses) < limit and end:
            token, probability = self._next(end)
            certainty *= probability
            if certainty < self._worth or token in self._never:
                break
            guesses.append(token)
            end.append(token)
        return guesses

    def _next(self, end: Sequence[int]) -> tuple[int, float]:
        longest, votes = 0, Counter[int]()
        for place in self._places.get(end[-1], ()):
            length = 1
            while (
                length < min(_LONGEST, len(end), place + 1)
                and self._tokens[place - length] == end[-1 - length]
            ):
                length += 1
            if length > longest:
                longest, votes = length, Counter()
            if length == longest:
                votes[self._tokens[place + 1]] += 1
        if not longest:
            return -1, 0.0
        token, count = votes.most_common(1)[0]
        return token, _TRUST[longest] * (count + _PRIOR[longest]) / (votes.total() + 1)
