"""A file as a syntax tree: where statements and functions are, and how many errors the parser sees.

tree-sitter for every language that has a grammar; without one, a statement is a line and nothing is said of errors.
Knows nothing of diagnostics. A tree is made once a text.
"""

from collections.abc import Iterator

from tree_sitter import Node

from tailora.repair.problem import Span
from tailora_adapters import languages
from tailora_adapters.syntax import CLASSES, FUNCTIONS, is_documentation, last_row, walk

__all__ = ["Syntax"]

_BLOCKS = frozenset(
    {
        "block", "module", "program", "source_file", "translation_unit", "statement_block", "compound_statement",
        "class_body", "declaration_list", "field_declaration_list", "switch_body", "do_group", "constructor_body",
        "interface_body", "enum_body", "statement_list",
    }
)  # fmt: skip


class Syntax:
    """The syntax of one text."""

    def __init__(self, text: str, language: str) -> None:
        self.lines = text.split("\n")
        known = languages.by_id(language)
        parser = languages.parser(known) if known is not None else None
        self._root = parser.parse(text.encode(errors="replace")).root_node if parser is not None else None

    @property
    def known(self) -> bool:
        """Whether there is a grammar."""
        return self._root is not None

    def errors(self) -> int:
        """Places that the parser could not make sense of; 0 without a grammar."""
        if self._root is None or not self._root.has_error:
            return 0
        return sum(1 for node in walk(self._root) if node.is_error or node.is_missing)

    def statement(self, line: int) -> Span:
        """The innermost statement on ``line``; of one with a block, the lines before the block."""
        found = None
        for node in self._path(line):
            if node.parent is not None and node.parent.type in _BLOCKS:
                found = node
        if found is None:
            return Span(line, line + 1)
        first, end = found.start_point.row, last_row(found) + 1
        body = _body(found)
        if body is not None and body.start_point.row > first and line < body.start_point.row:
            end = body.start_point.row
        elif body is not None and body.start_point.row <= line:
            return Span(line, line + 1)
        return Span(first, max(end, first + 1))

    def function(self, line: int) -> Span | None:
        """The innermost function around ``line``, or None."""
        return self._around(line, FUNCTIONS)

    def functions(self) -> list[Span]:
        """All functions, outermost and inner, in the order of their places."""
        if self._root is None:
            return []
        return [
            Span(node.start_point.row, last_row(node) + 1)
            for node in walk(self._root)
            if node.type in FUNCTIONS
        ]

    def body(self, function: Span) -> Span:
        """The lines of a function after its head and its documentation."""
        if self._root is None:
            return Span(function.first + 1, function.end)
        for node in self._path(function.first):
            body = _body(node) if node.type in FUNCTIONS and node.start_point.row == function.first else None
            if body is None:
                continue
            statements = [child for child in body.named_children if child.type != "comment"]
            if len(statements) > 1 and is_documentation(statements[0]):
                statements = statements[1:]
            if statements and statements[0].start_point.row > function.first:
                return Span(statements[0].start_point.row, function.end)
        return Span(min(function.first + 1, function.end), function.end)

    def statements(self, span: Span) -> list[Span]:
        """The statements in a span, without those in it that are blocks of others counted twice."""
        found: list[Span] = []
        line = span.first
        while line < span.end:
            if not self.lines[line].strip():
                line += 1
                continue
            statement = self.statement(line)
            statement = Span(max(statement.first, span.first), min(statement.end, span.end))
            if line not in statement:
                statement = Span(line, line + 1)
            found.append(statement)
            line = statement.end
        return found

    def _around(self, line: int, kinds: frozenset[str]) -> Span | None:
        found = None
        for node in self._path(line):
            if node.type in kinds:
                found = Span(node.start_point.row, last_row(node) + 1)
        return found

    def _path(self, line: int) -> Iterator[Node]:
        """The nodes around the first character of a line that is not white, from the root inwards."""
        if self._root is None or not 0 <= line < len(self.lines):
            return
        text = self.lines[line]
        column = len(text[: len(text) - len(text.lstrip())].encode())
        node: Node | None = self._root
        while node is not None:
            yield node
            node = next(
                (
                    child
                    for child in node.named_children
                    if child.start_point <= (line, column) < child.end_point
                ),
                None,
            )


def _body(node: Node) -> Node | None:
    for name in ("body", "consequence"):
        found = node.child_by_field_name(name)
        if found is not None and found.type in _BLOCKS:
            return found
    # ``async def`` with decorators, ``export function``: the head is part of a wrapper.
    for child in node.named_children:
        if child.type in FUNCTIONS | CLASSES:
            return _body(child)
    return None
