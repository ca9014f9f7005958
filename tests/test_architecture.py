"""The direction of imports, and what may never be loaded where milliseconds count."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tailora
import tailora_adapters

SERVER = Path(tailora.__file__).parent
ADAPTERS = Path(tailora_adapters.__file__).parent


def imported(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_adapters_never_import_the_server() -> None:
    files = sorted(ADAPTERS.rglob("*.py"))
    assert len(files) > 20
    for path in files:
        wrong = {name for name in imported(path) if name.split(".")[0] == "tailora"}
        assert not wrong, f"{path.relative_to(ADAPTERS)} imports {sorted(wrong)}"


def test_lsp_never_names_a_model_library() -> None:
    for package in ("lsp", "completion"):
        for path in sorted((SERVER / package).rglob("*.py")):
            wrong = {
                name for name in imported(path) if name.split(".")[0] in {"torch", "transformers", "peft"}
            }
            assert not wrong, f"{path.relative_to(SERVER)} imports {sorted(wrong)}"


def test_only_the_lsp_knows_lsp() -> None:
    for folder in (ADAPTERS, SERVER / "engine", SERVER / "completion", SERVER / "evaluation"):
        for path in sorted(folder.rglob("*.py")):
            wrong = {name for name in imported(path) if name.split(".")[0] in {"pygls", "lsprotocol"}}
            assert not wrong, f"{path} imports {sorted(wrong)}"


@pytest.mark.parametrize(
    "module",
    [
        "tailora.lsp.server",
        "tailora.completion",
        "tailora.engine.client",
        "tailora.engine.app",
        "tailora.cli.app",
        "tailora_adapters",
        "tailora_adapters.store",
        "tailora_adapters.manifest",
        "tailora_adapters.languages",
        "tailora_adapters.foundation",
        "tailora_adapters.base.fetch",
        "tailora_adapters.corpus.select",
        "tailora_adapters.clones.semantic",
        "tailora_adapters.clones.worker",
        "tailora_adapters.training.schedule",
    ],
)
def test_imports_no_model_library(module: str) -> None:
    heavy = "{'torch', 'transformers', 'peft', 'bitsandbytes', 'scipy'}"
    code = f"import sys, {module}\nprint(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
