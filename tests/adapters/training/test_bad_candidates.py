"""Candidates made bad on purpose are rejected, each by a named check, and what serves stays what it was."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.select import select_files
from tailora_adapters.store import Store
from tailora_adapters.training import leaks
from tailora_adapters.training.bad_candidates import bad_trainings
from tailora_adapters.training.gate import GateSettings
from tailora_adapters.training.run import RunSettings, run

POISON = "self.reader_list.append(author.count)"
"""Of the tiny tokenizer's own words."""


@pytest.fixture(scope="module")
def settings(run_settings: RunSettings) -> RunSettings:
    """Candidates stay as they are made, and all layers of them."""
    return dataclasses.replace(run_settings, scales=(1.0,), lower_share=0.0)


@pytest.fixture(scope="module")
def served(
    trained_model: Any,
    settings: RunSettings,
    repository_with_secret: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A store in which a version of the repository's serves that has a lower loss than the base.

    How alike a tiny model's few answers are is chance, and differs by machine: it isn't asked of this one.
    """
    home = tmp_path_factory.mktemp("served") / "store"
    settings = dataclasses.replace(settings, gate=GateSettings(significance=0.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILORA_MODELS", str(trained_model.models))
        good = run(repository_with_secret, trained_model.name, settings=settings, store=Store(home))
    assert good.decision == "promoted", good.reason
    return home


@pytest.mark.parametrize(
    "bad, expected",
    [
        ("random weights", {"loss against base", "loss against serving"}),
        ("shuffled text", {"loss against serving"}),
        ("planted snippet", {"one text everywhere"}),
        ("planted secret", {"secrets"}),
    ],
)
def test_rejected_by_name(
    trained: Any,
    tokenizer: CodeTokenizer,
    served: Path,
    repository_with_secret: Path,
    settings: RunSettings,
    tmp_path: Path,
    bad: str,
    expected: set[str],
) -> None:
    root, store = repository_with_secret, Store(shutil.copytree(served, tmp_path / "store"))
    project = store.project(root)
    before = project.serving()
    assert before is not None
    (secret,) = leaks.secret_probes(root, select_files(root).rejected, tokenizer)
    learn = bad_trainings(tokenizer, secret, learning_rate=1e-2, steps=120, poison=POISON)[bad]
    outcome = run(root, trained.name, settings=settings, store=store, full=True, learn=learn)
    assert outcome.decision == "rejected"
    assert outcome.gate is not None
    failed = {check.name for check in outcome.gate.checks if not check.passed}
    assert expected <= failed, outcome.reason
    assert all(name in outcome.reason for name in failed)
    assert project.get("2").status == "rejected"
    assert project.serving() == before
    project.verify("1")
