"""One project as the engine knows it: who has it open, what changed, what its store says, and how that reads.

Holds state and puts it into words; starting watchers and training is up to ``projects``.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailora.engine import git
from tailora.engine.agenda import Agenda, Ending
from tailora.engine.catch_up import catch_up
from tailora.engine.schedule import Decision, Purpose, Rules, decide, unpowered
from tailora.engine.surroundings import Moment
from tailora.engine.watcher import Watcher
from tailora.engine.worker import Worker
from tailora.method_options import How
from tailora_adapters.errors import TailoraError
from tailora_adapters.manifest import BaseInfo, GateResult, encode
from tailora_adapters.store import AdapterVersion, ProjectStore

__all__ = ["OpenBy", "Project", "Snapshot", "agenda_of", "closed_status", "snapshot_of"]

_NOTHING = Decision(False, None, "nothing new to learn")
_LONGEST_CHARGE_S = 60.0
_LONGEST_HOLD_S = 300.0
"""A run that is held keeps memory and the training lock."""
_ENDINGS: dict[str, Ending] = {
    "promoted": "learned",
    "rejected": "rejected",
    "too_little_data": "rejected",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class OpenBy:
    """How one client has the project open."""

    trusted: bool
    learning: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the store says."""

    serving: str | None = None
    serving_sha256: str | None = None
    disabled: bool = False
    paused: bool = False
    last_gate: dict[str, Any] | None = None
    retrain: str | None = None
    """Why everything is to be learned anew, if so."""
    retrain_tried: bool = False
    """Whether that had its say, in vain."""
    damaged: str | None = None
    """Which version would serve if its files were whole, and what is wrong with them."""
    withdrawn: str | None = None
    """Which version was rolled back by itself, and why; until the next promotion."""
    problem: str | None = None
    foreign: str | None = None
    """Which version would serve if its base model were the loaded one."""


def gate_dict(version: str | None, gate: GateResult) -> dict[str, Any]:
    """The status's ``last_gate``: the figures lie beside decision and reason."""
    checks = encode(gate.checks)
    return {
        "version": version,
        "decision": gate.decision,
        "reason": gate.reason,
        **gate.figures,
        "checks": checks,
    }


def snapshot_of(store: ProjectStore, base: BaseInfo | None = None) -> Snapshot:
    """Reads the store; a store that cannot be read is a snapshot with a problem. ``base`` is the loaded model."""
    try:
        serving = store.serving(base)
        versions = store.versions()
        judged = [(v.version, v.manifest.gate) for v in versions if v.manifest and v.manifest.gate]
        return Snapshot(
            serving=serving.version if serving else None,
            serving_sha256=serving.sha256 if serving else None,
            disabled=store.disabled,
            paused=store.paused,
            last_gate=gate_dict(*judged[-1]) if judged else None,
            damaged=_damaged(versions, serving),
            withdrawn=_withdrawn(versions, serving, base),
            foreign=_foreign(versions, base),
            retrain=store.retrain,
            retrain_tried=store.retrain_tried,
        )
    except (TailoraError, OSError) as error:
        return Snapshot(problem=f"the adapters of this project cannot be read: {error}")


def _newer(versions: Sequence[AdapterVersion], serving: AdapterVersion | None) -> list[AdapterVersion]:
    return [v for v in versions if serving is None or int(v.version) > int(serving.version)]


def _withdrawn(
    versions: Sequence[AdapterVersion], serving: AdapterVersion | None, base: BaseInfo | None
) -> str | None:
    would = [version for version in versions if version.status == "serving" and _fits(version, base)]
    current = serving or (would[0] if would else None)
    reasons = [version.withdrawn for version in _newer(versions, current) if version.withdrawn]
    return reasons[-1] if reasons else None


def _damaged(versions: Sequence[AdapterVersion], serving: AdapterVersion | None) -> str | None:
    damaged = [version for version in _newer(versions, serving) if version.status == "corrupt"]
    if not damaged:
        return None
    return f"version {damaged[-1].version} is damaged and does not serve: {damaged[-1].problem}"


def _fits(version: AdapterVersion, base: BaseInfo | None) -> bool:
    return base is None or version.manifest is None or version.manifest.base.fits(base)


def _foreign(versions: Sequence[AdapterVersion], base: BaseInfo | None) -> str | None:
    for version in versions:
        if version.status == "serving" and version.manifest and base and not _fits(version, base):
            name = version.manifest.base.name
            other = "another build of this model" if name == base.name else name
            return f"version {version.version} was trained on {other}, and serves only there"
    return None


def agenda_of(store: ProjectStore, moment: Moment) -> Agenda:
    """The agenda as an earlier engine left it. Blocks."""
    if store.refusal is not None:  # nothing of another user's is read
        return Agenda(store.directory, store.claim)
    return Agenda.read(store.directory, moment, store.claim)


class Project:
    """An open project. Event loop only, but for its agenda's journal."""

    def __init__(
        self,
        path: Path,
        find_store: Callable[[], ProjectStore],
        agenda: Agenda,
        find_base: Callable[[], BaseInfo | None] = lambda: None,
    ) -> None:
        self.path = path
        """The real path of its root."""
        self._find_store = find_store
        self._find_base = find_base
        self.agenda = agenda
        self.problem: str | None = None
        """Why nothing can be learned here whatever the clients allow, or None."""
        self.clients: dict[str, OpenBy] = {}
        self.watcher: Watcher | None = None
        """Once no change is missed any more: what the state says of changes is true only then."""
        self.watch_note: str | None = None
        self.watch_lock = asyncio.Lock()
        self.has_news = False
        """Whether the event loop is about to look at the journal."""
        self.is_saving = False
        """Whether its agenda is about to be written."""
        self.decision = _NOTHING
        """The last one."""
        self.train_now = False
        self.how = How()
        """The method of its runs: what the client asked for that opened it last."""
        self.worker: Worker | None = None
        self.purpose: Purpose = "completion"
        """What the run is for that goes on, or was last."""
        self.was_asked = False
        """Whether the user asked for the run that goes on, at its start or since."""
        self.held: str | None = None
        """Why the run that goes on is suspended for longer than a completion takes."""
        self.progress: dict[str, Any] = {}
        self.message: str | None = None
        """How the last run ended."""
        self.last_gate: dict[str, Any] | None = None
        self._held_since = 0.0
        self._charged_s = 0.0
        self._head = git.Head()
        self._git_at_work: str | None = None
        self._snapshot: tuple[object, Snapshot] | None = None

    @property
    def store(self) -> ProjectStore:
        """Its adapters. Asked for anew each time, as another repository may be at the path by now."""
        return self._find_store()

    @property
    def trusted(self) -> bool:
        """Whether every client trusts it: one that does not is reason enough for caution."""
        return bool(self.clients) and all(client.trusted for client in self.clients.values())

    @property
    def learning(self) -> bool:
        """Whether every client wants it to be learned."""
        return bool(self.clients) and all(client.learning for client in self.clients.values())

    @property
    def watchable(self) -> bool:
        """Whether it shall be watched and learned."""
        return self.problem is None and self.trusted and self.learning

    def snapshot(self) -> Snapshot:
        """What the store says now; a few ``stat`` calls while nothing changes."""
        store, base = self.store, self._find_base()
        try:
            stamp = store.directory, store.state_mtime(), base
        except OSError:
            stamp = store.directory, -1, base
        if self._snapshot is None or self._snapshot[0] != stamp:
            self._snapshot = (stamp, snapshot_of(store, base))
        return self._snapshot[1]

    def catch_up(self, moment: Moment) -> None:
        """Notes what changed while the project was not watched, until ``moment``. Blocks; any thread."""
        manifest = None
        with contextlib.suppress(TailoraError, OSError):
            serving = self.store.serving(self._find_base())
            manifest = serving.manifest if serving is not None else None
        missed = catch_up(self.path, manifest, self.agenda.watched_until)
        self.agenda.journal.note(missed.changed, moment.now, many=missed.many)
        self.agenda.journal.know(missed.sizes)
        self.agenda.watched_until = moment.wall

    def ask_repair(self, now: float) -> bool:
        """Somebody has code of the project repaired. Returns whether that is news, for a project that is learned."""
        return self.watchable and self.agenda.ask_repair(now)

    def look_at_git(self) -> None:
        """Learns whether git is in the middle of something, and whether something was committed."""
        folder = git.git_folder(self.path)
        self._git_at_work = git.at_work(folder) if folder is not None else None
        if folder is not None and self._head.committed(folder):
            self.agenda.journal.commit()

    def decide(self, moment: Moment, rules: Rules) -> Decision:
        """Whether a run starts now."""
        if self.worker is not None or self.problem is not None or not self.trusted:
            self.decision = _NOTHING
        elif self.train_now:
            self.decision = Decision(True, 0.0, "training starts")
        elif not self.learning or self.snapshot().paused or self.snapshot().disabled:
            self.decision = _NOTHING
        else:
            self.decision = self._scheduled(moment, rules)
        return self.decision

    def _scheduled(self, moment: Moment, rules: Rules) -> Decision:
        snapshot = self.snapshot()
        conditions = self.agenda.conditions(
            moment,
            rules,
            git_at_work=self._git_at_work,
            full_retrain=snapshot.retrain,
            retrain_tried=snapshot.retrain_tried,
        )
        decision = decide(conditions, rules)
        if decision.purpose == "repair" and self.watcher is None:
            return _NOTHING  # what changed meanwhile goes first, and is not known yet
        return decision

    def begin(self, moment: Moment, rules: Rules) -> tuple[tuple[str, ...], float]:
        """Starts the run that was decided in the books; returns its changed files and how many seconds it may train.

        A run for repair is given none: what waits to be learned waits on.
        """
        asked, self.train_now = self.train_now, False
        self.purpose, self.was_asked, self.held = self.decision.purpose, asked, None
        self.progress, self._charged_s = {}, 0.0
        seconds = rules.train_seconds if asked else self.agenda.run_seconds(moment, rules)
        if self.purpose == "repair":
            return (), seconds
        return self.agenda.journal.begin(moment.now, 0.0 if asked else rules.hot_s), seconds

    def hold(self, moment: Moment, rules: Rules) -> bool:
        """Looks whether the run that goes on has to wait for power; returns whether that changed."""
        before, self.held = self.held, None
        if not self.was_asked:
            self.held = unpowered(moment.battery_percent, rules)
        if before is None:
            self._held_since = moment.now
        return self.held != before

    def held_too_long(self, moment: Moment) -> bool:
        """Whether the run that goes on has waited for power for so long that it had better be ended."""
        return self.held is not None and moment.now - self._held_since > _LONGEST_HOLD_S

    def ask_run(self) -> None:
        """The user wants a run for completion: the one that goes on, if there is one, and waits for no power."""
        if self.worker is not None and not self.worker.ended_because and self.purpose == "completion":
            self.was_asked = True
        else:
            self.train_now = True

    def charge(self, moment: Moment) -> None:
        """Takes what the worker ran since the last time off the day's budget."""
        if self.worker is not None:
            ran = self.worker.running_s
            # More at once is no training: the machine slept, and its steady clock went on.
            self.agenda.charge(min(max(ran - self._charged_s, 0.0), _LONGEST_CHARGE_S), moment)
            self._charged_s = ran

    def status(
        self, root: str, moment: Moment, rules: Rules, broken: dict[str, str], *, other_trains: bool
    ) -> dict[str, Any]:
        """The status's ``project``."""
        snapshot = self.snapshot()
        state, message = self._state(moment, rules, snapshot, other_trains=other_trains)
        notes = [
            message,
            self.watch_note,
            self.agenda.problem,
            snapshot.problem,
            snapshot.damaged,
            snapshot.withdrawn,
            snapshot.foreign,
        ]
        if snapshot.serving_sha256 in broken:
            why = broken[snapshot.serving_sha256]
            notes.append(f"version {snapshot.serving} cannot be read and does not serve: {why}")
        return {
            "root": root,
            "trusted": self.trusted,
            "learning": self.learning,
            "state": state,
            "message": "; ".join(note for note in notes if note),
            "progress": self.progress.get("fraction") if self.worker is not None else None,
            "serving": snapshot.serving,
            "disabled": snapshot.disabled,
            "withdrawn": snapshot.withdrawn,
            "changed_files": len(self.agenda.journal),
            "last_gate": self.last_gate or snapshot.last_gate,
        }

    def _state(
        self, moment: Moment, rules: Rules, snapshot: Snapshot, *, other_trains: bool
    ) -> tuple[str, str]:
        if self.worker is not None:
            state = "gating" if self.progress.get("stage") == "gating" else "training"
            message = self.held or str(self.progress.get("message") or "starting to train")
            return state, f"learning to repair: {message}" if self.purpose == "repair" else message
        if self.problem is not None:
            return "off", self.problem
        if not self.clients:
            return "off", "not open in any editor"
        when = " when the other project's is done" if other_trains else ""
        if self.train_now:
            return "waiting", f"training starts{when}"
        if not self.learning:
            return "off", "learning is turned off"
        if not self.trusted:
            return "untrusted", "nothing is learned here, as the workspace is not trusted"
        if snapshot.paused:
            return "paused", "learning is paused"
        if snapshot.disabled:
            return "idle", "this project's adapter is turned off, the foundation adapter serves"
        decision = self._scheduled(moment, rules)
        if decision.in_s is None and self.watcher is None:
            return "waiting", "starts to watch the files"
        if decision.in_s is None:
            if self.message and decision != _NOTHING:
                return "idle", f"{self.message}; {decision.why}"
            return "idle", self.message or decision.why
        if decision.start:
            return "waiting", f"{decision.why}{when}"
        failed = self.agenda.failures and not self.agenda.journal.has_fresh
        if self.message and (failed or decision.purpose == "repair"):
            return "waiting", f"{self.message}; {decision.why}"
        return "waiting", decision.why

    def ended(self, done: dict[str, Any], moment: Moment, *, ended_because: str = "") -> None:
        """Takes a worker's ``done`` event, and why the engine ended it if that is what happened."""
        self.charge(moment)
        self.worker = None
        ending: Ending = _ENDINGS[done["decision"]]
        if ending == "failed" and ended_because:
            ending = "stopped"
        if self.purpose == "repair":
            self.agenda.end_repair(ending, moment)
        else:
            self.agenda.end(ending, moment)
        self._tell(done, ended_because)

    def _tell(self, done: dict[str, Any], ended_because: str) -> None:
        decision, version, reason = done["decision"], done.get("version"), str(done.get("reason") or "")
        opening = {
            "promoted": f"version {version} serves",
            "rejected": "the new adapter was not better and was dropped",
            "too_little_data": "too little to learn from",
            "failed": "training failed",
        }[decision]
        if ended_because:
            opening = "training was stopped"
        if reason.startswith(opening):  # the worker has said it already
            self.message = reason
        else:
            self.message = f"{opening}: {reason}" if reason else opening
        self._snapshot = None
        if self.purpose == "repair":  # versions of its own: they are no completion's
            self.message = f"adapter for repair: {self.message}"
            return
        gate = done.get("gate")
        if isinstance(gate, dict):
            figures = gate.get("figures")
            flat = {**gate, **figures} if isinstance(figures, dict) else dict(gate)
            flat.pop("figures", None)
            self.last_gate = {**flat, "version": version, "decision": decision, "reason": reason}


def closed_status(project: Project, root: str) -> dict[str, Any]:
    """The status's ``project`` for one that no client has open."""
    return project.status(root, Moment(), Rules(), {}, other_trains=False)
