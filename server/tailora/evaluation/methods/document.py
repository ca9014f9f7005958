"""The document of one run: what it was, what it cost, what it answered, and on what it was made.

A superset of the fields of peft's method comparison (huggingface/peft, ``method_comparison/MetaMathQA/utils.py``),
described by ``report.schema.json``. Knows nothing of how anything is trained.
"""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

import numpy as np
import psutil
import torch

from tailora.evaluation.intervals import paired_difference
from tailora.evaluation.methods.comparison import Comparison, Prices
from tailora.evaluation.methods.tasks import Material, identity
from tailora_adapters import foundation
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.processor import cores, processor_flags, processor_name
from tailora_adapters.training.evaluate import Scores

__all__ = [
    "FORMAT",
    "HIGHER",
    "against",
    "answers",
    "empty_test",
    "meta_info",
    "metrics",
    "money",
    "now",
    "version_of",
]

FORMAT = 1
HIGHER = {"exact_match": True, "edit_similarity": True, "stop_rate": True, "loss": False}
_PACKAGES = (
    "transformers",
    "peft",
    "datasets",
    "bitsandbytes",
    "torch",
    "tailora",
    "codecarbon",
    "bandit",
    "numpy",
)


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def metrics(
    scores: Scores, more: Mapping[str, Sequence[float]], totals: Mapping[str, float]
) -> dict[str, float]:
    """Means over the questions; ``more`` and ``totals`` are the task's own."""
    return {
        **{name: round(fmean(values), 6) for name, values in more.items()},
        **{name: round(value, 6) for name, value in totals.items()},
        "exact_match": round(scores.exact_match, 6),
        "edit_similarity": round(scores.edit_similarity, 6),
        "loss": round(scores.nll, 6),
        "stop_rate": round(scores.stop_rate, 6),
    }


def answers(scores: Scores, more: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Question by question, for paired tests."""
    return {
        **{name: [round(value, 6) for value in values] for name, values in more.items()},
        "exact_match": [int(value) for value in scores.exact],
        "edit_similarity": [round(value, 6) for value in scores.similarity],
        "loss_sum": [round(value, 6) for value in scores.nll_sums],
        "tokens": list(scores.tokens),
        "stop_rate": [int(value) for value in scores.stops],
    }


def against(ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Of every metric, ours less theirs over the same questions."""
    ones = [1.0] * len(ours["tokens"])
    found = {
        name: _difference(ours[name], theirs[name], ones)
        for name in ours
        if name not in ("loss_sum", "tokens") and name in theirs
    }
    return {**found, "loss": _difference(ours["loss_sum"], theirs["loss_sum"], ours["tokens"])}


def _difference(ours: Sequence[float], theirs: Sequence[float], sizes: Sequence[float]) -> dict[str, Any]:
    values, others, counts = (np.asarray([part], dtype=np.float64) for part in (ours, theirs, sizes))
    found = paired_difference(values, counts, others, counts)
    return {
        "difference": round(found.value, 6),
        "interval95": [round(found.low, 6), round(found.high, 6)],
        "p_value": round(found.p_value, 5),
    }


def money(prices: Prices, watt_hours: float | None, seconds: float) -> dict[str, Any]:
    """What training took, at the given prices; no sum where something that has a price was not measured, or nothing
    has one."""
    total: float | None = None
    if prices.kwh == 0 and prices.hour == 0:
        note = "no price is given"
    elif prices.kwh > 0 and watt_hours is None:
        note = "the energy was not measured"
    else:
        total = round((watt_hours or 0.0) / 1_000 * prices.kwh + seconds / 3_600 * prices.hour, 8)
        note = "of this run's training alone, without the grid and the questions; the energy is estimated"
    return {
        "currency": prices.currency,
        "total": total,
        "price_per_kwh": prices.kwh,
        "price_per_hour": prices.hour,
        "note": note,
    }


def meta_info(comparison: Comparison, material: Material) -> dict[str, Any]:
    """Model, data, packages and machine."""
    _, record = cache.open_record(catalogue.find(comparison.model))
    floor = foundation.find(comparison.model)
    return {
        "model_info": {
            "sha": cache.base_info(comparison.model).sha256,
            "created_at": None,
            "name": record.name,
            "foundation": floor.sha256 if floor else None,
        },
        "dataset_info": {
            "repository": {
                "sha": material.sha256,
                "files": sum(material.files.values()),
                "train_files": material.files["train"],
                "validation_files": material.files["validation"],
                "test_files": material.files["test"],
                "train_examples": len(material.training),
                "anchors": len(material.anchors),
                "validation_examples": len(material.validation),
                "test_examples": len(material.test),
                "train_sha": identity([*material.training, *material.anchors]),
                "validation_sha": identity(material.validation),
                "test_sha": identity(material.test),
                "seed": comparison.data_seed,
            }
        },
        "package_info": _packages(),
        "system_info": {
            "system": platform.system(),
            "release": platform.release(),
            "version": platform.version(),
            "machine": platform.machine(),
            "processor": processor_name(),
            "accelerator": "cuda" if torch.cuda.is_available() else "cpu",
            "cores": cores(),
            "threads": torch.get_num_threads(),
            "memory": psutil.virtual_memory().total,
            "instructions": " ".join(sorted(processor_flags())),
            "python": platform.python_version(),
        },
        "pytorch_info": torch.__config__.show(),
        "tolerance": {
            "loss": 0.0,
            "note": "the same bits on the same processor with the same versions and number of threads; "
            "on another processor the loss may differ by 1 %, and single answers with it",
        },
    }


def empty_test() -> dict[str, Any]:
    """Of a run that has not been asked anything."""
    return {
        "cases": 0,
        "metrics": {},
        "higher_is_better": dict(HIGHER),
        "per_case": {},
        "case_ids": [],
        "against": {},
        "forgetting": {"generic_loss": None, "generic_loss_base": None, "relative": None},
        "latency": None,
        "canary_exposure": None,
        "insecure": None,
    }


def version_of(package: str) -> str:
    """As it is installed; empty where it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _packages() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        found[f"{name}-version"] = version_of(name) or None
    for name in ("transformers", "peft", "datasets", "bitsandbytes", "torch"):
        found[f"{name}-commit-hash"] = None  # releases of the package index, which their version names
    return found
