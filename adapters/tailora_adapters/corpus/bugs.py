"""Puts bugs into Python code that works: one small edit each, of the kinds that people make.

For training (a repair is the way back) and for measuring. Nothing here runs code or knows whether a checker or a test
notices a bug: callers find that out, and drop those that nobody notices. Files that do not parse have no bugs to offer.

The kinds follow the mutation operators of mutation testing (Jia and Harman, "An Analysis and Survey of the Development
of Mutation Testing", 2011) and of learned bug detection (Pradel and Sen, "DeepBugs", 2018: swapped arguments, wrong
operators, wrong operands).
"""

import ast
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["KINDS", "Bug", "bugs", "sample"]

KINDS = ("operator", "off_by_one", "name", "arguments", "guard", "literal", "import", "await", "return")

_OPPOSITES = {
    "<": ("<=", ">"),
    "<=": ("<",),
    ">": (">=", "<"),
    ">=": (">",),
    "==": ("!=",),
    "!=": ("==",),
    "is": ("is not",),
    "is not": ("is",),
    "in": ("not in",),
    "not in": ("in",),
    "+": ("-",),
    "-": ("+",),
    "*": ("+", "//"),
    "/": ("//", "*"),
    "//": ("/",),
    "%": ("//",),
    "and": ("or",),
    "or": ("and",),
}
_Edit = tuple[int, int, str]
"""Begin and end in characters, and what stands there instead."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One edit that breaks a file."""

    kind: str
    text: str
    """The whole file with the bug."""
    first: int
    """The first changed line, from 0."""
    was: tuple[str, ...]
    """The lines that stood there, without their ends."""
    now: tuple[str, ...]
    """The lines that stand there now; none where lines were removed."""


def bugs(text: str, kinds: Collection[str] = KINDS, lines: range | None = None) -> Iterator[Bug]:
    """All bugs of some kinds that can be put into ``text``; none if it does not parse.

    ``lines``: where they may begin, from 0.
    """
    for kind, edit in _sound(text, kinds, lines):
        yield _bug(kind, text, edit)


def _sound(text: str, kinds: Collection[str], lines: range | None = None) -> Iterator[tuple[str, _Edit]]:
    """The edits after which ``text`` is another one that parses."""
    tree = _parse(text)
    if tree is None:
        return
    source = _Source(text, tree)
    for kind, edit in _edits(source):
        begin, end, new = edit
        if kind not in kinds or (lines is not None and text.count("\n", 0, begin) not in lines):
            continue
        if new != text[begin:end] and (_is_safe(kind, text, begin) or source.parses_with(edit)):
            yield kind, edit


def _is_safe(kind: str, text: str, begin: int) -> bool:
    """Whether it needs no parsing: a whole literal in place of another one, of which tables have very many."""
    before = text[begin - 1 : begin]
    return kind in ("off_by_one", "literal") and not (before.isalnum() or before in ("_", "."))


def _parses(part: str) -> bool:
    return _parse(f"if 1:\n{part}" if part[:1].isspace() else part) is not None


def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def sample(text: str, count: int, seed: int, kinds: Sequence[str] = KINDS) -> list[Bug]:
    """Up to ``count`` bugs in different places, of as many kinds as there are, by chance."""
    chance = random.Random(seed)
    by_kind: dict[str, list[_Edit]] = {kind: [] for kind in kinds}
    for kind, edit in _sound(text, kinds):
        by_kind[kind].append(edit)
    for found in by_kind.values():
        chance.shuffle(found)
    taken: dict[int, Bug] = {}
    while len(taken) < count and any(by_kind.values()):
        for kind, found in by_kind.items():
            if found and len(taken) < count:
                bug = _bug(kind, text, found.pop())
                taken.setdefault(bug.first, bug)
    return sorted(taken.values(), key=lambda bug: bug.first)


def _bug(kind: str, text: str, edit: _Edit) -> Bug:
    changed = text[: edit[0]] + edit[2] + text[edit[1] :]
    before, after = text.split("\n"), changed.split("\n")
    first = 0
    while first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1
    same = 0
    while same < min(len(before), len(after)) - first and before[-1 - same] == after[-1 - same]:
        same += 1
    return Bug(
        kind,
        changed,
        first,
        tuple(before[first : len(before) - same]),
        tuple(after[first : len(after) - same]),
    )


class _Source:
    """A file and its tree, with places in characters."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.text = text
        self.tree = tree
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._parts = sorted(set(self._find_parts()), key=lambda part: (part[1] - part[0], part))
        """Begin and end of definitions and statements, the smallest first."""
        self._alone: dict[tuple[int, int], bool] = {}
        """Whether they parse without what is around them; not where a statement begins behind another one's end."""

    def _find_parts(self) -> Iterator[tuple[int, int]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                yield self._starts[first - 1], self._starts[node.end_lineno or first]
        for node in self.tree.body:
            yield self._starts[node.lineno - 1], self._starts[node.end_lineno or node.lineno]

    def parses_with(self, edit: _Edit) -> bool:
        """Whether the text parses after an edit: only the definition around it is parsed, as files may be long."""
        begin, end, new = edit
        for low, high in self._parts:
            if low <= begin and end <= high and self._stands_alone(low, high):
                return _parses(self.text[low:begin] + new + self.text[end:high])
        return _parses(self.text[:begin] + new + self.text[end:])

    def _stands_alone(self, low: int, high: int) -> bool:
        if (low, high) not in self._alone:
            self._alone[low, high] = _parses(self.text[low:high])
        return self._alone[low, high]

    def place(self, line: int, column: int) -> int:
        """Characters before a place that ``ast`` gives: line from 1, column in UTF-8 bytes."""
        head = self._lines[line - 1].encode()[:column].decode(errors="ignore")
        return self._starts[line - 1] + len(head)

    def span(self, node: ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias) -> tuple[int, int]:
        """Begin and end of a node."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.place(node.lineno, node.col_offset), self.place(node.end_lineno, node.end_col_offset)

    def lines(self, node: ast.stmt) -> tuple[int, int]:
        """Begin and end of a statement's whole lines, if nothing else stands on them; else nothing."""
        assert node.end_lineno is not None
        begin, end = self._starts[node.lineno - 1], self._starts[node.end_lineno]
        inner_begin, inner_end = self.span(node)
        alone = (
            not self.text[begin:inner_begin].strip() and not self.text[inner_end:end].split("#", 1)[0].strip()
        )
        return (begin, end) if alone else (begin, begin)

    def between(self, left: ast.expr, right: ast.expr, operator: str) -> tuple[int, int] | None:
        """Where ``operator`` stands between two operands."""
        begin, end = self.span(left)[1], self.span(right)[0]
        gap = self.text[begin:end]
        if "#" in gap or "\n" in gap or gap.strip(" ()") != operator:
            return None
        at = begin + gap.index(operator)
        return at, at + len(operator)


_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}
_COMPARE = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}


def _edits(source: _Source) -> Iterator[tuple[str, _Edit]]:
    used = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            yield from _operators(source, node.left, node.right, _BINARY[type(node.op)])
        elif isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, right, compared in zip(operands, operands[1:], node.ops, strict=False):
                yield from _operators(source, left, right, _COMPARE[type(compared)])
        elif isinstance(node, ast.BoolOp):
            operator = "and" if isinstance(node.op, ast.And) else "or"
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from _operators(source, left, right, operator)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            begin = source.span(node)[0]
            if source.text.startswith("not ", begin):
                yield "operator", (begin, begin + 4, "")
        elif isinstance(node, ast.Constant):
            yield from _constants(source, node)
        elif isinstance(node, ast.Call):
            yield from _arguments(source, node)
        elif isinstance(node, ast.Attribute):
            yield from _attributes(source, node)
        elif isinstance(node, ast.If):
            yield from _guards(source, node)
        elif isinstance(node, ast.Await):
            begin = source.span(node)[0]
            yield "await", (begin, begin + len("await "), "")
        elif isinstance(node, ast.Return) and node.value is not None:
            begin = source.span(node)[0]
            yield "return", (begin, begin + len("return "), "")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(source, node, used)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _names(source, node)


def _operators(
    source: _Source, left: ast.expr, right: ast.expr, operator: str
) -> Iterator[tuple[str, _Edit]]:
    place = source.between(left, right, operator)
    if place is not None:
        for other in _OPPOSITES[operator]:
            yield "operator", (*place, other)


def _constants(source: _Source, node: ast.Constant) -> Iterator[tuple[str, _Edit]]:
    begin, end = source.span(node)
    written = source.text[begin:end]
    if written in ("True", "False"):
        yield "literal", (begin, end, "False" if written == "True" else "True")
    elif type(node.value) is int and written.isdigit():
        yield "off_by_one", (begin, end, str(node.value + 1))
        if node.value > 0:
            yield "off_by_one", (begin, end, str(node.value - 1))
    elif type(node.value) is float:
        yield "literal", (begin, end, str(node.value * 10 or 1.0))


def _arguments(source: _Source, node: ast.Call) -> Iterator[tuple[str, _Edit]]:
    for left, right in zip(node.args, node.args[1:], strict=False):
        if isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
            return
        (begin, left_end), (right_begin, end) = source.span(left), source.span(right)
        text = source.text
        swapped = text[right_begin:end] + text[left_end:right_begin] + text[begin:left_end]
        yield "arguments", (begin, end, swapped)


def _attributes(source: _Source, node: ast.Attribute) -> Iterator[tuple[str, _Edit]]:
    """``self.`` forgotten, and a letter of an attribute left out."""
    begin, end = source.span(node)
    if isinstance(node.value, ast.Name) and node.value.id == "self" and isinstance(node.ctx, ast.Load):
        yield "name", (begin, begin + len("self."), "")
    name = node.attr
    if len(name) > 4 and isinstance(node.ctx, ast.Load) and source.text[end - len(name) : end] == name:
        middle = end - len(name) // 2
        yield "name", (middle, middle + 1, "")


def _guards(source: _Source, node: ast.If) -> Iterator[tuple[str, _Edit]]:
    """A check that leaves early, dropped."""
    if node.orelse or len(node.body) != 1:
        return
    if isinstance(node.body[0], ast.Return | ast.Raise | ast.Continue | ast.Break):
        begin, end = source.lines(node)
        if end > begin:
            yield "guard", (begin, end, "")


def _imports(
    source: _Source, node: ast.Import | ast.ImportFrom, used: set[str]
) -> Iterator[tuple[str, _Edit]]:
    """An import that is used, dropped: as a line, or as one name of several."""
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return
    names = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] in used]
    if len(node.names) == 1 and names and node.col_offset == 0:
        begin, end = source.lines(node)
        if end > begin:
            yield "import", (begin, end, "")
    elif node.lineno == node.end_lineno:
        for alias in names:
            index = node.names.index(alias)
            begin, end = source.span(alias)
            if index + 1 < len(node.names):
                end = source.span(node.names[index + 1])[0]
            else:
                begin = source.span(node.names[index - 1])[1]
            yield "import", (begin, end, "")


def _names(source: _Source, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, _Edit]]:
    """A variable taken for another one of the function, or misspelled."""
    own = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Del)
    ]
    local = {arg.arg for arg in (*function.args.args, *function.args.kwonlyargs)} - {"self", "cls"}
    local |= {node.id for node in own if isinstance(node.ctx, ast.Store)}
    others = sorted(local)
    for node in own:
        if node.id not in local or not isinstance(node.ctx, ast.Load) or len(others) < 2:
            continue
        place = others.index(node.id)
        yield "name", (*source.span(node), others[(place + 1) % len(others)])
        if len(node.id) > 3:
            begin, _ = source.span(node)
            yield "name", (begin + len(node.id) // 2, begin + len(node.id) // 2 + 1, "")
