"""What adapters scored on holes that they were asked before, so that the gate need not ask the same again.

One JSON file of numbers under hashes of prompt and adapter: no text. Knows nothing of deciding. Invariant: a number is
only used for the same tokens, the same adapter and the same arithmetic.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.paths import write_atomic

__all__ = ["HoleScore", "ScoreMemory"]

_log = logging.getLogger(__name__)

_FORM = "3"
"""Changes with the arithmetic."""
_MOST = 4_000


@dataclass(frozen=True, slots=True)
class HoleScore:
    """One hole, as in ``evaluate.Scores``."""

    nll_sum: float
    tokens: int
    exact: bool
    stops: bool
    similarity: float | None


class ScoreMemory:
    """The file is read at construction and written by ``save``; one that cannot be used counts as empty."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, HoleScore] = {}
        self._changed = False
        if path is not None:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._known = _read(path)

    def get(self, adapter: str, sequence: TokenSequence) -> HoleScore | None:
        """``adapter`` names its weights, and all else that decides what it answers."""
        return self._known.get(_key(adapter, sequence))

    def put(self, adapter: str, scores: Iterable[tuple[TokenSequence, HoleScore]]) -> None:
        """The newest are kept."""
        for sequence, score in scores:
            key = _key(adapter, sequence)
            self._changed |= self._known.pop(key, None) != score
            self._known[key] = score
        for key in list(self._known)[: max(0, len(self._known) - _MOST)]:
            del self._known[key]

    def save(self) -> None:
        """Nothing new, nothing written. A disk that is full costs time at the next run, and nothing else."""
        if self._path is None or not self._changed:
            return
        try:
            content = {"form": _FORM, "scores": {key: asdict(score) for key, score in self._known.items()}}
            write_atomic(self._path, json.dumps(content).encode())
        except OSError as error:
            _log.warning("scores could not be kept in %s: %s", self._path, error)


def _key(adapter: str, sequence: TokenSequence) -> str:
    text = json.dumps([_FORM, adapter, sequence.start, sequence.ids])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(path: Path) -> dict[str, HoleScore]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["form"] != _FORM:
            return {}
        scores: Mapping[str, Mapping[str, float]] = content["scores"]
        return {
            key: HoleScore(
                float(one["nll_sum"]),
                int(one["tokens"]),
                bool(one["exact"]),
                bool(one["stops"]),
                None if one["similarity"] is None else float(one["similarity"]),
            )
            for key, one in scores.items()
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("%s cannot be read, everything is measured again: %s", path, error)
        return {}
