"""Idle beside training: what is printed, and a short run through the real server, engine and training worker."""

import io
import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tailora.bench import interference
from tailora.bench.interference import Plan
from tailora.bench.places import Document, documents_below, find_holes
from tailora.bench.player import Moment
from tailora.bench.report import interference_tables
from tailora.bench.trace import Step, Trace, Visit, split_keys
from tailora.bench.training import Seen
from tailora_adapters.errors import TailoraError


def moment(latency_ms: float, visit: int) -> Moment:
    plain = Moment(visit, "a.py", 1, "python", "key", 0.0, left=10, right=True)
    return replace(plain, latency_ms=latency_ms, shown=True, shown_ms=latency_ms, agreed=3, text="x")


def short_trace(documents: list[Document]) -> Trace:
    """A visit of a second to each."""
    visits = []
    for document in documents:
        hole = find_holes(document, random.Random(2), count=1)[0]
        keys, place, steps = split_keys(hole.text)[:3], 0, [Step(0.1, "arrive", 0)]
        for number, key in enumerate(keys):
            steps.append(Step(0.4 + number * 0.1, "key", 0, key, place))
            place += len(key)
        visits.append(Visit(document, (hole,), tuple(steps), 1.0))
    return Trace(tuple(visits), 1)


def played(document: Document, tmp_path: Path, dropped: set[int]) -> interference._Run:
    plan = Plan("some-model", places=2)
    run = interference._Run(plan, short_trace([document]), tmp_path, lambda *_: None)
    run._moments = {
        "idle": [[moment(100, 0), moment(9000, 1)], [moment(200, 0), moment(200, 1)]],
        "training": [[moment(110, 0), moment(10, 1)], [moment(260, 0), moment(260, 1)]],
    }
    whole = Seen(set(), 1, 100, 80, 10.0, 3.0, 512.0)
    run._seen = [replace(whole, dropped=dropped), whole]
    return run


@pytest.fixture
def value(document: Document, tmp_path: Path) -> dict[str, Any]:
    """The document of two rounds; the second place of the first one was not wholly under training."""
    parsed: dict[str, Any] = json.loads(json.dumps(played(document, tmp_path, {1})._value()))
    return parsed


def test_ratios_are_medians_over_rounds_of_places_that_count_in_both(value: dict[str, Any]) -> None:
    assert value["p50_ratio"] == value["p95_ratio"] == 1.2
    assert value["spread"]["p50_ratio"] == value["spread"]["p95_ratio"] == [1.1, 1.3]
    assert value["answered_p95_ratio"] == 1.2
    assert value["idle"]["moments"] == value["training"]["moments"] == 3
    assert value["idle"]["shown"] == value["training"]["shown"] == 1
    assert [row["order"] for row in value["rounds"]] == [["idle", "training"], ["training", "idle"]]
    assert [row["dropped"] for row in value["rounds"]] == [[1], []]
    assert value["trace"]["dropped"] == 1
    assert value["worker"] == {
        "suspended": 0.8,
        "cores": 0.3,
        "seconds": 20.0,
        "runs": 2,
        "least_available_mb": 512,
    }
    assert {"cpu", "cores", "threads", "torch"} <= set(value["machine"])


def test_people_get_tables_with_the_machine(value: dict[str, Any]) -> None:
    console = Console(width=160, file=io.StringIO())
    for table in interference_tables(value):
        console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "keystroke to suggestion, p95" in text
    assert "1.20" in text
    assert "1.10 to 1.30" in text
    assert "80.0%" in text
    assert "some-model" in text


def test_without_a_place_that_counts_there_is_no_ratio(document: Document, tmp_path: Path) -> None:
    run = played(document, tmp_path, {0, 1})
    run._seen[1].dropped = {0, 1}
    with pytest.raises(TailoraError, match="--package"):
        run._value()


def test_a_project_is_typed_in_where_there_is_code(document: Document) -> None:
    root = document.path.parent
    (root / "tests").mkdir()
    (root / "tests" / "copied.py").write_text(document.text)
    (root / "short.py").write_text("x = 1\n")
    (root / "notes.txt").write_text(document.text)
    assert documents_below(root, 5, seed=1) == [document]


def test_through_the_real_server_engine_and_worker(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places, idle and while a tiny model is trained on a small package."""
    monkeypatch.setattr(interference, "make_trace", lambda _places, _seed, found: short_trace(found[:2]))
    monkeypatch.setattr("tailora.bench.warm_up._SETTLE_S", 0.0)
    monkeypatch.setenv("TAILORA_ENGINE_TRAIN_RESUME_S", "1")
    told: list[str] = []
    report = interference.measure(Plan(tiny.name, places=2, rounds=1), lambda _, text: told.append(text))
    value = report.value
    assert len(report.moments["idle"][0]) == len(report.moments["training"][0]) == 8
    assert value["p95_ratio"] > 0
    assert value["worker"]["runs"] >= 1
    assert value["worker"]["suspended"] > 0
    assert {row["side"] for row in report.moment_rows()} == {"idle", "training"}
    assert any(text.startswith("round 1: training") for text in told)


def test_the_command_says_what_it_takes() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tailora", "bench", "interference", "--help"),
        capture_output=True,
        text=True,
        check=True,
    )
    for option in ("--places", "--rounds", "--package", "--quick", "--moments", "--json"):
        assert option in done.stdout
