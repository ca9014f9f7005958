"""A project's schedule and its memory: what waits to be learned, what is left of today's budget, how runs ended.

What must survive the engine lies in two small files in the project's folder of the store, ``changed.json`` and
``schedule.json``, each replaced atomically. A damaged or missing file is an empty one; a file that cannot be written
is a ``problem`` to show, and the schedule goes on. Knows nothing of processes, clients or work trees.
"""

import json
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar

from tailora.engine.budget import Budget
from tailora.engine.journal import LIMIT, Change, Journal, Kept
from tailora.engine.schedule import Conditions, Rules
from tailora.engine.surroundings import Moment
from tailora.engine.watcher import is_relevant
from tailora_adapters.errors import StoreError
from tailora_adapters.paths import write_atomic

__all__ = ["CHANGED", "SCHEDULE", "Agenda", "Ending"]

_log = logging.getLogger(__name__)

CHANGED = "changed.json"
SCHEDULE = "schedule.json"
_LIMIT_BYTES = 8 * 2**20
_LEAST_RUN_S = 10.0
_DAY_S = 86_400.0

T = TypeVar("T")
Ending = Literal["learned", "rejected", "failed", "stopped"]
"""How a run ended: promoted; in vain, but it had its say; without a say; by the user or the engine."""


@dataclass(frozen=True, slots=True)
class _Past:
    """``schedule.json``."""

    budget: Budget
    ended: float = -math.inf
    """When the last run for completion ended: by the steady clock, on disk by the wall clock."""
    failures: int = 0
    repair_asked: bool = False
    repaired: float | None = None
    """When a run for repair last had its say, by the wall clock."""


class Agenda:
    """One project's. Event loop only, but for ``journal`` and ``save``.

    Args:
        directory: The project's folder in the store. Nothing is written to it before something has changed.
        prepare: Called before anything is written, to make the folder; see ``ProjectStore.claim``.
    """

    def __init__(self, directory: Path, prepare: Callable[[], None] | None = None) -> None:
        self.journal = Journal()
        self.problem: str | None = None
        """Why something could not be kept, if so."""
        self.watched_until: float | None = None
        """All changes before this time of the wall clock were noted; None: not known."""
        self.failures = 0
        self.repair_asked = False
        """Whether repairs were asked for since a run for repair last had its say."""
        self.directory = directory
        self._prepare = prepare
        self._budget = Budget()
        self._ended = -math.inf
        self._repaired: float | None = None
        self._writing = threading.Lock()
        self._saved: tuple[int, _Past] = (self.journal.revision, self._past())

    @classmethod
    def read(cls, directory: Path, moment: Moment, prepare: Callable[[], None] | None = None) -> "Agenda":
        """As an earlier engine left it."""
        agenda = cls(directory, prepare)
        kept, until = _read(directory / CHANGED, _decode_changes) or (Kept({}), None)
        past = _read(directory / SCHEDULE, _decode_past) or _Past(Budget())
        # Where that lies in the future the clock went back, nobody knows how far: yesterday's changes count again.
        agenda.watched_until = until if until is None or until <= moment.wall else moment.wall - _DAY_S
        agenda.journal.restore(_moved(kept, moment.now - moment.wall, latest=moment.now), moment.now)
        agenda._budget, agenda.failures = past.budget, past.failures
        agenda._ended = moment.now - max(0.0, moment.wall - past.ended)
        agenda.repair_asked, agenda._repaired = past.repair_asked, past.repaired
        if past.repair_asked:
            agenda.journal.disturb(moment.now)  # the quiet time begins anew
        agenda._saved = (agenda.journal.revision, agenda._past())
        return agenda

    def conditions(
        self,
        moment: Moment,
        rules: Rules,
        *,
        git_at_work: str | None,
        full_retrain: str | None,
        retrain_tried: bool = False,
    ) -> Conditions:
        """What ``decide`` needs."""
        news = self.journal.news(moment.now, rules.hot_s)
        return Conditions(
            now=moment.now,
            changed_files=news.files,
            many=news.many,
            resting_files=news.resting,
            new_tokens=news.new_tokens,
            fresh_tokens=news.fresh_tokens,
            waiting_since=news.waiting_since,
            quiet_since=news.quiet_since,
            committed=news.committed,
            git_at_work=git_at_work,
            load=moment.load,
            battery_percent=moment.battery_percent,
            trained_today_s=self._budget.at(moment.wall).seconds,
            last_run=self._ended,
            failures=self.failures,
            full_retrain=full_retrain,
            retrain_tried=retrain_tried,
            repair_asked=self.repair_asked,
            repaired_s_ago=self._repaired_s_ago(moment.wall),
        )

    def _repaired_s_ago(self, wall: float) -> float:
        # By the wall clock, as a day is long beside an engine's life and a machine's sleep. An end that lies in the
        # future is no end: the clock went back, and may have been years ahead.
        return math.inf if self._repaired is None or self._repaired > wall else wall - self._repaired

    def run_seconds(self, moment: Moment, rules: Rules) -> float:
        """How long a run that starts now may train: no longer than the budget lasts."""
        if not rules.budget_s_per_day:
            return rules.train_seconds
        left = rules.budget_s_per_day - self._budget.at(moment.wall).seconds
        return min(rules.train_seconds, max(left, _LEAST_RUN_S))

    def charge(self, seconds: float, moment: Moment) -> None:
        """Takes what a run has trained since the last time off the day's budget."""
        self._budget = self._budget.plus(seconds, moment.wall)

    def ask_repair(self, now: float) -> bool:
        """Somebody has code of the project repaired, which also disturbs the quiet. Returns whether that is news."""
        self.journal.disturb(now)
        news, self.repair_asked = not self.repair_asked, True
        return news

    def end_repair(self, ending: Ending, moment: Moment) -> None:
        """A run for repair ended; what waits to be learned is as it was. One that was stopped is tried again."""
        if ending != "stopped":
            self.repair_asked, self._repaired = False, moment.wall

    def end(self, ending: Ending, moment: Moment) -> None:
        """A run for completion ended."""
        self._ended = moment.now
        self.journal.end(learned=ending in ("learned", "rejected"))
        if ending == "learned":
            self.failures = 0
        elif ending != "stopped":
            self.failures += 1

    def retry(self) -> None:
        """Lets what is left be tried again soon."""
        self.failures = 0

    # On disk

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to save."""
        return self._saved != (self.journal.revision, self._past())

    def save(self, moment: Moment, *, watched: bool = True, slack_s: float = 0.0) -> None:
        """Writes what is not on disk yet. Any thread; what cannot be written is in ``problem``, and tried next time.

        Args:
            watched: Whether changes are being noted, so that this is the time until which all of them are.
            slack_s: How late a change may be noted.
        """
        with self._writing:
            revision, past = self.journal.revision, self._past()
            until = moment.wall - slack_s if watched else self.watched_until
            kept = _moved(self.journal.kept(), moment.wall - moment.now)
            try:
                if self._prepare is not None:
                    self._prepare()
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(self.directory / CHANGED, _encode_changes(kept, until))
                if past != self._saved[1]:
                    on_disk = replace(past, ended=past.ended + moment.wall - moment.now)
                    _write(self.directory / SCHEDULE, _encode_past(on_disk))
            except (OSError, StoreError) as error:
                if self.problem is None:
                    _log.warning("%s: the schedule cannot be kept: %s", self.directory, error)
                why = (error.strerror if isinstance(error, OSError) else None) or error
                self.problem = f"what waits to be learned cannot be written to disk: {why}"
                return
            self.watched_until, self.problem = until, None
            self._saved = (revision, past)

    def _past(self) -> _Past:
        return _Past(self._budget, self._ended, self.failures, self.repair_asked, self._repaired)


def _moved(kept: Kept, by: float, *, latest: float = math.inf) -> Kept:
    """With times of another clock; none later than ``latest``."""
    changes = {
        path: Change(min(change.first + by, latest), min(change.last + by, latest), change.bytes)
        for path, change in kept.changes.items()
    }
    return Kept(changes, kept.many, kept.committed)


def _write(path: Path, value: dict[str, Any]) -> None:
    # ASCII, because a path may hold bytes that are not UTF-8.
    write_atomic(path, (json.dumps({"schema": 1, **value}) + "\n").encode())


def _read(path: Path, decode: Callable[[dict[str, Any]], T]) -> T | None:
    """The content of a file; None where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            return decode(json.loads(file.read(_LIMIT_BYTES)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        _log.warning("%s cannot be read and counts as empty: %s", path, error)
        return None


def _encode_changes(kept: Kept, until: float | None) -> dict[str, Any]:
    files = {
        path: [round(change.first, 2), round(change.last, 2), change.bytes]
        for path, change in kept.changes.items()
    }
    return {"watched_until": until, "many": kept.many, "committed": kept.committed, "files": files}


def _decode_changes(value: dict[str, Any]) -> tuple[Kept, float | None]:
    changes: dict[str, Change] = {}
    for path, (first, last, size) in value["files"].items():
        change = Change(_finite(first), _finite(last), max(1, int(size)))
        if len(changes) < LIMIT and is_relevant(path) and not path.startswith("/"):
            changes[path] = change
    until = value["watched_until"]
    kept = Kept(changes, bool(value["many"]), bool(value["committed"]))
    return kept, None if until is None else _finite(until)


def _encode_past(past: _Past) -> dict[str, Any]:
    return {
        "day": past.budget.day,
        "seconds": round(past.budget.seconds, 1),
        "ended": None if math.isinf(past.ended) else past.ended,
        "failures": past.failures,
        "repair_asked": past.repair_asked,
        "repaired": past.repaired,
    }


def _decode_past(value: dict[str, Any]) -> _Past:
    day = str(value["day"])
    if day:
        date.fromisoformat(day)
    ended, repaired = value["ended"], value.get("repaired")  # before there were runs for repair: not there
    return _Past(
        Budget(day, max(0.0, _finite(value["seconds"]))),
        -math.inf if ended is None else _finite(ended),
        max(0, int(value["failures"])),
        bool(value.get("repair_asked", False)),
        None if repaired is None else _finite(repaired),
    )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a time")
    return number
