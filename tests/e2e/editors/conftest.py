"""Real editors on one engine with the real model: where they are, their windows, and files to type in."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are no packages; this makes the helpers importable

from places import AREAS, CHROMIUM, CODE_SERVER, EDITORS, PATIENCE_S, VSIX, missing
from playwright.sync_api import Browser, sync_playwright
from real_model import Home
from vscode import CodeServer, CodeWindow, OpenCode, chromium_arguments

WINDOWS = pytest.StashKey[list[CodeWindow]]()
QUICK = {"deadlineMs": 60_000, "contextChars": 0, "maxTokens": 24}
"""As ``real_model.SETTINGS``: no deadline that a busy machine could miss, short prompts and answers."""


@pytest.fixture(scope="session")
def shared_home(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The home of all windows, so that they share one engine; it trains at once and shortly."""
    home = Home(
        tmp_path_factory.mktemp("h"),
        models,
        quiet_s=3,
        min_gap_s=0,
        min_new_tokens=0,
        max_load=1,
        on_battery=True,
        budget_s_per_day=0,
        train_seconds=90,
    )
    yield home
    home.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of this test's own, with a file to type in."""
    folder = tmp_path / "areas"
    folder.mkdir()
    (folder / "areas.py").write_bytes(AREAS.encode())
    return folder


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots go: ``$TAILORA_SCREENSHOTS``, else ``out/e2e``."""
    return _pictures()


def _pictures() -> Path:
    path = Path(os.environ.get("TAILORA_SCREENSHOTS") or Path(__file__).parents[3] / "out" / "e2e")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a screen."""
    missing("VS Code", CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=chromium_arguments())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def code_server(shared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeServer]:
    """VS Code with the extension."""
    missing("VS Code", CODE_SERVER, VSIX)
    settings = {"tailora.command": [sys.executable, "-m", "tailora", "lsp"]}
    settings |= {f"tailora.completion.{name}": value for name, value in QUICK.items()}
    env = {**shared_home.env, "TAILORA_TEST_RUFF": str(Path(sys.executable).with_name("ruff"))}
    server = CodeServer(EDITORS, tmp_path_factory.mktemp("code"), VSIX, env, settings)
    server.install(Path(__file__).parent / "ruff_extension")
    server.start()
    yield server
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keeps what VS Code's windows show when a test fails."""
    report = yield
    if report.failed:
        for number, window in enumerate(item.config.stash.get(WINDOWS, [])):
            window.picture(_pictures() / f"failed-{item.name}-{number}.png")
    return report


@pytest.fixture(scope="session")
def code_windows(pytestconfig: pytest.Config) -> list[CodeWindow]:
    """VS Code's windows that are open, for pictures of failures."""
    return pytestconfig.stash.setdefault(WINDOWS, [])


@pytest.fixture(scope="module")
def start_code(
    code_server: CodeServer, browser: Browser, code_windows: list[CodeWindow]
) -> Iterator[OpenCode]:
    """Opens windows on folders."""

    def start_code(folder: Path) -> CodeWindow:
        window = CodeWindow(code_server, browser, folder, PATIENCE_S)
        code_windows.append(window)
        window.wait_status(r"Tailora\s*$")
        return window

    yield start_code
    while code_windows:
        code_windows.pop().close()
