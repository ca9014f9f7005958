"""What tests of comparisons of methods share: a small repository, and cells that run in the test's own process."""

from collections.abc import Callable, Sequence
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


@pytest.fixture(scope="session")
def write_library() -> Callable[[Path], Path]:
    """Writes a repository of twelve files into a folder."""

    def write(root: Path) -> Path:
        for number, noun in enumerate(NOUNS):
            lines = [f'"""{noun}s."""', "", f"class {noun.capitalize()}:"]
            for step in range(10):
                lines += [
                    f"    def {noun}_{step * (number + 2)}(self, {NOUNS[step % 8]}: int) -> int:",
                    f"        {noun}_total = {NOUNS[(step + 1) % 8]}.count({number} + {step})",
                    f"        return {noun}_total % {number + step + 2}",
                    "",
                ]
            path = root / "lib" / f"{noun}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines), encoding="utf-8")
        return root

    return write


@pytest.fixture(scope="session")
def in_this_process() -> Callable[[pytest.MonkeyPatch], list[str]]:
    """Has cells run in this process; the list gets their folders and names, as they are begun."""

    def use(monkeypatch: pytest.MonkeyPatch) -> list[str]:
        from tailora.evaluation.methods import compare
        from tailora.evaluation.methods.cell import run_cell
        from tailora.evaluation.methods.comparison import Cell, Comparison
        from tailora.evaluation.methods.places import Places
        from tailora_adapters.errors import TailoraError

        begun: list[str] = []

        def run(_module: str, arguments: Sequence[str], progress: Any) -> dict[str, Any]:
            given = dict(zip(arguments[::2], arguments[1::2], strict=True))
            out, cell = Path(given["--out"]), Cell(given["--task"], given.get("--method"))
            begun.append(f"{out.name}: {cell.method or 'baselines'}")
            try:
                run_cell(Comparison.read(out), cell, Places.open(out), progress)
            except TailoraError as error:
                return {"decision": "failed", "reason": str(error)}
            return {"decision": "finished", "reason": ""}

        monkeypatch.setattr(compare, "run_worker", run)
        return begun

    return use


@pytest.fixture
def cells(
    monkeypatch: pytest.MonkeyPatch, in_this_process: Callable[[pytest.MonkeyPatch], list[str]]
) -> list[str]:
    """Cells run in this process; their folders and names, as they are begun."""
    return in_this_process(monkeypatch)
