"""What of other files is found for a completion."""

from dataclasses import replace
from pathlib import Path

import pytest

from tailora.completion import ContextSnippet, RecentEdits, Snapshot, gather


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8")


def look(
    folder: Path, name: str, language: str, recent: RecentEdits | None = None, **settings
) -> tuple[ContextSnippet, ...]:
    text = (folder / name).read_text(encoding="utf-8")
    snapshot = Snapshot((folder / name).as_uri(), folder / name, language, 1, text, len(text))
    settings = {"root": folder, "read": read, "budget_chars": 8000} | settings
    return gather(snapshot, recent=recent or RecentEdits(), **settings)


SHAPES = '''"""Shapes."""
import math
from .units import Metre

LIMIT: int = 100


class Shape(Base):
    """Something with an area.

    More about it.
    """

    sides: int = 0

    def __init__(self, name: str) -> None:
        """Gives it a name.

        And more."""
        self.name = name

    @property
    def area(self) -> float:
        return 0.0


@cache
def largest(
    shapes: list[Shape],
    *,
    limit: int = LIMIT,
) -> Shape:
    """The largest of them."""
    return max(shapes)


def _private(x): return x
'''

SHAPE = '''class Shape(Base):
    """Something with an area."""
    sides: int = 0
    def __init__(self, name: str) -> None: ...
    def area(self) -> float: ...'''

LARGEST = '''def largest(
    shapes: list[Shape],
    *,
    limit: int = LIMIT,
) -> Shape:
    """The largest of them."""'''


def test_python_definitions(tmp_path):
    write(
        tmp_path,
        {
            "pkg/__init__.py": "from .shapes import Shape as Figure, largest\nfrom .units import *\n",
            "pkg/shapes.py": SHAPES,
            "pkg/units.py": "class Metre: pass\n",
            "pkg/app/main.py": "import os, numpy\n"
            "from ..shapes import (  # these\n    largest,\n    Shape as S,\n)\n",
            "use.py": "from pkg import Figure, Metre\n",
            "whole.py": "import pkg.shapes as s\n",
            "sub.py": "from pkg import units\nfrom pkg.missing import x\nfrom pkg.shapes import missing\n",
        },
    )
    assert look(tmp_path, "pkg/app/main.py", "python") == (
        ContextSnippet("pkg/shapes.py", f"{LARGEST}\n{SHAPE}"),
    )
    assert look(tmp_path, "use.py", "python") == (
        ContextSnippet("pkg/shapes.py", SHAPE),
        ContextSnippet("pkg/units.py", "class Metre: ..."),
    )
    assert look(tmp_path, "whole.py", "python") == (
        ContextSnippet("pkg/shapes.py", f"LIMIT: int = 100\n{SHAPE}\n{LARGEST}"),
    )
    assert look(tmp_path, "sub.py", "python") == (ContextSnippet("pkg/units.py", "class Metre: ..."),)


@pytest.mark.parametrize("source", ["src", "server", "."])
def test_python_source_roots(tmp_path, source):
    write(
        tmp_path,
        {f"{source}/pkg/a.py": "def f(x):\n    pass\n", f"{source}/pkg/deep/b.py": "from pkg.a import f\n"},
    )
    (snippet,) = look(tmp_path, f"{source}/pkg/deep/b.py", "python")
    assert snippet.text == "def f(x): ..."


def test_typescript_definitions(tmp_path):
    write(
        tmp_path,
        {
            "src/shape.ts": """
import { Unit } from "./unit";
export { Unit };
export * from "./more";
export interface Point {
  x: number;
  y: number;
}
export class Shape<T> extends Base {
  private sides = 3;
  constructor(readonly name: string) { super(); }
  async area(unit: Unit): Promise<number> { return 0; }
}
export default function largest(shapes: Shape[]): Shape { return shapes[0]; }
export const scale = (by: number): number => { return by; };
export const LIMIT = 100;
""",
            "src/unit.ts": "export type Unit = 'm' | 'ft';\n",
            "src/more/index.tsx": "export function more(): void {}\n",
            "src/app.ts": """import big, { type Point, Shape as S,
  scale, Unit, more } from './shape.js';
import fs from "node:fs";
import React from 'react';
import * as all from "./more";
import "./styles.css";
""",
            "src/old.js": "const { LIMIT, scale: s } = require('./shape')\n",
        },
    )
    shape, unit, more = look(tmp_path, "src/app.ts", "typescript")
    assert shape.path == "src/shape.ts"
    assert shape.text.split("\n") == [
        "function largest(shapes: Shape[]): Shape",
        "interface Point {",
        "  x: number;",
        "  y: number;",
        "}",
        "class Shape<T> extends Base {",
        "    private sides = 3;",
        "    constructor(readonly name: string);",
        "    async area(unit: Unit): Promise<number>;",
        "}",
        "const scale = (by: number): number =>",
    ]
    assert (unit.path, unit.text) == ("src/unit.ts", "type Unit = 'm' | 'ft';")
    assert (more.path, more.text) == ("src/more/index.tsx", "function more(): void")
    (old,) = look(tmp_path, "src/old.js", "javascript")
    assert old.text == "const LIMIT = 100\nconst scale = (by: number): number =>"


def test_nothing_outside_the_root_is_read(tmp_path):
    root = tmp_path / "root"
    write(
        tmp_path,
        {"secret.py": "def f(): pass\n", "root/pkg/a.py": "from ...secret import f\nfrom .link import f\n"},
    )
    write(tmp_path, {"root/b.ts": "import { f } from '../c';\n", "c.ts": "export function f() {}\n"})
    (root / "pkg" / "link.py").symlink_to(tmp_path / "secret.py")
    recent = RecentEdits()
    recent.note(tmp_path / "secret.py", "def f(): pass\n", 3)
    recent.note(root / "pkg" / "link.py", "def f(): pass\n", 3)
    asked = []
    settings = {"read": lambda path: asked.append(path), "recent": recent}
    assert look(root, "pkg/a.py", "python", **settings) == ()
    assert look(root, "b.ts", "typescript", **settings) == ()
    assert asked == []


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".env.local",
        "server.pem",
        "a.key",
        "id_rsa",
        "id_ed25519.pub",
        ".ssh/config",
        "secrets.py",
        ".npmrc",
    ],
)
def test_nothing_that_looks_secret_is_handed_on(tmp_path, name):
    write(tmp_path, {name: "def f(): pass\n", "a.py": f"from {Path(name).stem} import f\n"})
    recent = RecentEdits()
    recent.note(tmp_path / name, "TOKEN=abc\n", 0)
    assert look(tmp_path, "a.py", "python", recent) == ()


def test_unreadable_files_are_as_good_as_none(tmp_path):
    write(
        tmp_path,
        {
            "large.py": "x = 1\n" * 100_000,
            "good.py": "def good(): pass\n",
            "folder.py/x.txt": "",
            "a.py": "from large import x\nfrom bad import x\nfrom gone import x\nfrom folder import x\n"
            "from good import good\n",
        },
    )
    (tmp_path / "bad.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "gone.py").write_text("x = 1\n")
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop2.py")
    (tmp_path / "loop2.py").symlink_to(tmp_path / "loop.py")

    def reader(path: Path) -> str | None:
        if path.name == "gone.py":
            raise FileNotFoundError(path)
        return read(path)

    assert look(tmp_path, "a.py", "python", read=reader) == (ContextSnippet("good.py", "def good(): ..."),)
    write(tmp_path, {"b.py": "from loop import x\nfrom b import x\nimport b\n"})
    assert look(tmp_path, "b.py", "python") == ()


def test_modules_that_import_each_other_end(tmp_path):
    write(tmp_path, {"a.py": "from b import *\n", "b.py": "from c import *\n", "c.py": "from b import *\n"})
    write(tmp_path, {"use.py": "from a import x\n"})
    assert look(tmp_path, "use.py", "python") == ()


def test_an_edit_of_an_imported_file_shows_before_it_is_saved(tmp_path):
    write(tmp_path, {"a.py": "from b import f\n", "b.py": "def f(x): pass\n"})
    assert look(tmp_path, "a.py", "python")[0].text == "def f(x): ..."
    assert (
        look(tmp_path, "a.py", "python", read=lambda path: "def f(y, z): pass\n")[0].text
        == "def f(y, z): ..."
    )


LINES = [f"line {number}" for number in range(100)]


def test_recent_edits_are_windows_oldest_first(tmp_path):
    write(tmp_path, {"a.py": "", "b.py": "", "c.py": ""})
    text = "\r\n".join(LINES)
    recent = RecentEdits()
    recent.note(tmp_path / "b.py", text, text.index("line 50"))
    recent.note(tmp_path / "c.py", text, 0)
    recent.note(tmp_path / "b.py", text, text.index("line 52") + 3)
    recent.note(tmp_path / "a.py", text, 0)
    first, second = look(tmp_path, "a.py", "python", recent)
    assert (first.path, first.text) == ("c.py", "\n".join(LINES[:6]))
    assert (second.path, second.text) == ("b.py", "\n".join(LINES[46:58]))


def test_recent_edits_are_bounded(tmp_path):
    recent = RecentEdits()
    text = "x = 1\n" * 10_000
    for number in range(1000):
        recent.note(tmp_path / f"f{number}.py", text, number)
    places = recent.places(None, 5000)
    assert len(places) == 32
    assert places[-1].path.name == "f999.py"
    assert [place.path.name for place in recent.places(tmp_path / "f999.py", 2)] == ["f997.py", "f998.py"]
    assert recent.places(None, 0) == ()


@pytest.mark.parametrize(
    "text, offset", [("", 0), ("a", 99), ("x" * 1_000_000, 500_000), ("\n" * 5000, 2500), ("😀\n" * 9, 5)]
)
def test_odd_edits(text, offset):
    recent = RecentEdits()
    recent.note(Path("/a"), text, offset)
    for place in recent.places(None, 9):
        assert len(place.text) <= 2000
        assert place.text.strip()


def test_an_edited_place_that_was_emptied_is_forgotten():
    recent = RecentEdits()
    recent.note(Path("/a"), "secret thought\n", 3)
    recent.note(Path("/a"), "", 0)
    assert recent.places(None, 9) == ()


def test_budget_and_stable_order(tmp_path):
    names = [f"m{number}" for number in range(20)]
    write(tmp_path, {f"{name}.py": f"def f_{name}(argument: int) -> int: pass\n" for name in names})
    write(tmp_path, {"a.py": "".join(f"from {name} import f_{name}\n" for name in names), "b.py": ""})
    recent = RecentEdits()
    without = look(tmp_path, "a.py", "python", recent, budget_chars=300)
    recent.note(tmp_path / "b.py", "edited = 1\n", 0)
    snippets = look(tmp_path, "a.py", "python", recent, budget_chars=300)
    assert snippets == (*without, ContextSnippet("b.py", "edited = 1"))
    assert [snippet.path for snippet in without] == [f"{name}.py" for name in names[: len(without)]]
    assert sum(len(snippet.text) for snippet in snippets) <= 300
    assert look(tmp_path, "a.py", "python", recent, budget_chars=0) == ()


def test_without_a_root_or_a_path_nothing_is_read(tmp_path):
    write(tmp_path, {"a.py": "from b import f\n", "b.py": "def f(): pass\n"})
    assert look(tmp_path, "a.py", "python", root=None) == ()
    snapshot = Snapshot("untitled:1", None, "python", 1, "from b import f\n", 0)
    assert gather(snapshot, root=tmp_path, recent=RecentEdits(), read=read, budget_chars=1000) == ()
    assert (
        gather(
            replace(snapshot, path=tmp_path / "a.py", language="made-up"),
            root=tmp_path,
            recent=RecentEdits(),
            read=read,
            budget_chars=1000,
        )
        == ()
    )


def test_an_outline_is_made_once(tmp_path, monkeypatch):
    write(tmp_path, {"a.py": "from b import f\n", "b.py": "def f(): pass\n"})
    look(tmp_path, "a.py", "python")
    monkeypatch.setattr("tailora.completion.context.outline", lambda *_: pytest.fail("parsed again"))
    assert len(look(tmp_path, "a.py", "python")) == 1
