"""A real VS Code (code-server in Chromium) with the extension, driven as a person would: by keys, looking at the page.

Waits by looking at the page until something holds; the patience only bounds tests that fail.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from playwright.sync_api import Browser, Error, Frame, Locator, Page, TimeoutError, expect

__all__ = ["CodeServer", "CodeWindow", "OpenCode", "chromium_arguments"]

_SETTINGS: Mapping[str, Any] = {
    "editor.autoIndent": "none",
    "editor.autoClosingBrackets": "never",
    "editor.minimap.enabled": False,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "chat.disableAIFeatures": True,
    "workbench.reduceMotion": "on",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "extensions.ignoreRecommendations": True,
    "security.workspace.trust.enabled": True,
    "security.workspace.trust.startupPrompt": "never",
    "security.workspace.trust.emptyWindow": True,
    "security.workspace.trust.banner": "never",
    "files.autoSave": "off",
    "files.simpleDialog.enable": True,
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
}
_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)
_ATTEMPTS = 10
_GHOST = ".ghost-text-decoration"


_MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
<Metadata>
<Identity Language="en-US" {identity}/><DisplayName>test</DisplayName><Description>test</Description>
</Metadata>
<Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
<Assets><Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json"/></Assets>
</PackageManifest>"""


def chromium_arguments() -> list[str]:
    """How Chromium is started here."""
    return list(_ARGUMENTS)


class CodeServer:
    """VS Code's server, with the extension installed, for any number of windows.

    Args:
        editors: The folder that ``tools/editors`` filled.
        home: A folder for VS Code's own files.
        extension: The ``.vsix``, or the folder of an extension that needs no building.
        env: Environment of the extension, the language server and the engine.
        settings: Of the user.
    """

    def __init__(
        self, editors: Path, home: Path, extension: Path, env: Mapping[str, str], settings: Mapping[str, Any]
    ) -> None:
        self._home = home
        self._data, self._extensions = home / "data", home / "extensions"
        self._node = editors / "node24" / "node_modules" / "node" / "bin"
        self._program = editors / "code-server" / "node_modules" / ".bin" / "code-server"
        self._env = {**env, "HOME": str(home)}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.settings = {**_SETTINGS, **settings}
        self.write_settings()
        self.install(extension)

    def write_settings(self, **changes: Any) -> None:
        """Changes the user's settings, as saving ``settings.json`` does."""
        self.settings |= changes
        for place in ("User", "Machine"):  # a machine's own settings are looked for in the latter
            path = self._data / place / "settings.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self.settings, indent=2), encoding="utf-8")

    def install(self, extension: Path) -> None:
        """Installs a ``.vsix``, or an extension that needs no building from its folder."""
        package = self._packed(extension) if extension.is_dir() else extension
        self._run("--install-extension", str(package))

    def _packed(self, folder: Path) -> Path:
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        names = {"Id": "name", "Version": "version", "Publisher": "publisher"}
        identity = " ".join(f'{key}="{about[name]}"' for key, name in names.items())
        package = self._home / f"{about['name']}.vsix"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("extension.vsixmanifest", _MANIFEST.format(identity=identity))
            for path in folder.iterdir():
                archive.write(path, f"extension/{path.name}")
        return package

    def start(self, **env: str) -> None:
        """Serves on a free port of the loopback, and waits until it answers; ``env`` beside the environment."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with (self._home / "code-server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command(), "--bind-addr", f"127.0.0.1:{self.port}", "--auth", "none"],
                env=self._with_node(env),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while True:
            if self._process.poll() is not None:
                raise AssertionError((self._home / "code-server.log").read_text(encoding="utf-8"))
            with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5):
                return

    def stop(self) -> None:
        """Ends it and what it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 15)
            self._process.wait()

    def _command(self) -> list[str]:
        return [
            str(self._program),
            "--user-data-dir",
            str(self._data),
            "--extensions-dir",
            str(self._extensions),
            "--disable-telemetry",
            "--disable-update-check",
        ]

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [*self._command(), *arguments], env=self._with_node({}), check=True, capture_output=True
        )

    def _with_node(self, more: Mapping[str, str]) -> dict[str, str]:
        env = {**self._env, **more}
        return {**env, "PATH": f"{self._node}{os.pathsep}{env['PATH']}"}


class CodeWindow:
    """One window on a folder."""

    def __init__(self, server: CodeServer, browser: Browser, folder: Path, patience_s: float) -> None:
        self._server = server
        self._patience_s = patience_s
        self._poll_ms = 20
        self._context = browser.new_context(viewport={"width": 1280, "height": 760}, reduced_motion="reduce")
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(patience_s * 1000)
        expect.set_options(timeout=patience_s * 1000)
        self.folder = folder
        self.page.goto(f"http://127.0.0.1:{server.port}/?folder={quote(str(folder))}")

    def close(self) -> None:
        """As closing the browser's tab."""
        self._context.close()

    @property
    def status(self) -> Locator:
        """The item in the status bar."""
        return self.page.locator('[id="tailora.tailora.tailora.status"], [id*="tailora.status"]').first

    def wait_status(self, text: str) -> str:
        """Waits until the status item's text matches the regular expression ``text``; the text."""
        expect(self.status).to_contain_text(re.compile(text))
        return self.status.inner_text().strip()

    def wait_reason(self, text: str) -> None:
        """Waits until the status item's sentence contains ``text``."""
        expect(self.status).to_have_attribute("aria-label", re.compile(re.escape(text)))

    def show(self, path: Path) -> None:
        """Opens what lies directly in the folder, by the explorer."""
        self.page.locator(".explorer-folders-view .monaco-list-row").get_by_text(
            path.name, exact=True
        ).dblclick()
        self.page.locator(f'.tab.active[data-resource-name="{path.name}"]').wait_for()

    def open(self, path: Path) -> None:
        """Opens a text file that lies directly in the folder."""
        self.show(path)
        self.page.locator(".editor-instance .view-lines").first.wait_for()

    def go(self, line: int, column: int) -> None:
        """Puts the cursor there; both count from 1."""
        self._pick("Control+G", f":{line}:{column}", "")

    def command(self, title: str) -> None:
        """Runs a command of the palette."""
        self._pick("F1", f">{title}", title)

    def pick(self, title: str) -> None:
        """Chooses an entry of a list that is open."""
        self.page.locator(".quick-input-list .monaco-list-row").filter(has_text=title).first.click()

    def _pick(self, keys: str, text: str, title: str) -> None:
        box = self.page.locator(".quick-input-widget input.input")
        for attempt in range(_ATTEMPTS):
            self.page.keyboard.press(keys)
            try:
                box.wait_for(state="visible", timeout=2000)
                break
            except TimeoutError:  # something else took the focus
                if attempt == _ATTEMPTS - 1:
                    raise
        box.fill(text)
        if title:
            self.page.locator(".quick-input-list .monaco-list-row").filter(has_text=title).first.wait_for()
        self.page.keyboard.press("Enter")
        if title == "" or keys != "F1":
            box.wait_for(state="hidden")

    def type(self, text: str) -> None:
        """Types at the pace of a person."""
        self.page.keyboard.type(text, delay=60)

    def press(self, keys: str) -> None:
        """Presses keys, in Playwright's notation."""
        self.page.keyboard.press(keys)

    def ghost(self) -> str:
        """The first line of the ghost text as drawn, as soon as there is one."""
        self.page.locator(_GHOST).first.wait_for()
        return _plain("".join(self.page.locator(_GHOST).all_inner_texts()))

    def ghost_is(self, text: str) -> None:
        """Waits until the ghost text's first line is ``text``."""
        self.until(lambda: _plain("".join(self.page.locator(_GHOST).all_inner_texts())) == text, text)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Waits until ``condition`` is true."""
        deadline = time.monotonic() + self._patience_s
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come")
            self.page.wait_for_timeout(self._poll_ms)

    def watch_status(self) -> Callable[[], list[str]]:
        """From now on notes every text of the status item; what returns them."""
        self.status.evaluate(
            """item => {
                window.tailoraSeen = [];
                new MutationObserver(() => window.tailoraSeen.push(item.innerText))
                    .observe(item, {childList: true, subtree: true, characterData: true});
            }"""
        )
        return lambda: list(self.page.evaluate("window.tailoraSeen"))

    def no_ghost(self) -> None:
        """Waits until there is none."""
        expect(self.page.locator(_GHOST)).to_have_count(0)

    def saved(self, path: Path) -> str:
        """Saves the document, which was changed; the file with its line ends."""
        dirty = self.page.locator(f'.tab.active.dirty[data-resource-name="{path.name}"]')
        expect(dirty).to_have_count(1)
        self.page.keyboard.press("Control+S")
        expect(dirty).to_have_count(0)
        return path.read_bytes().decode()

    def trust(self) -> None:
        """Says that the folder is trusted."""
        self.command("Workspaces: Manage Workspace Trust")
        self.page.locator(".workspace-trust-editor .monaco-button").get_by_text(
            "Trust", exact=True
        ).first.click()
        self.page.locator(".statusbar-item").get_by_text("Restricted Mode").wait_for(state="hidden")
        self.page.locator(".monaco-modal-editor-block .codicon-close").first.click()
        self.page.locator(".workspace-trust-editor").wait_for(state="hidden")

    def view(self) -> Frame:
        """The page in the side bar."""

        def find() -> Frame | None:
            frames = [
                frame
                for frame in self.page.frames
                if frame.name == "active-frame" or frame.child_frames == []
            ]
            return next((frame for frame in frames if _shows(frame, "#tailora")), None)

        self.until(find, "the view")
        frame = find()
        assert frame is not None
        return frame

    @contextlib.contextmanager
    def patient(self, patience_s: float) -> Iterator[None]:
        """Waits longer inside, and looks less often."""
        before = self._patience_s, self._poll_ms
        self._patience_s, self._poll_ms = patience_s, 1000
        yield
        self._patience_s, self._poll_ms = before

    def picture(self, path: Path) -> None:
        """A screenshot."""
        self.page.screenshot(path=str(path))


OpenCode = Callable[[Path], CodeWindow]


def _shows(frame: Frame, selector: str) -> bool:
    try:
        return frame.locator(selector).count() > 0
    except Error:  # it was replaced meanwhile
        return False


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u200c", "")
