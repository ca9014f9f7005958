"""VS Code where the language server cannot be had or does not run: what a person is told, and that it is no loop."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from places import CODE_SERVER, EDITORS, PATIENCE_S, VSIX, missing
from playwright.sync_api import Browser, Locator
from vscode import CodeServer, CodeWindow

pytestmark = [pytest.mark.editors, pytest.mark.timeout(300)]

Start = Callable[..., CodeWindow]
_NOWHERE = "http://127.0.0.1:9"
"""Nothing listens on the port of the discard protocol."""
_RESTARTS = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> CodeServer:
    """VS Code with the extension, not started."""
    missing("VS Code", CODE_SERVER, VSIX)
    env = {"PATH": "/usr/bin:/bin", "TAILORA_HOME": str(tmp_path_factory.mktemp("h"))}
    return CodeServer(EDITORS, tmp_path_factory.mktemp("code"), VSIX, env, {})


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """All programs that there are for VS Code and the extension."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shell = shutil.which("sh")
    assert shell is not None
    (folder / "sh").symlink_to(shell)
    return folder


@pytest.fixture
def start(
    server: CodeServer, browser: Browser, code_windows: list[CodeWindow], programs: Path, tmp_path: Path
) -> Iterator[Start]:
    """``start(settings, **environment)``: a window on an empty folder."""

    def start(settings: dict[str, object], **env: str) -> CodeWindow:
        server.write_settings(**{"tailora.command": [], "tailora.python": "", "http.proxy": ""} | settings)
        # VS Code takes the PATH from the user's shell, where one works.
        server.start(PATH=str(programs), SHELL=str(program(programs / "shell", "exit 1")), **env)
        folder = tmp_path / "work"
        folder.mkdir()
        code_windows.append(CodeWindow(server, browser, folder, PATIENCE_S))
        return code_windows[-1]

    yield start
    while code_windows:
        code_windows.pop().close()
    server.stop()


def message(window: CodeWindow, text: str) -> Locator:
    """The notification that says so, when it has come."""
    found = window.page.locator(".notification-toast").filter(has_text=text)
    found.wait_for()
    return found


def install(window: CodeWindow) -> None:
    """Does as the first notification proposes."""
    window.wait_status("not installed")
    message(window, "needs its language server").get_by_role("button", name="Install", exact=True).click()


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python(path: Path, version: str) -> Path:
    """One of that version, without Tailora."""
    return program(path, f'case "$*" in *tailora*) exit 1 ;; esac\necho {version}')


def test_no_python(start):
    window = start({})
    install(window)
    message(window, "No Python was found on this machine. Tailora needs Python 3.11 or newer")
    window.wait_status("error")


def test_an_old_python(start, programs):
    python(programs / "python3", "3.8.10")
    window = start({})
    install(window)
    message(window, "found only 3.8.10")


def test_an_old_python_by_the_setting(start, programs):
    window = start({"tailora.python": str(python(programs / "mine", "3.9.1"))})
    install(window)
    message(window, "is 3.9.1; 3.11 or newer is needed")


def test_no_network(start, programs):
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    window = start({}, PIP_INDEX_URL=f"{_NOWHERE}/simple", PIP_RETRIES="1")
    install(window)
    message(window, "The package index could not be reached. Check the internet connection")
    window.wait_status("error")


def test_a_proxy_that_refuses(start, programs):
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    window = start(
        {"http.proxy": _NOWHERE}, PIP_INDEX_URL="https://index.invalid/simple", PIP_RETRIES="1", NO_PROXY=""
    )
    install(window)
    message(window, "The proxy refused the connection. Check VS Code's setting http.proxy")


def test_a_server_that_crashes_at_its_start(start, programs, tmp_path):
    starts = tmp_path / "starts"
    crashing = program(programs / "crashing", f"echo x >> {starts}; echo 'the disk is on fire' >&2; exit 3")
    window = start({"tailora.command": [str(crashing)]})
    window.wait_status("restarting in")
    told = message(window, "ended again and again")
    assert "the disk is on fire" in told.inner_text()
    window.wait_status("error")
    assert len(starts.read_text().split()) == 1 + _RESTARTS
    told.get_by_role("button", name="Show Log").click()
    window.page.locator(".output-view, .panel .monaco-editor").get_by_text(
        "the disk is on fire"
    ).first.wait_for()
    program(crashing, f"exec {sys.executable} -m tailora lsp")
    window.command("Restart the Language Server")
    window.until(lambda: "restarting" not in window.status.inner_text(), "the end of the restarts")
    window.wait_status("starting|model|loading|Tailora$")
