"""``tailora bench interference``: what a person who types waits for while Tailora learns, beside the same when idle.

Blocks alternate: the same places are typed with nobody at work, and while the engine trains the project that is typed
in. Each block has a language server and an engine of its own, so that none profits from the one before. Always the
foundation adapter suggests, whatever becomes of a run. Knows nothing of how figures are shown.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from tailora.bench.figures import Figures, ratios, rounded, short, spread, summarise
from tailora.bench.home import bench_home, end_engine, require_model
from tailora.bench.host import describe_host
from tailora.bench.latency import Progress, Report
from tailora.bench.ours import LanguageServer
from tailora.bench.places import documents_below
from tailora.bench.player import Moment, play
from tailora.bench.trace import Trace, make_trace
from tailora.bench.training import Seen, Training
from tailora.bench.warm_up import warm_up
from tailora.demo.repository import DEFAULT_PACKAGE, copy_package
from tailora.engine.client import EngineClient
from tailora_adapters.errors import TailoraError

__all__ = ["Plan", "measure"]

_CONDITIONS = ("idle", "training")
_ADAPTER = "foundation"
_TIMES = ("p50", "p95", "answered_p50", "answered_p95", "first_token")
"""Figures whose ratios are told."""
_TRUSTED = {"learning": {"enabled": False, "trusted": True}}
"""It may be trained, but only when the benchmark says so."""
_START_S = 15.0
_FIRST_STEP_S = 90.0
"""About what a start takes, and a run until its first step; for the estimate."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    model: str
    places: int = 20
    rounds: int = 2
    seed: int = 1
    package: str = DEFAULT_PACKAGE
    """Whose source is typed in and learned."""


def measure(plan: Plan, progress: Progress, say: Callable[[str], None] = lambda _: None) -> Report:
    """Measures what the plan says.

    Args:
        say: Told what is about to happen, once, with an estimate of the time.

    Raises:
        TailoraError: something is missing or failed; says what.
    """
    require_model(plan.model)
    with bench_home(plan.model) as folder:
        root = copy_package(plan.package, folder)
        documents = documents_below(root, math.ceil(plan.places * 2 / 3), plan.seed)
        trace = make_trace(plan.places, plan.seed, documents)
        seconds = plan.rounds * (2 * (trace.seconds + _START_S) + _FIRST_STEP_S)
        say(
            f"{plan.places} places in {len(trace.documents)} files of {plan.package}, {trace.seconds:.0f} s a block;"
            f" about {seconds / 60:.0f} min in all"
        )
        return asyncio.run(_Run(plan, trace, root, progress).report())


class _Run:
    def __init__(self, plan: Plan, trace: Trace, root: Path, progress: Progress) -> None:
        self._plan = plan
        self._trace = trace
        self._root = root
        self._progress = progress
        self._moments: dict[str, list[list[Moment]]] = {condition: [] for condition in _CONDITIONS}
        self._seen: list[Seen] = []
        """Of each round."""

    async def report(self) -> Report:
        try:
            for number in range(self._plan.rounds):
                order = _CONDITIONS if number % 2 == 0 else _CONDITIONS[::-1]
                for place, condition in enumerate(order):
                    self._moments[condition].append(await self._block(number, place, condition))
        finally:
            await end_engine()
        return Report(self._value(), self._moments)

    async def _block(self, number: int, place: int, condition: str) -> list[Moment]:
        def visited(visits: int) -> None:
            share = (2 * number + place + visits / self._plan.places) / (2 * self._plan.rounds)
            text = f"round {number + 1}: {condition}, {visits} of {self._plan.places} places"
            self._progress(share, text)

        visited(0)
        server = LanguageServer(_ADAPTER, _TRUSTED)
        try:
            await server.start([self._root])
            await warm_up(server, self._root, server.ready)
            if condition == "idle":
                return await play(self._trace, server, visited)
            return await self._play_while_training(server, visited)
        finally:
            await server.stop()
            await end_engine()

    async def _play_while_training(
        self, server: LanguageServer, visited: Callable[[int], None]
    ) -> list[Moment]:
        client = EngineClient(autostart=False)
        try:
            training = Training(client, self._root)
            moments = await play(self._trace, server, visited, around=training.around)
            await training.end()
        finally:
            await client.aclose()
        self._seen.append(training.seen)
        return moments

    def _kept(self) -> dict[str, list[list[Moment]]]:
        """Without the places, in both conditions, that were not wholly under training in that round."""
        return {
            condition: [
                [moment for moment in moments if moment.visit not in seen.dropped]
                for moments, seen in zip(played, self._seen, strict=True)
            ]
            for condition, played in self._moments.items()
        }

    def _value(self) -> dict[str, Any]:
        plan, trace, kept = self._plan, self._trace, self._kept()
        rounds = {condition: [summarise(moments) for moments in played] for condition, played in kept.items()}
        each = [
            ratios(training, idle) for training, idle in zip(rounds["training"], rounds["idle"], strict=True)
        ]
        low_high = spread(each)
        if "p95" not in low_high:
            raise TailoraError(
                "no run trained for as long as typing at one place takes: name a larger package by --package"
            )
        return {
            **{f"{key}_ratio": _median(each, key) for key in _TIMES if key in low_high},
            "spread": {f"{key}_ratio": [*map(short, low_high[key])] for key in _TIMES if key in low_high},
            **{condition: rounded(summarise(list(chain(*played)))) for condition, played in kept.items()},
            "rounds": [
                {
                    "order": _CONDITIONS if number % 2 == 0 else _CONDITIONS[::-1],
                    "dropped": sorted(seen.dropped),
                    **{condition: rounded(rounds[condition][number]) for condition in _CONDITIONS},
                }
                for number, seen in enumerate(self._seen)
            ],
            "worker": _worker(self._seen),
            "trace": {
                "package": plan.package,
                "places": len(trace.visits),
                "dropped": sum(len(seen.dropped) for seen in self._seen),
                "rounds": plan.rounds,
                "seed": trace.seed,
                "seconds": round(trace.seconds, 1),
                "documents": [document.name for document in trace.documents],
                "adapter": _ADAPTER,
            },
            "machine": describe_host(plan.model),
        }


def _median(rounds: Sequence[Figures], key: str) -> float:
    return short(median(value for row in rounds if (value := row.get(key)) is not None))


def _worker(seen: Sequence[Seen]) -> dict[str, float]:
    """How the training fared meanwhile, over all places that count."""
    samples, seconds = sum(one.samples for one in seen), sum(one.seconds for one in seen)
    return {
        "suspended": short(sum(one.suspended for one in seen) / samples),
        "cores": short(sum(one.cpu_s for one in seen) / seconds),
        "seconds": round(seconds, 1),
        "runs": sum(one.runs for one in seen),
        "least_available_mb": round(min(one.least_available_mb for one in seen)),
    }
