"""Which checkers are installed, and where."""

import os
import shutil
import sys
from pathlib import Path

from tailora.repair.checkers.checker import Checker
from tailora.repair.checkers.eslint import Eslint
from tailora.repair.checkers.mypy import Mypy
from tailora.repair.checkers.process import inside
from tailora.repair.checkers.ruff import Ruff
from tailora.repair.checkers.server import LanguageServer
from tailora.repair.checkers.typescript import TypeScript

__all__ = ["find"]

_PYTHON = frozenset({"python"})
_SCRIPT = frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact"})
_ENVIRONMENTS = (".venv", "venv", "env")


def find(root: Path, language: str, *, trusted: bool) -> list[Checker]:
    """Those installed for a language, cheapest first.

    Looks in the project's own environments, where Tailora's interpreter is, and in PATH. Where the workspace is not
    trusted, nothing inside ``root`` is ever executed and no checker is used whose configuration is code.
    """
    root = root.absolute()
    if language in _PYTHON:
        return _for_python(root, trusted)
    if language in _SCRIPT:
        return _for_script(root, trusted)
    return []


def _for_python(root: Path, trusted: bool) -> list[Checker]:
    own = _own_python(root) if trusted else None
    interpreter = str(own or sys.executable)
    found: list[Checker] = []
    if ruff := _executable("ruff", root, trusted):
        found.append(Ruff(ruff, root, trusted=trusted))
    if ty := _executable("ty", root, trusted):
        env = {"VIRTUAL_ENV": str(own.parent.parent)} if own else {}
        found.append(LanguageServer("ty", [ty, "server"], root, _PYTHON, trusted=trusted, env=env))
    for name in ("pyright", "basedpyright"):
        if server := _executable(f"{name}-langserver", root, trusted):
            settings = {"python": {"pythonPath": interpreter}}
            command: list[str | Path] = [server, "--stdio"]
            found.append(LanguageServer(name, command, root, _PYTHON, trusted=trusted, settings=settings))
    if mypy := _executable("mypy", root, trusted):
        found.append(Mypy(mypy, root, own, trusted=trusted))
    return found


def _for_script(root: Path, trusted: bool) -> list[Checker]:
    found: list[Checker] = []
    if trusted and (eslint := _executable("eslint", root, trusted)):
        found.append(Eslint(eslint, root, _SCRIPT))
    if tsserver := _executable("tsserver", root, trusted):
        found.append(TypeScript(tsserver, root, _SCRIPT, trusted=trusted))
    elif tsc := _executable("tsc", root, trusted):  # since TypeScript 7 it is a language server itself
        found.append(LanguageServer("tsc", [tsc, "--lsp", "--stdio"], root, _SCRIPT, trusted=trusted))
    return found


def _executable(name: str, root: Path, trusted: bool) -> Path | None:
    own = [root / it / bin for it in _ENVIRONMENTS for bin in ("bin", "Scripts")]
    own.append(root / "node_modules" / ".bin")
    path = [Path(it) for it in os.environ.get("PATH", "").split(os.pathsep) if it]
    for folder in (*(own if trusted else ()), Path(sys.executable).parent, *path):
        found = shutil.which(name, path=str(folder)) if folder.is_absolute() else None
        # Windows looks in the working directory first.
        if found and Path(found).parent == folder and (trusted or not inside(Path(found), root)):
            return Path(found)
    return None


def _own_python(root: Path) -> Path | None:
    for environment in _ENVIRONMENTS:
        for place in ("bin/python", "Scripts/python.exe"):
            if (root / environment / place).exists():
                return root / environment / place
    return None
