"""One project as the engine knows it: who has it open, what changed, what its store says, and how that reads.

Holds state and puts it into words; starting watchers and training is up to ``projects``.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailora.engine.journal import Journal, Rules
from tailora.engine.watcher import Watcher
from tailora.engine.worker import Worker
from tailora_adapters.errors import TailoraError
from tailora_adapters.manifest import BaseInfo, GateResult, encode
from tailora_adapters.store import AdapterVersion, ProjectStore

__all__ = ["OpenBy", "Project", "Snapshot", "snapshot_of"]


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
    damaged: str | None = None
    """Which version would serve if its files were whole, and what is wrong with them."""
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
            foreign=_foreign(versions, base),
        )
    except (TailoraError, OSError) as error:
        return Snapshot(problem=f"the adapters of this project cannot be read: {error}")


def _damaged(versions: Sequence[AdapterVersion], serving: AdapterVersion | None) -> str | None:
    newer = versions if serving is None else [v for v in versions if int(v.version) > int(serving.version)]
    damaged = [version for version in newer if version.status == "corrupt"]
    if not damaged:
        return None
    return f"version {damaged[-1].version} is damaged and does not serve: {damaged[-1].problem}"


def _foreign(versions: Sequence[AdapterVersion], base: BaseInfo | None) -> str | None:
    for version in versions:
        if version.status == "serving" and version.manifest and base and not version.manifest.base.fits(base):
            name = version.manifest.base.name
            other = "another build of this model" if name == base.name else name
            return f"version {version.version} was trained on {other}, and serves only there"
    return None


class Project:
    """An open project. Event loop only, but for its journal."""

    def __init__(
        self,
        path: Path,
        find_store: Callable[[], ProjectStore],
        problem: str | None,
        find_base: Callable[[], BaseInfo | None] = lambda: None,
    ) -> None:
        self.path = path
        """The real path of its root."""
        self._find_store = find_store
        self._find_base = find_base
        self.problem = problem
        """Why nothing can be learned here whatever the clients allow, or None."""
        self.clients: dict[str, OpenBy] = {}
        self.journal = Journal()
        self.watcher: Watcher | None = None
        self.watch_note: str | None = None
        self.watch_lock = asyncio.Lock()
        self.has_news = False
        """Whether the event loop is about to look at the journal."""
        self.train_now = False
        self.worker: Worker | None = None
        self.progress: dict[str, Any] = {}
        self.message: str | None = None
        """How the last run ended."""
        self.last_gate: dict[str, Any] | None = None
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

    def due_in(self, now: float, rules: Rules) -> float | None:
        """Seconds until a run may start, None if none is to come."""
        if self.worker is not None or self.problem is not None or not self.trusted:
            return None
        if self.train_now:
            return 0.0
        if not self.learning:
            return None
        due = self.journal.due_in(now, rules)
        if due is None:
            return None
        snapshot = self.snapshot()
        return None if snapshot.paused or snapshot.disabled else due

    def status(
        self, root: str, now: float, rules: Rules, broken: dict[str, str], *, other_trains: bool
    ) -> dict[str, Any]:
        """The status's ``project``."""
        snapshot = self.snapshot()
        state, message = self._state(now, rules, snapshot, other_trains=other_trains)
        notes = [message, self.watch_note, snapshot.problem, snapshot.damaged, snapshot.foreign]
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
            "changed_files": len(self.journal),
            "last_gate": self.last_gate or snapshot.last_gate,
        }

    def _state(self, now: float, rules: Rules, snapshot: Snapshot, *, other_trains: bool) -> tuple[str, str]:
        if self.worker is not None:
            state = "gating" if self.progress.get("stage") == "gating" else "training"
            return state, str(self.progress.get("message") or "starting to train")
        if self.problem is not None:
            return "off", self.problem
        if not self.clients:
            return "off", "not open in any editor"
        if self.train_now:
            return (
                "waiting",
                "training starts when the other project's is done" if other_trains else "training starts",
            )
        if not self.learning:
            return "off", "learning is turned off"
        if not self.trusted:
            return "untrusted", "nothing is learned here, as the workspace is not trusted"
        if snapshot.paused:
            return "paused", "learning is paused"
        if snapshot.disabled:
            return "idle", "this project's adapter is turned off, the foundation adapter serves"
        due = self.journal.due_in(now, rules)
        if due is None:
            return "idle", self.message or "nothing new to learn"
        return "waiting", self._waiting_message(due, rules, other_trains=other_trains)

    def _waiting_message(self, due: float, rules: Rules, *, other_trains: bool) -> str:
        count = len(self.journal)
        files = "1 changed file" if count == 1 else f"{count} changed files"
        if due > rules.quiet_s:
            return f"{files}; the next training is {round(due)} s away"
        if due > 0:
            return f"{files}; training starts {rules.quiet_s:g} s after the last change"
        return (
            f"{files}; training starts when the other project's is done"
            if other_trains
            else f"{files}; training starts"
        )

    def finished(self, done: dict[str, Any], *, ended_because: str = "") -> None:
        """Takes a worker's ``done`` event, and why the engine ended it if that is what happened."""
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
        gate = done.get("gate")
        if isinstance(gate, dict):
            figures = gate.get("figures")
            flat = {**gate, **figures} if isinstance(figures, dict) else dict(gate)
            flat.pop("figures", None)
            self.last_gate = {**flat, "version": version, "decision": decision, "reason": reason}
        self._snapshot = None


def closed_status(project: Project, root: str) -> dict[str, Any]:
    """The status's ``project`` for one that no client has open."""
    return project.status(root, 0.0, Rules(), {}, other_trains=False)
