"""Files of which a model makes nothing are found; for ordinary code no model is even loaded."""

import base64
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.training.data import DataSettings, gather
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.readable import MOST_LOSS, suspects, unreadable


class Reader:
    """Stands for a model that gives every right token the same probability."""

    device = torch.device("cpu")

    def __init__(self, loss: float) -> None:
        self._loss = loss
        self.read = 0

    def lower(self, ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        self.read += len(ids)
        self._next = torch.cat((ids[1:], ids[:1]))
        return ids[:, None].float()

    def upper(self, x: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        # All but the label share the rest evenly; the last label is not known, and one of many.
        share = torch.tensor(self._loss).neg().exp()
        scores = ((1 - share) / 511).log().repeat(len(hidden), 512)
        return scores.scatter_(1, self._next[:, None], share.log().expand(len(hidden), 1))


def noise(seed: int = 1) -> str:
    """What stands in a file of data with the ending of code."""
    rng = random.Random(seed)
    lines = (base64.b85encode(rng.randbytes(36)).decode().replace("\\", "/") for _ in range(60))
    return "\n".join(f"x{number} = r'''{line}'''" for number, line in enumerate(lines))


def source(path: str, text: str) -> SourceFile:
    return SourceFile(path, "python", text, "", 0.0)


@pytest.fixture
def files(repository: Path) -> list[SourceFile]:
    return [source(path.name, path.read_text()) for path in sorted(repository.iterdir())]


def test_dense_files_are_suspects(files: list[SourceFile], tokenizer: Any) -> None:
    assert suspects(files, tokenizer) == {}
    found = suspects([*files, source("data.py", noise()), source("empty.py", "")], tokenizer)
    assert list(found) == ["data.py"]
    assert 100 < len(found["data.py"]) <= 256
    many = [source(f"{number}.py", noise(number)) for number in range(50)]
    assert len(suspects(many, tokenizer)) == 32


def test_no_model_for_ordinary_code(files: list[SourceFile], tokenizer: Any) -> None:
    def load() -> Decoder:
        pytest.fail("a model was loaded")

    assert unreadable(files, tokenizer, load) == {}


def test_the_models_loss_decides(files: list[SourceFile], tokenizer: Any) -> None:
    suspicious = [*files, source("data.py", noise())]
    lost, understood = Reader(MOST_LOSS + 0.5), Reader(MOST_LOSS - 0.5)
    assert unreadable(suspicious, tokenizer, lambda: lost) == {"data.py": "loss 3.5 nats a token"}  # type: ignore[arg-type,return-value]
    assert unreadable(suspicious, tokenizer, lambda: understood) == {}  # type: ignore[arg-type,return-value]
    assert 0 < lost.read <= 256, "a sample, and of the suspicious file alone"


def test_what_cannot_be_read_is_not_learned(repository: Path, tokenizer: Any) -> None:
    (repository / "data.py").write_text(noise(), encoding="utf-8")
    found = read_learnable(repository)
    found = replace(
        found,
        selection=replace(found.selection, files=(*found.selection.files, source("noise.py", noise(2)))),
    )
    settings = DataSettings(examples=80, held_out=16, min_examples=1, min_held_out=1)
    reader = Reader(5.0)
    data = gather(
        found,
        tokenizer,
        settings,
        unreadable=lambda files: unreadable(files, tokenizer, lambda: reader),  # type: ignore[arg-type,return-value]
        seed=1,
    )
    assert ("noise.py", "unreadable to the model", "loss 5.0 nats a token") in {
        (one.path, one.reason, one.detail) for one in data.rejected
    }
    assert "noise.py" not in {one.example.path for one in data.training + data.held_out}
    assert "noise.py" not in {file.path for file in (*data.files, *data.shown)}
