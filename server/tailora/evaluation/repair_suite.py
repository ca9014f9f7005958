"""Suites of repair cases: how they are read, and where they come from.

A suite is a file of JSON lines, one case each::

    {"id", "files": {path: text}, "target": path, "test": command}
    {"id", "files": {path: text}, "target": path, "diagnostic": {"source", "code", "message", "range"}}
    {"id", "files": {path: text}, "target": path, "lines": [first, end]}

the last of which is a selection (from line ``first`` to before ``end``, from 0), and, if known, ``hidden_test`` (a
command that decides whether a repair is right, which the repair never sees) with ``hidden_files`` (written for it
alone), ``answer`` (the target as it should be), and ``package`` (an installed package whose source files are laid
beside ``files``). ``range`` is LSP's: lines and UTF-16 characters from 0. Knows nothing of how a
case is repaired.
"""

import ast
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tailora.repair.problem import Finding, Span
from tailora_adapters.errors import TailoraError

__all__ = ["NO_PLUGINS", "Case", "from_humanevalfix", "read_suite", "write_suite"]


@dataclass(frozen=True, slots=True)
class Case:
    """One file to repair."""

    id: str
    files: Mapping[str, str]
    target: str
    test: str | None = None
    diagnostic: Finding | None = None
    hidden_test: str | None = None
    hidden_files: Mapping[str, str] = field(default_factory=dict)
    answer: str | None = None
    package: str | None = None
    kind: str | None = None
    """What is wrong, where that is known."""
    lines: Span | None = None
    """What is selected."""


def read_suite(path: Path) -> list[Case]:
    """The cases of a suite, also of a compressed one.

    Raises:
        TailoraError: it cannot be read; names the line.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as file
        ):
            return [_case(json.loads(line), number) for number, line in enumerate(file, 1) if line.strip()]
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise TailoraError(f"{path} cannot be read: {error}") from error


def write_suite(cases: Iterable[Case], path: Path) -> None:
    """Writes a suite that ``read_suite`` reads."""
    with path.open("w", encoding="utf-8") as file:
        for case in cases:
            file.write(json.dumps(_values(case), ensure_ascii=False) + "\n")


def _case(values: Any, line: int) -> Case:
    where = f"line {line}"
    if not isinstance(values, dict):
        raise ValueError(f"{where} is no JSON object")
    where = f"{where} ({values.get('id')})"
    files = _files(values, "files", where)
    target = values.get("target")
    if not isinstance(target, str) or (target not in files and not values.get("package")):
        raise ValueError(f"{where}: target must be one of files")
    test, found, lines = values.get("test"), values.get("diagnostic"), values.get("lines")
    if sum(given is not None for given in (test, found, lines)) != 1:
        raise ValueError(f"{where} needs one of test, diagnostic and lines")
    for key in ("test", "hidden_test", "answer", "package", "kind"):
        if not isinstance(values.get(key), str | None):
            raise ValueError(f"{where}: {key} must be a string")
    return Case(
        str(values.get("id", line)),
        files,
        target,
        test,
        _finding(found, files.get(target, ""), where) if found is not None else None,
        values.get("hidden_test"),
        _files(values, "hidden_files", where) if "hidden_files" in values else {},
        values.get("answer"),
        values.get("package"),
        values.get("kind"),
        _lines(lines, files.get(target, ""), where) if lines is not None else None,
    )


def _lines(values: Any, text: str, where: str) -> Span:
    numbers = isinstance(values, list) and len(values) == 2 and all(type(value) is int for value in values)
    if not numbers or not 0 <= values[0] < values[1] <= text.count("\n") + 1:
        raise ValueError(f"{where}: lines must be two line numbers of target, the second one behind the last")
    return Span(*values)


def _files(values: Mapping[str, Any], key: str, where: str) -> dict[str, str]:
    files = values.get(key)
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise ValueError(f"{where}: {key} must be an object of texts")
    for path in files:
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or PurePosixPath(path).is_absolute() or "\\" in path or "\0" in path:
            raise ValueError(f"{where}: {path!r} is no path inside the case's folder")
    return files


def _finding(values: Any, text: str, where: str) -> Finding:
    try:
        begin, end = values["range"]["start"], values["range"]["end"]
        lines = text.split("\n")
        return Finding(
            str(values.get("source") or ""),
            str(values.get("code") or ""),
            str(values["message"]),
            int(begin["line"]),
            _column(lines, begin),
            int(end["line"]),
            _column(lines, end),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: diagnostic must have message and range ({error!r})") from None


def _column(lines: Sequence[str], place: Mapping[str, Any]) -> int:
    line, units = int(place["line"]), int(place["character"])
    text = lines[line] if 0 <= line < len(lines) else ""
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", errors="ignore"))


def _values(case: Case) -> dict[str, Any]:
    values: dict[str, Any] = {"id": case.id, "files": dict(case.files), "target": case.target}
    if case.diagnostic is not None:
        found, lines = case.diagnostic, case.files[case.target].split("\n")
        values["diagnostic"] = {
            "source": found.source,
            "code": found.code,
            "message": found.message,
            "range": {
                "start": {"line": found.line, "character": _units(lines, found.line, found.column)},
                "end": {"line": found.end_line, "character": _units(lines, found.end_line, found.end_column)},
            },
        }
    more: dict[str, Any] = {
        "test": case.test,
        "hidden_test": case.hidden_test,
        "hidden_files": dict(case.hidden_files) or None,
        "answer": case.answer,
        "package": case.package,
        "kind": case.kind,
        "lines": [case.lines.first, case.lines.end] if case.lines is not None else None,
    }
    return {**values, **{key: value for key, value in more.items() if value is not None}}


def _units(lines: Sequence[str], line: int, column: int) -> int:
    text = lines[line] if 0 <= line < len(lines) else ""
    return len(text[:column].encode("utf-16-le")) // 2


NO_PLUGINS = {"pytest.ini": "[pytest]\naddopts = --disable-plugin-autoload\n"}
"""A file for cases whose tests need none: what is installed beside the evaluation must not cost them a second each."""


def from_humanevalfix(path: Path) -> Iterator[Case]:
    """The cases of HumanEvalFix (Muennighoff et al., "OctoPack", arXiv 2308.07124), Python.

    ``test`` is the examples of the docstring, one test function for each assertion; ``hidden_test`` is the full tests.

    Raises:
        TailoraError: the file cannot be read.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        for row in rows:
            yield Case(
                row["task_id"],
                {
                    "solution.py": row["prompt"] + row["buggy_solution"],
                    "test_examples.py": _examples(row["example_test"], row["entry_point"]),
                    **NO_PLUGINS,
                },
                "solution.py",
                test="python -m pytest -q test_examples.py",
                hidden_test="python test_hidden.py",
                hidden_files={"test_hidden.py": f"from solution import *\n{row['test']}\n"},
                answer=row["prompt"] + row["canonical_solution"],
                kind=row["bug_type"],
            )
    except (OSError, UnicodeDecodeError, ValueError, KeyError) as error:
        raise TailoraError(f"{path} cannot be read as HumanEvalFix: {error!r}") from error


def _examples(test: str, entry_point: str) -> str:
    """``def check(f): assert f(1) == 2`` as test functions, each with one assertion and what precedes it."""
    head = f"from solution import *\nfrom solution import {entry_point}\n\n"
    try:
        check = next(node for node in ast.parse(test).body if isinstance(node, ast.FunctionDef))
    except (SyntaxError, StopIteration):
        return f"{head}\ndef test_examples():\n    exec({test!r}, globals())\n"
    alias = check.args.args[0].arg if check.args.args else entry_point
    before: list[ast.stmt] = []
    tests: list[str] = []
    for statement in check.body:
        if isinstance(statement, ast.Assert):
            body = "\n".join(
                "    " + line for part in (*before, statement) for line in ast.unparse(part).split("\n")
            )
            rename = "" if alias == entry_point else f"    {alias} = {entry_point}\n"
            tests.append(f"def test_example_{len(tests) + 1}():\n{rename}{body}\n")
        else:
            before.append(statement)
    return head + "\n\n".join(tests)
