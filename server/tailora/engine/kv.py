"""KV states of recent prompts, so that a keystroke costs only the tokens that changed.

Many states, each a whole prompt, rather than a tree of shared blocks: attention wants its keys in one piece, and a
shared beginning of a few hundred tokens is copied in milliseconds. The invariants: a state is only ever continued
under the adapter (by hash of its weights) that computed it, and a request never takes away what another place still
needs. Knows nothing of models beyond copying and cropping; used on the generation thread only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

__all__ = ["KvPool", "KvState"]

_KEEP = 64
"""A state that would lose more tokens than this to a request is copied: its place may be returned to."""


class KvState(Protocol):
    """What a decoder keeps of the tokens that it has read."""

    @property
    def tokens(self) -> list[int]:
        """Tokens read, in order."""

    @property
    def halted_ids(self) -> Sequence[int]:
        """Tokens after these whose reading was stopped half way, and goes on if they come next."""

    @property
    def prompt_length(self) -> int:
        """How many of the tokens are a prompt whose last logits are kept; 0 for none."""

    def crop(self, length: int) -> None:
        """Forgets all tokens after the first ``length``."""

    def copy(self, length: int) -> "KvState":
        """A state of its own with the first ``length`` tokens."""


State = TypeVar("State", bound=KvState)


@dataclass(slots=True)
class _Slot(Generic[State]):
    adapter: str
    state: State


class KvPool(Generic[State]):
    """States of at most ``max_tokens`` tokens in all, the least recently used ones leave first."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._slots: list[_Slot[State]] = []  # the most recently used last

    def take(self, adapter: str, prompt: Sequence[int]) -> State | None:
        """A state that holds the longest beginning of ``prompt`` that is at hand, or None; all of it only where that
        prompt's last logits are kept, else at least one token is left to compute. It is the caller's until it is
        put back."""
        best: _Slot[State] | None = None
        best_length, best_score = 0, 0.0
        for slot in reversed(self._slots):
            if slot.adapter != adapter:
                continue
            length = _common(slot.state.tokens, prompt)
            score = length + 0.5 * _halted(slot.state, prompt, length)
            if score > best_score:
                best, best_length, best_score = slot, length, score
        if best is None:
            return None
        if best.state.prompt_length != len(prompt):
            best_length = min(best_length, len(prompt) - 1)
        if len(best.state.tokens) - best_length > _KEEP:
            state: State = best.state.copy(best_length)  # type: ignore[assignment]
            return state
        self._slots.remove(best)
        best.state.crop(best_length)
        return best.state

    def put(self, adapter: str, state: State) -> None:
        """Keeps a state; those that hold nothing beyond it go."""
        tokens = state.tokens
        self._slots = [
            slot
            for slot in self._slots
            if slot.adapter != adapter
            or slot.state.tokens != tokens[: len(slot.state.tokens)]
            or (slot.state.halted_ids and not _halted(slot.state, tokens, len(slot.state.tokens)))
        ]
        self._slots.append(_Slot(adapter, state))
        self.shrink(self.max_tokens)

    def shrink(self, max_tokens: int) -> None:
        """Forgets the least recently used states until at most ``max_tokens`` are held, but never the newest."""
        held = self.tokens
        while held > max_tokens and len(self._slots) > 1:
            held -= len(self._slots.pop(0).state.tokens)

    @property
    def tokens(self) -> int:
        """How many tokens are held."""
        return sum(len(slot.state.tokens) for slot in self._slots)

    def clear(self) -> None:
        """Forgets everything."""
        self._slots.clear()

    def __len__(self) -> int:
        return len(self._slots)


def _halted(state: KvState, prompt: Sequence[int], length: int) -> int:
    """How many of the tokens that ``state`` was stopped in come next in ``prompt``: all or none."""
    ids = state.halted_ids
    fits = length == len(state.tokens) and list(prompt[length : length + len(ids)]) == list(ids)
    return len(ids) if fits else 0


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    length = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        length += 1
    return length
