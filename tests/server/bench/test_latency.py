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

from tailora.bench import latency
from tailora.bench.figures import Figures
from tailora.bench.latency import Plan
from tailora.bench.peer_server import peer_model, require_package
from tailora.bench.places import Document, find_documents, find_holes
from tailora.bench.player import Moment
from tailora.bench.raw import Rates
from tailora.bench.report import tables
from tailora.bench.trace import Step, Trace, Visit, split_keys
from tailora_adapters.base.cache import base_info
from tailora_adapters.errors import TailoraError
from tailora_adapters.foundation import FoundationAdapter
from tailora_adapters.manifest import Cost, DataInfo, Manifest

ISSUE = ("p50", "p95", "prefill", "decode", "decode_speculative", "shown", "agreed_length")


def moment(latency_ms: float, agreed: int) -> Moment:
    plain = Moment(0, "a.py", 1, "python", "key", 0.0, left=10, right=True)
    return replace(plain, latency_ms=latency_ms, shown=True, shown_ms=latency_ms, agreed=agreed, text="x")


def short_trace(document: Document) -> Trace:
    """Two visits that take a second in all."""
    visits = []
    for hole in find_holes(document, random.Random(2), count=2):
        keys, place, steps = split_keys(hole.text)[:3], 0, [Step(0.1, "arrive", 0)]
        for number, key in enumerate(keys):
            steps.append(Step(0.2 + number * 0.05, "key", 0, key, place))
            place += len(key)
        visits.append(Visit(document, (hole,), tuple(steps), 0.6))
    return Trace(tuple(visits), 1)


@pytest.fixture
def report(document: Document, tmp_path: Path) -> dict[str, Any]:
    """What is printed, from two rounds of two moments each."""
    plan = Plan("some-model", against_peer=True, compare_adapter=True)
    run = latency._Run(plan, short_trace(document), tmp_path / "peer.gguf", tmp_path, lambda *_: None)
    run._moments = {
        "ours": [[moment(100, 6), moment(50, 8)], [moment(120, 6), moment(60, 8)]],
        "peer": [[moment(400, 3), moment(200, 4)], [moment(400, 3), moment(200, 4)]],
        "bare": [[moment(100, 2), moment(50, 4)], [moment(100, 2), moment(50, 4)]],
    }
    rates: Figures = {"prefill": 400.0, "decode": 40.0, "decode_speculative": 60.0}
    slow: Figures = {"prefill": 100.0, "decode": 40.0, "decode_speculative": 40.0}
    value = run._value(
        (Rates(rates, (rates, rates)), Rates(slow, (slow, slow))), {"lsp_initialized_ms": 300.0}
    )
    parsed: dict[str, Any] = json.loads(json.dumps(value))
    return parsed


def test_the_document_has_what_the_issue_names(report: dict[str, Any]) -> None:
    for side in ("ours", "peer", "ratio"):
        assert set(ISSUE) <= set(report[side])
    assert report["ours"]["p50"] == 80
    assert report["peer"]["p50"] == 300
    assert report["ratio"]["p50"] == pytest.approx(80 / 300, rel=1e-3)
    assert report["ratio"]["decode_speculative"] == 1.5
    assert report["ratio"]["agreed_length"] == 2
    assert report["spread"]["ours"]["p50"] == [75, 90]
    assert report["spread"]["ratio"]["p50"] == [0.25, 0.3]
    assert report["spread"]["ratio"]["prefill"] == [4, 4]
    assert report["adapter"]["ratio"]["p50"] == pytest.approx(80 / 75, rel=1e-3)
    assert report["trace"]["by_language"]["peer"]["python"]["shown"] == 1
    assert {"cpu", "cores", "threads", "torch"} <= set(report["machine"])
    assert report["processes"] == {"lsp_initialized_ms": 300}


def test_people_get_tables(report: dict[str, Any]) -> None:
    console = Console(width=160, file=io.StringIO())
    for table in tables(report):
        console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "keystroke to suggestion, p50" in text
    assert "0.27" in text
    assert "0.25 to 0.30" in text
    assert "adapter: serving" in text
    assert "300 ms" in text


def test_only_ours_without_a_peer(document: Document, tmp_path: Path) -> None:
    run = latency._Run(Plan("some-model"), short_trace(document), None, tmp_path, lambda *_: None)
    run._moments = {"ours": [[moment(100, 6)]]}
    value = run._value(None, None)
    assert value["peer"] is value["ratio"] is value["adapter"] is value["processes"] is None
    assert value["ours"]["prefill"] is None
    assert [table.title for table in tables(value)] == ["2 places, 2 rounds"]


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(TailoraError, match=r"tailora\[bench\]"):
        require_package()


def test_a_given_peer_model_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    with pytest.raises(TailoraError, match=r"model\.gguf"):
        peer_model("qwen2.5-coder-0.5b", file, lambda *_: None)
    file.touch()
    assert peer_model("qwen2.5-coder-0.5b", file, lambda *_: None) == file


def test_a_model_without_gguf_asks_for_one() -> None:
    with pytest.raises(TailoraError, match="--peer-model"):
        peer_model("qwen2.5-coder-7b", None, lambda *_: None)


def adapter(folder: Path, model: str) -> FoundationAdapter:
    """A random LoRA in the place of the one that ships."""
    manifest = Manifest(
        base=base_info(model),
        seed=0,
        data=DataInfo(examples=0, tokens=0, held_out_examples=0),
        cost=Cost(seconds=0.0, peak_rss_mb=0.0, tokens_per_second=0.0),
    )
    return FoundationAdapter(folder, "", manifest)


def test_through_the_real_server_and_engine(
    tiny: Any, make_lora: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A trace of two places, and everything about processes, with a tiny model."""
    document = find_documents(1, 1)[0]
    shipped = adapter(make_lora(1), tiny.name)
    monkeypatch.setattr("tailora_adapters.foundation.find", lambda _: shipped)
    monkeypatch.setattr(latency, "make_trace", lambda *_: short_trace(document))
    monkeypatch.setattr("tailora.bench.warm_up._SETTLE_S", 0.0)
    plan = Plan(tiny.name, places=2, rounds=1, parts=frozenset(("trace", "processes")), quick=True)
    told: list[str] = []
    report = latency.measure(plan, lambda _, text: told.append(text))
    assert len(report.moments["ours"][0]) == 8
    assert report.value["ours"]["moments"] == 8
    assert all(moment.latency_ms > 0 for moment in report.moments["ours"][0])
    assert any("places" in text for text in told)
    row = report.moment_rows()[0]
    assert (row["side"], row["round"], row["kind"]) == ("ours", 0, "arrive")
    held = report.value["processes"]
    assert held["documents"] == 1
    assert held["engine_rss_mb"] > held["lsp_rss_mb"] > 20
    for name in ("lsp_initialized_ms", "engine_first_completion_ms", "engine_uss_mb"):
        assert held[name] > 0
    for name in ("adapter_swap_ms", "cancel_prefill_ms", "cancel_decode_ms"):
        assert held[name] >= 0
        assert held[f"{name}_max"] >= held[name]


def test_the_command_says_what_it_takes() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "tailora", "bench", "latency", "--help"),
        capture_output=True,
        text=True,
        check=True,
    )
    for option in (
        "--against",
        "--compare-adapter",
        "--peer-model",
        "--quick",
        "--only",
        "--moments",
        "--json",
    ):
        assert option in done.stdout
    wrong = subprocess.run(
        (sys.executable, "-m", "tailora", "bench", "latency", "--only", "trace,speed"),
        capture_output=True,
        text=True,
    )
    assert wrong.returncode == 2
    assert "speed" in wrong.stderr
