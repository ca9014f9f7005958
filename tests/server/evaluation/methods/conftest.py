"""Reports of made-up runs: six methods and two baselines, three seeds, two tasks; one diverges, one fails."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = dict[str, Any]

# Parameters, file and training in bytes and seconds, latency, and what it gains over the base in exact match.
METHODS = {
    "lora": ("LoRA", 8_798_208, 17_600_000, 61.0, 0.041, 0.11),
    "dora": ("DoRA", 8_941_568, 17_900_000, 96.0, 0.055, 0.12),
    "ia3": ("IA3", 165_888, 340_000, 44.0, 0.004, 0.05),
    "prefix": ("Prefix tuning", 245_760, 500_000, 71.0, 0.021, 0.03),
    "houlsby": ("Houlsby adapters", 2_400_000, 4_800_000, 58.0, 0.035, 0.09),
    "prompt": ("Prompt tuning", 17_920, 36_000, 66.0, 0.012, -0.02),
}
TOTAL = 494_032_768
PACKAGES = {
    **{
        f"{name}-{part}": version if part == "version" else None
        for name, version in (
            ("transformers", "5.18.0"),
            ("peft", "0.21.0"),
            ("bitsandbytes", "0.50.1"),
            ("torch", "2.9.1"),
        )
        for part in ("version", "commit-hash")
    },
    "datasets-version": None,
    "datasets-commit-hash": None,
    "tailora-version": "0.1.0",
    "codecarbon-version": "3.3.0",
}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def make_run(
    method: str = "lora",
    seed: int = 1,
    task: str = "completion",
    *,
    cases: int = 60,
    gain: float | None = None,
    budget: int = 12_000,
    repository: str = "cattrs",
    exposure: float = 0.4,
) -> Run:
    """A run that succeeded, as ``tailora eval methods`` writes it."""
    baseline = method in ("base", "foundation")
    title, parameters, size, train_time, overhead, usual = METHODS.get(
        method,
        ({"base": "Base model", "foundation": "Foundation adapter"}.get(method, method), 0, 0, 0.0, 0.0, 0.0),
    )
    gain = (0.02 if method == "foundation" else usual) if gain is None else gain
    hard = random.Random(f"{repository}-{task}")
    noise = random.Random(f"{method}-{0 if baseline else seed}-{task}")
    difficulty = [hard.random() for _ in range(cases)]
    exact = [float(one < 0.3 + gain + noise.gauss(0, 0.02)) for one in difficulty]
    similar = [
        min(1.0, max(value, 1 - one * 0.6 + 0.3 * gain)) for value, one in zip(exact, difficulty, strict=True)
    ]
    tokens = [float(8 + int(20 * one)) for one in difficulty]
    loss = [
        number * max(0.05, 2.2 * one - 0.9 * gain + noise.gauss(0, 0.05))
        for number, one in zip(tokens, difficulty, strict=True)
    ]
    metrics = {
        "exact_match": round(mean(exact), 4),
        "edit_similarity": round(mean(similar), 4),
        "loss": round(sum(loss) / sum(tokens), 4),
        "stop_rate": round(0.9 + noise.uniform(0, 0.05), 4),
    }
    per_case = {"exact_match": exact, "edit_similarity": similar, "loss_sum": loss, "tokens": tokens}
    rate = None if baseline else (3e-2 if method in ("prompt", "prefix") else 2e-4)
    grid = [] if rate is None else [
        {"learning_rate": rate / 2, "status": "success", "validation_loss": 1.52, "message": ""},
        {"learning_rate": rate, "status": "success", "validation_loss": 1.47, "message": ""},
        {"learning_rate": rate * 2, "status": "success", "validation_loss": 1.49, "message": ""},
    ]  # fmt: skip
    price = 0.30
    hours = train_time / 3600
    return {
        "format": 1,
        "run_info": {
            "created_at": f"2026-11-27T15:0{seed}:00+00:00",
            "total_time": train_time + 60,
            "experiment_name": f"{task}/{method}/seed-{seed}",
            "peft_branch": "0.21.0",
            "train_config": {"token_budget": budget, "batch": 4},
            "peft_config": None if baseline else {"peft_type": method.upper(), "r": 16},
            "error_msg": "",
            "tailora": "0.1.0",
            "command": ["tailora", "eval", "methods", f"/home/a person/{repository}", "--methods", method,
                        "--tasks", task, "--seeds", str(seed), "--tokens", str(budget), "--out", "runs"],
            "method": method,
            "title": title,
            "role": "baseline" if baseline else "method",
            "task": task,
            "seed": seed,
            "model": "qwen2.5-coder-0.5b",
            "repository": repository,
            "started_again": 0,
        },
        "train_info": {
            "accelerator_memory_reserved_avg": 0,
            "accelerator_memory_max": 0,
            "accelerator_memory_reserved_99th": 0,
            "peak_rss": 2_100_000_000 + 40 * parameters + 1_000_000 * seed,
            "train_time": 0.0 if baseline else train_time + noise.uniform(-2, 2),
            "file_size": size,
            "num_trainable_params": parameters,
            "num_total_params": TOTAL + parameters,
            "status": "success",
            "metrics": [] if baseline else [
                {"step": 10, "train loss": 1.9, "train time": 3.1, "train total tokens": 4000, "learning rate": rate}
            ],
            "token_budget": budget,
            "tokens": 0 if baseline else budget - 10,
            "tokens_per_second": 0.0 if baseline else budget / train_time,
            "steps": 0 if baseline else 34,
            "learning_rate": rate,
            "grid": grid,
            "energy": {
                "watt_hours": None if baseline else round(45 * hours, 4),
                "estimated": True,
                "source": "codecarbon 3.3.0, offline",
            },
            "money": {
                "currency": "EUR",
                "total": None if baseline else 45 * hours / 1000 * price,
                "price_per_kwh": price,
                "price_per_hour": 0.0,
                "note": "energy alone",
            },
        },
        "test_info": {
            "cases": cases,
            "metrics": metrics,
            "higher_is_better": {name: name != "loss" for name in metrics},
            "per_case": per_case,
            "case_ids": [sha(f"{repository}-{task}-{number}")[:16] for number in range(cases)],
            "against": {} if method == "base" else {
                "base": {"exact_match": {"difference": gain, "interval95": [gain - 0.04, gain + 0.04], "p_value": 0.02}}
            },
            "forgetting": {"generic_loss": 1.2, "generic_loss_base": 1.18, "relative": 0.017},
            "latency": None if baseline else {
                "decode_ms_per_token": 28.9 * (1 + overhead),
                "decode_ms_per_token_base": 28.9,
                "prefill_ms": 700.0,
                "prefill_ms_base": 680.0,
                "overhead": overhead,
                "repeats": 5,
            },
            "canary_exposure": exposure,
            "insecure": {"lines": 120, "issues": 1, "share": 0.0083, "tool": "bandit 1.9.0"},
        },
        "meta_info": {
            "model_info": {
                "sha": sha("model"),
                "created_at": None,
                "name": "qwen2.5-coder-0.5b",
                "foundation": sha("foundation"),
            },
            "dataset_info": {
                "repository": {
                    "sha": sha(repository),
                    "files": 120,
                    "train_examples": 480,
                    "validation_examples": 60,
                    "test_examples": cases,
                    "train_sha": sha("train"),
                    "validation_sha": sha("validation"),
                    "test_sha": sha(f"{repository}-{task}-{cases}"),
                }
            },
            "package_info": dict(PACKAGES),
            "system_info": {
                "system": "Linux",
                "release": "6.12",
                "version": "#1",
                "machine": "x86_64",
                "processor": "AMD EPYC 9R14",
                "accelerator": "cpu",
                "cores": 2,
                "memory": 24_000_000_000,
                "instructions": "avx512_bf16",
            },
            "pytorch_info": "PyTorch built with:\n  - GCC 13.3\n  - C++ Version: 201703",
            "tolerance": {"loss": 0.0, "note": "bit for bit on the same processor and thread count"},
        },
    }  # fmt: skip


def make_failed(run: Run, why: str, *, diverged: bool = False) -> Run:
    """The same run, if it had failed; perhaps because every learning rate diverged."""
    run["run_info"]["error_msg"] = why
    run["train_info"] |= {"status": "failed", "learning_rate": None}
    for row in run["train_info"]["grid"] if diverged else ():
        row |= {"status": "diverged", "validation_loss": None, "message": "loss 48.2 after 9 steps"}
    run["test_info"] |= {
        "metrics": {},
        "higher_is_better": {},
        "per_case": {},
        "against": {},
        "latency": None,
        "insecure": None,
        "canary_exposure": None,
    }
    run["test_info"]["forgetting"] = {"generic_loss": None, "generic_loss_base": None, "relative": None}
    return run


def make_comparison() -> list[Run]:
    """All methods and baselines: all rates of prompt tuning diverge, a seed of DoRA fails, a rate of LoRA diverges."""
    runs = []
    for task in ("completion", "repair"):
        for method in ("base", "foundation", *METHODS):
            for seed in (1, 2, 3):
                run = make_run(method, seed, task)
                if method == "lora":
                    run["train_info"]["grid"][2] |= {
                        "status": "diverged",
                        "validation_loss": None,
                        "message": "loss 31.7 after 12 steps",
                    }
                if method == "prompt" and task == "repair":
                    make_failed(run, "every learning rate diverged", diverged=True)
                if (method, task, seed) == ("dora", "completion", 2):
                    make_failed(run, "out of memory: 3.1 GB were free, 3.4 GB needed")
                runs.append(run)
    return runs


@pytest.fixture(name="make_run")
def make_run_fixture() -> Callable[..., Run]:
    return make_run


@pytest.fixture(name="make_failed")
def make_failed_fixture() -> Callable[..., Run]:
    return make_failed


@pytest.fixture
def comparison() -> list[Run]:
    """What a whole comparison wrote."""
    return make_comparison()


@pytest.fixture(scope="session")
def groups() -> list[Any]:
    """The groups of a whole comparison; not to be changed."""
    from tailora.evaluation.methods.aggregate import group_runs

    return group_runs(make_comparison())


@pytest.fixture
def write(tmp_path: Path) -> Callable[[list[Run]], Path]:
    """Writes reports into a folder, each in a file of its own."""
    import json

    def write(runs: list[Run]) -> Path:
        folder = tmp_path / "runs"
        folder.mkdir(exist_ok=True)
        for number, run in enumerate(runs):
            (folder / f"{number:03}.json").write_text(json.dumps(run), encoding="utf-8")
        return folder

    return write
