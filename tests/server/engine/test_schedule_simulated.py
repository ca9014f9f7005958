"""Days of work on a project in seconds: the real books on a real disk, with clocks and a worker of our own.

Whatever happens, every change is given to a run that has its say or still waits, no day's budget is exceeded, and
repair is learned once a day at most, when nothing else waits.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from tailora.engine.agenda import Agenda
from tailora.engine.project import OpenBy, Project
from tailora.engine.schedule import Rules
from tailora.engine.surroundings import Moment
from tailora.engine.watcher import Watcher
from tailora.engine.worker import Worker
from tailora_adapters.store import Store

RULES = Rules(budget_s_per_day=300, train_seconds=120)
TICK_S = 10.0
START = 1_795_608_000.0


@dataclass
class FakeWorker:
    """What a project needs of its worker."""

    running_s: float = 0.0


class World:
    """One project, its files, and an engine that is killed and started again."""

    def __init__(self, tmp_path: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.root = tmp_path / "project"
        self.root.mkdir()
        self.store = Store(tmp_path / "store").project(self.root)
        self.now, self.wall = 1_000.0, START
        self.jumps = self.kills = self.cut_short = self.runs = 0
        self.repaired: list[float] = []
        """When a run for repair had its say."""
        self.load = 0.0
        self.battery: float | None = None
        self.trained: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        """Of each file: how often it was written."""
        self.said: dict[str, int] = {}
        """The version that a run had its say on."""
        self.given: dict[str, int] = {}
        self.seconds = 0.0
        self.must_save = True
        self.project = self.start_engine()

    def moment(self) -> Moment:
        return Moment(self.now, self.wall, self.load, self.battery)

    def start_engine(self) -> Project:
        agenda = Agenda.read(self.store.directory, self.moment())
        project = Project(self.root, lambda: self.store, agenda)
        project.clients["c"] = OpenBy(True, True)
        project.catch_up(self.moment())
        project.watcher = cast(Watcher, object())  # its changes come by ``edit``
        return project

    def save(self) -> None:
        self.project.agenda.save(self.moment())
        self.must_save = False

    def edit(self, name: str, size: int) -> None:
        path = self.root / name
        path.write_text("x" * size)
        os.utime(path, (self.wall, self.wall))
        self.versions[name] += 1
        self.project.agenda.journal.note({name: size}, self.now)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds
        worker = self.project.worker
        if worker is not None:
            ran = min(seconds, self.seconds - worker.running_s)
            cast(FakeWorker, worker).running_s += ran
            self.trained[datetime.fromtimestamp(self.wall, UTC).date().isoformat()] += ran  # type: ignore[assignment]

    def look(self) -> None:
        """As the engine's loop does."""
        moment = self.moment()
        self.project.charge(moment)
        worker = self.project.worker
        if worker is not None and (worker.running_s >= self.seconds or self.random.random() < 0.02):
            self.end_run()
        decision = self.project.decide(moment, RULES)
        assert decision.why
        if decision.start:
            waiting = self.project.agenda.journal.changed()
            files, self.seconds = self.project.begin(moment, RULES)
            assert self.project.purpose == ("completion" if waiting else "repair")
            self.given = {path: self.versions[path] for path in files}
            self.project.worker = cast(Worker, FakeWorker())
            self.runs += 1

    def end_run(self) -> None:
        decision = self.random.choice(["promoted", "promoted", "rejected", "failed", "too_little_data"])
        stopped = "paused" if decision == "failed" and self.random.random() < 0.5 else ""
        done: dict[str, Any] = {"decision": decision, "version": "1", "reason": "r", "gate": None}
        self.project.ended(done, self.moment(), ended_because=stopped)
        if self.project.purpose == "repair":
            if not stopped:
                self.repaired.append(self.wall)
                self.save()  # the engine does within 3 s
        elif decision != "failed":
            self.said |= self.given

    def kill(self) -> None:
        if self.must_save:  # the clock jumped a moment ago
            self.save()
        self.kills += 1
        self.cut_short += self.project.worker is not None
        self.project.worker = None  # it dies with its engine
        self.pass_time(self.random.choice([1.0, 3_600.0]))
        self.given = {}
        if self.random.random() < 0.5:  # while no engine runs
            self.edit_something()
        self.project = self.start_engine()

    def edit_something(self) -> None:
        for _ in range(self.random.choice([1, 1, 2, 7])):
            self.edit(f"f{self.random.randrange(12)}.py", self.random.choice([1, 50, 400, 5_000]))

    def jump(self) -> None:
        self.jumps += 1
        self.must_save = True
        self.wall += self.random.choice([-90_000, -7_200, -600, 600, 7_200, 90_000])

    def check(self) -> None:
        waiting = set(self.project.agenda.journal.changed())
        lost = {path for path, version in self.versions.items() if self.said.get(path) != version} - waiting
        assert not lost

    def step(self, *, jumps: bool) -> None:
        if self.project.worker is not None:
            self.pass_time(TICK_S)
        else:
            self.pass_time(self.random.choice([1.0, 30.0, 300.0, 1_800.0]))
        happening = self.random.random()
        if happening < 0.25:
            self.edit_something()
        elif happening < 0.28:
            self.kill()
        elif happening < 0.30 and jumps:
            self.jump()
        elif happening < 0.32:
            self.wall += 20_000  # the machine sleeps: the steady clock stands still
        elif happening < 0.36:
            self.load = self.random.choice([0.0, 0.9])
        elif happening < 0.40:
            self.battery = self.random.choice([None, None, 50.0])
        elif happening < 0.44:
            self.project.agenda.journal.commit()
        elif happening < 0.48:
            self.project.ask_repair(self.now)
        self.look()
        if happening > 0.5 or self.project.worker is not None:
            self.save()
        self.check()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("jumps", [False, True])
def test_nothing_is_lost_and_no_budget_exceeded(tmp_path: Path, seed: int, jumps: bool) -> None:
    world = World(tmp_path, seed)
    world.save()
    for _ in range(600):
        world.step(jumps=jumps)
    assert world.runs > 5
    assert world.kills > 5
    days = (world.wall - START) / 86_400
    # A run that starts with a little left may train 10 s, and a kill forgets what was not written yet.
    slack = 10 + TICK_S * world.cut_short
    if jumps:
        assert world.trained.total() <= (abs(days) + 2 + world.jumps) * (RULES.budget_s_per_day + slack)
    else:
        assert max(world.trained.values()) <= RULES.budget_s_per_day + slack
        assert all(later - earlier >= 86_400 for earlier, later in pairwise(world.repaired))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happened_all_is_learned_in_the_end(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed)
    for _ in range(200):
        world.step(jumps=True)
    world.load, world.battery = 0.0, None
    world.project.ask_repair(world.now)
    for _ in range(3 * 24 * 60):  # three quiet days
        world.pass_time(TICK_S if world.project.worker is not None else 60.0)
        world.look()
        if not len(world.project.agenda.journal) and not world.project.agenda.repair_asked:
            break
    assert len(world.project.agenda.journal) == 0
    assert all(world.said[path] == version for path, version in world.versions.items())
    assert not world.project.agenda.repair_asked
    assert world.repaired
