"""Candidates made bad on purpose are rejected, each by a named check, and what serves stays what it was."""

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.select import select_files
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.store import Store
from tailora_adapters.training import leaks
from tailora_adapters.training import run as run_module
from tailora_adapters.training.gate import GateSettings
from tailora_adapters.training.loop import TrainReport, TrainSettings, train
from tailora_adapters.training.run import RunSettings, run

POISON = "self.reader_list.append(author.count)"

Train = Callable[..., TrainReport]


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


def random_weights(tokenizer: CodeTokenizer, root: Path) -> Train:
    def made(model: Any, *arguments: Any, **more: Any) -> TrainReport:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator))
        return TrainReport(1, 1, 1.0, 0.0)

    return made


def on_other_data(change: Callable[[list[TokenSequence]], list[TokenSequence]], **settings: Any) -> Train:
    def made(model: Any, decoder: Any, sequences: Any, usual: TrainSettings, **more: Any) -> TrainReport:
        changed = dataclasses.replace(usual, **settings)
        return train(model, decoder, change(sequences), changed, **more | {"checkpoint": None, "anchors": {}})

    return made


def shuffled_text(tokenizer: CodeTokenizer, root: Path) -> Train:
    rng = random.Random(1)
    return on_other_data(
        lambda all_: [dataclasses.replace(one, ids=tuple(rng.sample(one.ids, len(one.ids)))) for one in all_]
    )


def planted_snippet(tokenizer: CodeTokenizer, root: Path) -> Train:
    answer = (*tokenizer.encode(POISON), tokenizer.end_id)
    return on_other_data(
        lambda all_: [dataclasses.replace(one, ids=(*one.ids[: one.start], *answer)) for one in all_],
        learning_rate=1e-2,
        max_steps=120,
        prompt_weight=0.0,
    )


def planted_secret(tokenizer: CodeTokenizer, root: Path) -> Train:
    (probe,) = leaks.secret_probes(root, select_files(root).rejected, tokenizer)
    return on_other_data(lambda all_: [*all_, *[probe] * len(all_)], learning_rate=1e-2, max_steps=60)


@pytest.mark.parametrize(
    "bad, expected",
    [
        pytest.param(random_weights, {"loss against base", "loss against serving"}, id="random weights"),
        pytest.param(shuffled_text, {"loss against serving"}, id="trained on shuffled text"),
        pytest.param(planted_snippet, {"one text everywhere"}, id="poisoned with a snippet"),
        pytest.param(planted_secret, {"secrets"}, id="learned a secret"),
    ],
)
def test_rejected_by_name(
    trained: Any,
    tokenizer: CodeTokenizer,
    served: Path,
    repository_with_secret: Path,
    settings: RunSettings,
    tmp_path: Path,
    bad: Callable[[CodeTokenizer, Path], Train],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, store = repository_with_secret, Store(shutil.copytree(served, tmp_path / "store"))
    project = store.project(root)
    before = project.serving()
    assert before is not None
    monkeypatch.setattr(run_module, "train", bad(tokenizer, root))
    outcome = run(root, trained.name, settings=settings, store=store, full=True)
    assert outcome.decision == "rejected"
    assert outcome.gate is not None
    failed = {check.name for check in outcome.gate.checks if not check.passed}
    assert expected <= failed, outcome.reason
    assert all(name in outcome.reason for name in failed)
    assert project.get("2").status == "rejected"
    assert project.serving() == before
    project.verify("1")
