"""KV states of recent prompts, so that a keystroke costs only the tokens that changed.

The invariant: a state is only ever continued under the adapter (by hash of its weights) that computed it. Knows
nothing of models beyond copying and cropping; used on the generation thread only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

__all__ = ["KvPool", "KvState"]


class KvState(Protocol):
    """What a decoder keeps of the tokens that it has read."""

    @property
    def tokens(self) -> list[int]:
        """Tokens read, in order."""

    def crop(self, length: int) -> None:
        """Forgets all tokens after the first ``length``."""

    def copy(self, length: int) -> "KvState":
        """A state of its own with the first ``length`` tokens."""


State = TypeVar("State", bound=KvState)


@dataclass(slots=True)
class _Slot(Generic[State]):
    adapter: str
    document: str | None
    state: State
    used: int = field(default=0)


class KvPool(Generic[State]):
    """At most ``size`` states, the least recently used one leaves."""

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._slots: list[_Slot[State]] = []
        self._clock = 0

    def take(self, adapter: str, document: str | None, prompt: Sequence[int]) -> State | None:
        """A state that holds the longest beginning of ``prompt`` that is at hand (not all of it: at least one
        token is left to compute), or None. It leaves the pool until it is put back."""
        best: _Slot[State] | None = None
        best_length = 0
        for slot in self._slots:
            length = _common(slot.state.tokens, prompt) if slot.adapter == adapter else 0
            if length > best_length:
                best, best_length = slot, length
        best_length = min(best_length, len(prompt) - 1)
        if best is None or best_length <= 0:
            return None
        # Another document's state keeps its own tail: only the shared beginning is copied.
        if best.document == document or best_length >= len(best.state.tokens) // 2:
            self._slots.remove(best)
            best.state.crop(best_length)
            return best.state
        state: State = best.state.copy(best_length)  # type: ignore[assignment]
        return state

    def put(self, adapter: str, document: str | None, state: State) -> None:
        """Keeps a state; an older one of the same document goes."""
        self._clock += 1
        if document is not None:
            self._slots = [
                slot for slot in self._slots if slot.document != document or slot.adapter != adapter
            ]
        self._slots.append(_Slot(adapter, document, state, self._clock))
        if len(self._slots) > self._size:
            self._slots.remove(min(self._slots, key=lambda slot: slot.used))

    def clear(self) -> None:
        """Forgets everything."""
        self._slots.clear()

    def __len__(self) -> int:
        return len(self._slots)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    length = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        length += 1
    return length
