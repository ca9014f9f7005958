"""The base model, and homes with a real engine. Tests of one module share their engine where state allows."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Tests are no packages; this makes the helpers importable, the language server's test clients among them.
sys.path.insert(0, str(Path(__file__).parents[1] / "server" / "lsp"))
sys.path.insert(0, str(Path(__file__).parent))

from real_model import MODEL, Home, copy_package

from tailora_adapters import paths
from tailora_adapters.base.fetch import fetch, is_ready
from tailora_adapters.errors import FetchFailed

MakeHome = Callable[..., Home]


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder with the converted base model, brought here if it is missing."""
    if not is_ready(MODEL):
        try:
            fetch(MODEL)
        except FetchFailed as error:
            pytest.skip(f"THE TESTS OF THE REAL MODEL DID NOT RUN, it could not be fetched: {error}")
    return paths.models_dir().resolve()


@pytest.fixture(scope="module")
def make_home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeHome]:
    """``make_home(models=..., **engine)``: a home with engine settings; what runs in it ends with the module."""
    homes: list[Home] = []

    def make(models: Path = models, **engine: object) -> Home:
        homes.append(Home(tmp_path_factory.mktemp("h"), models, **engine))
        return homes[-1]

    yield make
    for home in homes:
        home.end()


@pytest.fixture(scope="module")
def home(make_home: MakeHome) -> Home:
    """The home that this module's tests share."""
    return make_home()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real code in a git repository."""
    return copy_package(tmp_path_factory.mktemp("work") / "repository")
