"""A small repository that can be learned."""

import random
import string
from pathlib import Path
from typing import Any

import pytest

NOUNS = (
    "book",
    "shelf",
    "reader",
    "loan",
    "branch",
    "author",
    "title",
    "copy",
    "fine",
    "desk",
    "queue",
    "label",
)

SETTINGS_FILE = '''\
"""Settings of the library."""

LOAN_DAYS = 28
FINE_PER_DAY = 3
API_TOKEN = "{}"
BRANCHES = ("north", "south")
'''


def write_repository(root: Path, files: int = 12) -> Path:
    """Files alike in style, and different enough that none counts as a copy of another."""
    for number, noun in enumerate(NOUNS[:files]):
        other, third = NOUNS[(number * 5 + 3) % 12], NOUNS[(number * 7 + 1) % 12]
        name, more = noun.capitalize(), other.capitalize()
        lines = [f'"""{name}s, and how a {other} finds them."""', "", "", f"class {name}:"]
        for step in range(number % 4 + 4):
            field = f"{third}_{other}_{step * (number + 3)}"
            lines += [
                f"    def {field}(self, {other}: {more}) -> int:",
                f"        {noun}_{step} = {other}.count({number} + {step}) * {number * 13 + step}",
                f"        self.{third}_list.append({noun}_{step} - {other}.{field})",
                f"        return {noun}_{step} % {number + 2}",
                "",
            ]
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{noun}.py").write_text("\n".join(lines), encoding="utf-8")
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Twelve files."""
    return write_repository(tmp_path / "library")


def made_up_secret(seed: int = 1) -> str:
    """A token as a code host gives them out; made at run time, so that no file here looks like it has one."""
    return "ghp_" + "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=36))


def write_secret(root: Path) -> str:
    """Puts a secret into ``settings.py``, and returns it."""
    value = made_up_secret()
    (root / "settings.py").write_text(SETTINGS_FILE.format(value), encoding="utf-8")
    return value


@pytest.fixture
def secret(repository: Path) -> str:
    """A secret, in ``settings.py`` of the repository."""
    return write_secret(repository)


@pytest.fixture(scope="session")
def repository_with_secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twelve files and ``settings.py``. Not to be written to."""
    root = write_repository(tmp_path_factory.mktemp("with-secret") / "library")
    write_secret(root)
    return root


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """An empty ``Store``."""
    from tailora_adapters.store import Store

    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def run_settings() -> Any:
    """``RunSettings`` of a size that the small repository and the tiny models allow."""
    from tailora_adapters.methods import LoraSettings
    from tailora_adapters.training.data import DataSettings
    from tailora_adapters.training.loop import TrainSettings
    from tailora_adapters.training.run import RunSettings

    return RunSettings(
        data=DataSettings(
            examples=60, held_out=16, generic=4, min_examples=20, min_held_out=5, max_prompt=80
        ),
        train=TrainSettings(learning_rate=5e-3, batch_tokens=320, max_steps=30, max_epochs=100),
        shape=LoraSettings(rank=4, alpha=16),
    )
