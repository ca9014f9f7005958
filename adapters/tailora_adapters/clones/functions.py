"""The functions of a source file, as tokens: what a parser sees of them without layout and comments.

For every language that has a grammar; no text raises. Knows nothing of similarity. A token is a number, the same in
every process: nothing of the text is kept but names.
"""

import functools
import zlib
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tree_sitter import Node

from tailora_adapters import languages
from tailora_adapters.syntax import FUNCTIONS, is_documentation

__all__ = ["LITERAL", "NAME", "OTHER", "Function", "Tokens", "functions_of"]

OTHER, NAME, LITERAL = 0, 1, 2
"""Kinds of tokens: keywords and marks; names, types included; texts and numbers."""

_STRINGS = frozenset(
    {
        "string", "string_literal", "interpreted_string_literal", "raw_string_literal", "char_literal", "rune_literal",
        "character_literal", "template_string", "raw_string", "ansi_c_string", "regex",
    }
)  # fmt: skip
_FILLED = frozenset(
    {"interpolation", "template_substitution", "expansion", "simple_expansion", "command_substitution"}
)
"""What makes a text one with code in it."""
_TEXT_PARTS = frozenset({"string_content", "string_fragment", "escape_sequence", "escape_interpolation"})
_NUMBERS = ("integer", "float", "number")
_NAMES = frozenset({"primitive_type", "variable_name", "word"})
_THIS = (b"self", b"cls")
"""Python's names for what is a keyword elsewhere."""
_HOLDS_NAME = frozenset({"variable_declarator", "pair", "assignment_expression", "public_field_definition"})
_ANONYMOUS = "(anonymous)"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A run of tokens; both arrays (tokens,)."""

    ids: NDArray[np.uint32]
    """What stands there."""
    kinds: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Function:
    """One function with a body. Lines and columns from 0; columns in characters."""

    name: str
    line: int
    """Of the name, or of the function where it has none; ``column`` to ``end_column`` is what stands there."""
    column: int
    end_column: int
    first: int
    last: int
    """The lines that the function stands on."""
    lines: int
    """Of its body, those with a token on them."""
    body: Tokens
    """Without documentation; in languages that indent, blocks are in braces."""
    header: int
    """A hash of the tokens before the body, without the name."""


@functools.lru_cache(maxsize=100_000)
def _number(text: bytes) -> int:
    return zlib.crc32(text) or 1


@dataclass(slots=True)
class _Open:
    """A function that is being walked through."""

    node: Node
    body: Node
    start: int
    """The first token."""
    begin: int = -1
    """The first token of the body."""
    end: int = -1


def functions_of(text: str, language: str) -> list[Function]:
    """The functions of a text in the order of their beginnings, inner ones too; none without a grammar."""
    known = languages.by_id(language)
    parser = languages.parser(known) if known is not None else None
    if parser is None or known is None:
        return []
    data = text.encode(errors="replace")
    walk = _Walk(known.indented)
    walk.through(parser.parse(data).root_node)
    lines = data.split(b"\n")
    return [walk.function(opened, lines) for opened in walk.found if opened.end > opened.begin >= 0]


class _Walk:
    """One pass over a tree, which gathers the tokens of the whole file; a function is a slice of them."""

    def __init__(self, indented: bool) -> None:
        self._indented = indented
        self._ids = array("I")
        self._kinds = array("B")
        self._rows = array("I")
        self.found: list[_Open] = []

    def through(self, root: Node) -> None:
        waiting: list[Node | _Close] = [root]
        bodies: dict[int, _Open] = {}
        while waiting:
            node = waiting.pop()
            if isinstance(node, _Close):
                if node.brace:
                    self._add(b"}", OTHER, node.row)
                if node.opened is not None:
                    node.opened.end = len(self._ids)
                continue
            kind = node.type
            if "comment" in kind or (kind == "expression_statement" and is_documentation(node)):
                continue
            if kind in FUNCTIONS and (body := node.child_by_field_name("body")) is not None:
                opened = bodies[body.id] = _Open(node, body, len(self._ids))
                self.found.append(opened)
            opened_here = bodies.get(node.id) if bodies else None
            brace = self._indented and kind == "block"
            if opened_here is not None:
                opened_here.begin = len(self._ids)
            if opened_here is not None or brace:
                waiting.append(_Close(opened_here, brace, node.end_point.row))
            if brace:
                self._add(b"{", OTHER, node.start_point.row)
            self._inside(node, kind, waiting)

    def _inside(self, node: Node, kind: str, waiting: "list[Node | _Close]") -> None:
        row = node.start_point.row
        if kind in _STRINGS:
            if not _filled(node):
                self._add(node.text or b"", LITERAL, row)
                return
        elif not node.child_count:
            text = node.text or b""
            if text:
                self._add(text, _kind(node, kind, text), row)
            return
        waiting.extend(reversed(node.children))

    def _add(self, text: bytes, kind: int, row: int) -> None:
        self._ids.append(_number(text))
        self._kinds.append(kind)
        self._rows.append(row)

    def function(self, opened: _Open, lines: list[bytes]) -> Function:
        node = opened.node
        name = _name(node)
        place = name or node
        text = (name.text or b"").decode(errors="replace") if name is not None else _ANONYMOUS
        part = slice(opened.begin, opened.end)
        start = place.start_point
        before = lines[start.row][: start.column].decode(errors="replace")
        shown = len(text) if name is not None else 1
        header = self._ids[opened.start : opened.begin]
        if name is not None and (number := _number(name.text or b"")) in header:
            header.remove(number)
        return Function(
            name=text,
            line=start.row,
            column=len(before),
            end_column=len(before) + shown,
            first=node.start_point.row,
            last=opened.body.end_point.row,
            lines=len(set(self._rows[part])),
            body=Tokens(
                np.array(self._ids[part], dtype=np.uint32), np.array(self._kinds[part], dtype=np.uint8)
            ),
            header=zlib.crc32(header.tobytes()),
        )


@dataclass(frozen=True, slots=True)
class _Close:
    """The end of a node, on the way back."""

    opened: _Open | None
    brace: bool
    row: int


def _filled(node: Node) -> bool:
    return any(
        child.type in _FILLED or (child.type in _STRINGS and _filled(child)) for child in node.named_children
    )


def _kind(node: Node, kind: str, text: bytes) -> int:
    if not node.is_named:
        return OTHER
    if kind.endswith("identifier") or kind in _NAMES:
        return OTHER if text in _THIS else NAME
    if kind in _TEXT_PARTS or kind.startswith(_NUMBERS) or kind.endswith("_literal"):
        return LITERAL
    return OTHER


def _name(node: Node) -> Node | None:
    """Where a function's name stands: with it, deep in a declarator, or at what it is assigned to."""
    name = node.child_by_field_name("name")
    if name is not None:
        return name
    declarator = node.child_by_field_name("declarator")
    while declarator is not None:
        inner = declarator.child_by_field_name("declarator")
        if inner is None:
            return declarator
        declarator = inner
    parent = node.parent
    if parent is not None and parent.type in _HOLDS_NAME:
        for field in ("name", "key", "left"):
            if (found := parent.child_by_field_name(field)) is not None:
                return found
    return None
