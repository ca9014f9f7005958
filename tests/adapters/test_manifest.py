"""Manifests survive a round trip, tolerate the future and name what is wrong."""

import dataclasses
import json
import math
from typing import Any

import pytest

from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.manifest import (
    BaseInfo,
    Check,
    Cost,
    DataInfo,
    FileInfo,
    GateResult,
    Manifest,
    Source,
)


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        version="3",
        created="2026-11-02T10:00:00+00:00",
        base=BaseInfo("qwen2.5-coder-0.5b", "a" * 64, "b" * 64),
        parent="foundation",
        settings={"r": 16, "targets": ["q_proj"], "lr": 2e-4},
        seed=7,
        data=DataInfo(10, 2000, 3, (FileInfo("src/ä.py", "c" * 64, 10),), {"ignored": 4}),
        cost=Cost(12.5, 900.0, 101.5),
        gate=GateResult(
            "promoted", "better", (Check("held-out", True, 1.5, None, "1.5 < 1.9"),), {"base_nll": 1.9}
        ),
        weights_sha256="d" * 64,
        sources=(Source("rich", "14.0", "MIT", "pypi"),),
        figures={"steps": 60},
    )


def without(value: dict[str, Any], path: str) -> dict[str, Any]:
    *parents, last = path.split(".")
    inner = value
    for name in parents:
        inner = inner[name]
    del inner[last]
    return value


def test_round_trip_is_exact(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_unknown_fields_are_not_fatal(manifest: Manifest) -> None:
    value = manifest.to_dict()
    value["colour"] = "blue"
    value["data"]["weather"] = {"rain": True}
    assert Manifest.from_dict(value) == manifest


@pytest.mark.parametrize(
    "path",
    [
        "schema",
        "version",
        "created",
        "seed",
        "weights_sha256",
        "base",
        "base.sha256",
        "data.tokens",
        "cost.seconds",
    ],
)
def test_a_missing_required_field_is_named(manifest: Manifest, path: str) -> None:
    with pytest.raises(AdapterCorrupt, match=f"'{path}' is missing"):
        Manifest.from_dict(without(manifest.to_dict(), path))


@pytest.mark.parametrize(
    "path", ["parent", "gate", "sources", "figures", "settings", "cost.energy_wh", "data.files"]
)
def test_optional_fields_may_be_missing(manifest: Manifest, path: str) -> None:
    Manifest.from_dict(without(manifest.to_dict(), path))


@pytest.mark.parametrize(
    "change, name",
    [
        ({"seed": "7"}, "seed"),
        ({"seed": True}, "seed"),
        ({"base": []}, "base"),
        ({"version": 3}, "version"),
        ({"sources": {}}, "sources"),
        ({"settings": None}, "settings"),
        ({"gate": {"decision": "perhaps", "reason": ""}}, "gate.decision"),
        ({"gate": {"decision": "rejected", "reason": "", "checks": [{"name": 1}]}}, r"gate.checks\[0\].name"),
        (
            {"data": {"examples": 1, "tokens": 1, "held_out_examples": 1, "rejected": {"x": "y"}}},
            "data.rejected.x",
        ),
    ],
)
def test_a_wrong_type_is_named(manifest: Manifest, change: dict[str, Any], name: str) -> None:
    with pytest.raises(AdapterCorrupt, match=f"'{name}'"):
        Manifest.from_dict(manifest.to_dict() | change)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_what_is_no_manifest_is_corrupt(text: str) -> None:
    with pytest.raises(AdapterCorrupt):
        Manifest.from_json(text)


def test_a_newer_schema_asks_for_an_update(manifest: Manifest) -> None:
    with pytest.raises(AdapterCorrupt, match="update Tailora"):
        Manifest.from_dict(manifest.to_dict() | {"schema": 2})


def test_figures_that_diverged_stay_valid_json(manifest: Manifest) -> None:
    gate = GateResult(
        "rejected", "diverged", (Check("held-out", False, math.inf, 1.0, ""),), {"base_nll": math.nan}
    )
    text = dataclasses.replace(manifest, gate=gate).to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    read = Manifest.from_json(text).gate
    assert read is not None
    assert read.checks[0].value is None
    assert math.isnan(read.figures["base_nll"])
