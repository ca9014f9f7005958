"""The Neovim plugin's LuaCATS types agree with its code, as far as the text shows.

The types themselves are checked by lua-language-server, which pip, npm and Debian do not have: see .luacheckrc.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[1] / "editors" / "neovim"
FILES = sorted(PLUGIN.rglob("*.lua"))
_FUNCTION = re.compile(r"(?:local )?function [\w.:]+\((?P<names>[^)]*)\)")
_OWN = re.compile(r"\btailora\.[A-Z]\w*")


def _documented(path: Path) -> Iterator[tuple[int, list[str], list[str]]]:
    """Each function at the left margin: its line, the names of its ``@param``, and those of its parameters."""
    block: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("---"):
            block.append(line)
            continue
        match = _FUNCTION.match(line)
        if match:
            names = re.findall(r"[\w.]+", match["names"])
            told = [found[1] for text in block if (found := re.match(r"---@param ([\w.]+)\??", text))]
            yield number, told, [name for name in names if name != "_"]
        block = []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGIN)))
def test_every_parameter_has_its_type(path: Path) -> None:
    for number, told, names in _documented(path):
        assert told == names, f"{path.name}:{number}"


def test_every_type_of_its_own_is_declared_and_used() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
    declared = re.findall(r"---@(?:class|alias) (tailora\.\w+)", text)
    assert len(declared) == len(set(declared)) > 0
    named = _OWN.findall(text)
    assert set(named) == set(declared)
    assert [name for name in declared if named.count(name) == 1] == []
