"""``tailora bench latency``: alternates the sides, puts the figures together.

Each round starts every side afresh, one at a time, so that no round profits from the one before and nobody competes
for the cores. Knows nothing of how figures are shown.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx2

from tailora.bench import processes, raw
from tailora.bench.figures import Figures, ratios, rounded, short, spread, summarise
from tailora.bench.home import bench_home, end_engine, require_model
from tailora.bench.host import describe_host
from tailora.bench.ours import LanguageServer
from tailora.bench.peer import LlamaVim
from tailora.bench.peer_server import PeerServer, peer_model, require_package
from tailora.bench.player import Moment, play
from tailora.bench.trace import Trace, make_trace
from tailora.bench.warm_up import warm_up

__all__ = ["PARTS", "Plan", "Progress", "Report", "measure"]

PARTS = ("trace", "raw", "processes")
Progress = Callable[[float, str], None]

_START_SHARE = 15.0
"""Seconds that the start and warm-up of a side take, for the estimate and the bar."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    model: str
    against_peer: bool = False
    peer_model: Path | None = None
    """A GGUF file; None: the packaged one of ``model``."""
    places: int = 30
    rounds: int = 2
    seed: int = 1
    adapter: str = "serving"
    compare_adapter: bool = False
    """Also plays with no adapter."""
    parts: frozenset[str] = frozenset(PARTS)
    quick: bool = False

    @property
    def sides(self) -> list[str]:
        """``ours``, ``peer``, ``bare`` (ours with no adapter)."""
        return ["ours", *(["peer"] if self.against_peer else []), *(["bare"] if self.compare_adapter else [])]


@dataclass(slots=True)
class Report:
    """What was measured; ``value`` is the JSON document."""

    value: dict[str, Any]
    moments: dict[str, list[list[Moment]]] = field(default_factory=dict)
    """By side and round."""

    def moment_rows(self) -> list[dict[str, Any]]:
        """All moments, flat."""
        return [
            {"side": side, "round": number, **asdict(moment)}
            for side, rounds in self.moments.items()
            for number, moments in enumerate(rounds)
            for moment in moments
        ]


def measure(plan: Plan, progress: Progress, say: Callable[[str], None] = lambda _: None) -> Report:
    """Measures what the plan says.

    Args:
        say: Told what is about to happen, once, with an estimate of the time.

    Raises:
        TailoraError: something is missing or failed; says what.
    """
    if plan.against_peer:
        require_package()
    require_model(plan.model)
    trace = make_trace(plan.places, plan.seed)
    gguf = peer_model(plan.model, plan.peer_model, progress) if plan.against_peer else None
    say(_estimate(plan, trace))
    with bench_home(plan.model) as folder:
        return asyncio.run(_Run(plan, trace, gguf, folder, progress).report())


def _estimate(plan: Plan, trace: Trace) -> str:
    sides = len(plan.sides)
    seconds = plan.rounds * sides * (trace.seconds + _START_SHARE) if "trace" in plan.parts else 0.0
    share = 0.15 if plan.quick else 1.0
    seconds += share * 270.0 * (1 + plan.against_peer) if "raw" in plan.parts else 0.0
    seconds += 25.0 + share * 35.0 if "processes" in plan.parts else 0.0
    return (
        f"{plan.places} places in {len(trace.documents)} files ({', '.join(trace.languages)}),"
        f" {trace.seconds:.0f} s a round and side; about {seconds / 60:.0f} min in all"
    )


class _Run:
    def __init__(self, plan: Plan, trace: Trace, gguf: Path | None, folder: Path, progress: Progress) -> None:
        self._plan = plan
        self._trace = trace
        self._gguf = gguf
        self._folder = folder
        self._progress = progress
        self._moments: dict[str, list[list[Moment]]] = {side: [] for side in plan.sides}
        self._peer_info: dict[str, Any] = {}

    async def report(self) -> Report:
        plan = self._plan
        held: dict[str, Any] | None = None
        rates: tuple[raw.Rates, raw.Rates | None] | None = None
        try:
            if "trace" in plan.parts:
                await self._play_all()
            if "raw" in plan.parts:
                rates = await self._raw()
            if "processes" in plan.parts:
                held = await processes.measure(
                    self._trace.documents,
                    model=plan.model,
                    seed=plan.seed,
                    folder=self._folder,
                    adapter=plan.adapter,
                    quick=plan.quick,
                    progress=lambda done: self._progress(done, "start times, memory, swap, cancel"),
                )
        finally:
            await end_engine()
        return Report(self._value(rates, held), self._moments)

    async def _play_all(self) -> None:
        plan, total = self._plan, self._plan.rounds * len(self._plan.sides)
        for number in range(plan.rounds):
            sides = plan.sides if number % 2 == 0 else plan.sides[::-1]
            for place, side in enumerate(sides):
                done = number * len(sides) + place
                what = {"peer": "llama.cpp", "bare": "Tailora without adapter"}.get(side, "Tailora")

                def visited(visits: int, done: int = done, what: str = what, number: int = number) -> None:
                    share = (done + visits / plan.places) / total
                    self._progress(share, f"round {number + 1}: {what}, {visits} of {plan.places} places")

                visited(0)
                play_side = self._play_peer if side == "peer" else self._play_ours
                self._moments[side].append(await play_side(side, visited))

    async def _play_ours(self, side: str, visited: Callable[[int], None]) -> list[Moment]:
        roots = [self._folder, *dict.fromkeys(document.root for document in self._trace.documents)]
        server = LanguageServer("none" if side == "bare" else self._plan.adapter)
        try:
            await server.start(roots)
            await warm_up(server, self._folder, server.ready)
            return await play(self._trace, server, visited)
        finally:
            await server.stop()
            await end_engine()

    async def _play_peer(self, side: str, visited: Callable[[int], None]) -> list[Moment]:
        assert self._gguf is not None
        async with PeerServer(self._gguf) as server, _http(server) as http:
            self._peer_info = server.info
            client = LlamaVim(http)
            try:
                await warm_up(client, self._folder)
                return await play(self._trace, client, visited)
            finally:
                await client.aclose()

    async def _raw(self) -> tuple[raw.Rates, raw.Rates | None]:
        from tailora.engine.client import EngineClient

        async def run(http: httpx2.AsyncClient | None) -> tuple[raw.Rates, raw.Rates | None]:
            client = EngineClient(autostart=True)
            try:
                return await raw.measure(
                    client,
                    http,
                    self._trace.documents,
                    seed=self._plan.seed,
                    repeats=1 if self._plan.quick else 3,
                    passages=(2, 4) if self._plan.quick else (3, 12),
                    adapter=self._plan.adapter,
                    progress=lambda done: self._progress(done, "prefill and decode"),
                )
            finally:
                await client.aclose()

        self._progress(0.0, "prefill and decode")
        if self._gguf is None:
            return await run(None)
        async with PeerServer(self._gguf) as server, _http(server) as http:
            self._peer_info = server.info
            return await run(http)

    def _value(
        self, rates: tuple[raw.Rates, raw.Rates | None] | None, held: dict[str, Any] | None
    ) -> dict[str, Any]:
        plan, trace = self._plan, self._trace
        rounds = {side: [summarise(moments) for moments in played] for side, played in self._moments.items()}
        total = {
            side: summarise(list(chain(*played))) if played else {} for side, played in self._moments.items()
        }
        ours_raw, peer_raw = rates or (None, None)
        ours = _merged(total["ours"], ours_raw)
        peer = _merged(total["peer"], peer_raw) if plan.against_peer else None
        spreads = {"ours": _spread(rounds["ours"], ours_raw)}
        if peer is not None:
            spreads["peer"] = _spread(rounds["peer"], peer_raw)
            spreads["ratio"] = spread(
                [ratios(*pair) for pair in zip(rounds["ours"], rounds["peer"], strict=True)]
                + (
                    [ratios(*pair) for pair in zip(ours_raw.rounds, peer_raw.rounds, strict=True)]
                    if ours_raw and peer_raw
                    else []
                )
            )
        return {
            "ours": rounded(ours),
            "peer": rounded(peer) if peer is not None else None,
            "ratio": rounded(ratios(ours, peer)) if peer is not None else None,
            "spread": {
                side: {key: [short(low), short(high)] for key, (low, high) in row.items()}
                for side, row in spreads.items()
            },
            "adapter": _adapter(plan, total, rounds),
            "processes": held,
            "trace": {
                "places": len(trace.visits),
                "rounds": plan.rounds,
                "seed": trace.seed,
                "seconds": round(trace.seconds, 1),
                "languages": trace.languages,
                "documents": [document.name for document in trace.documents],
                "adapter": plan.adapter,
                "by_language": self._by_language(),
            },
            "machine": {**describe_host(plan.model), "peer": self._peer_info or None},
        }

    def _by_language(self) -> dict[str, dict[str, Figures]]:
        """A few figures for each side and language."""
        keys = ("p50", "p95", "shown", "agreed_length")
        result: dict[str, dict[str, Figures]] = {}
        for side, played in self._moments.items():
            everything = list(chain(*played))
            for language in sorted({moment.language for moment in everything}):
                row = summarise([moment for moment in everything if moment.language == language])
                result.setdefault(side, {})[language] = rounded({key: row[key] for key in keys})
        return result


def _http(server: PeerServer) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.address, timeout=httpx2.Timeout(120.0), trust_env=False)


def _merged(figures: Figures, rates: raw.Rates | None) -> Figures:
    """The trace's figures and the raw ones, in the order in which they are printed."""
    speeds: Figures = rates.figures if rates is not None else {}
    names = ("prefill", "decode", "decode_speculative")
    first: Figures = {key: figures.get(key) for key in ("p50", "p95")}
    return {**first, **{key: speeds.get(key) for key in names}, **figures}


def _spread(rounds: Sequence[Figures], rates: raw.Rates | None) -> dict[str, tuple[float, float]]:
    return {**spread(rounds), **(rates.spread if rates is not None else {})}


def _adapter(
    plan: Plan, total: dict[str, Figures], rounds: dict[str, list[Figures]]
) -> dict[str, Any] | None:
    """With the adapter over without, if that was asked for."""
    if not plan.compare_adapter or not rounds["ours"]:
        return None
    each = [ratios(*pair) for pair in zip(rounds["ours"], rounds["bare"], strict=True)]
    return {
        "none": rounded(total["bare"]),
        "ratio": rounded(ratios(total["ours"], total["bare"])),
        "spread": {key: [short(low), short(high)] for key, (low, high) in spread(each).items()},
    }
