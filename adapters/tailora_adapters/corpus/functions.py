"""Functions of a source file: signature, documentation, body, and what can be seen of what they give and raise.

By tree-sitter, for Python, JavaScript and TypeScript. Offsets are characters of the text. Knows nothing of styles of
documentation or of models.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from tailora_adapters import languages

__all__ = ["SUPPORTED", "Doc", "Function", "Parameter", "find_functions"]

SUPPORTED = frozenset({"python", "javascript", "javascriptreact", "typescript", "typescriptreact"})
"""Language identifiers."""

_SCOPES = frozenset(
    {
        "function_definition", "class_definition", "lambda", "function_declaration", "function_expression",
        "arrow_function", "method_definition", "class_declaration", "generator_function_declaration",
        "generator_function",
    }
)  # fmt: skip
_JS_FUNCTIONS = frozenset({"function_declaration", "generator_function_declaration", "method_definition"})
_JS_VALUES = frozenset({"arrow_function", "function_expression", "generator_function"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, as callers and documentation name it."""

    name: str
    """Without stars; empty for a pattern that has none."""
    annotation: str | None = None
    stars: str = ""
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Doc:
    """Documentation that stands in the file."""

    start: int
    """Of the text between the quotes, or between ``/**`` and ``*/``."""
    end: int
    opening: str
    closing: str
    text: str


@dataclass(frozen=True, slots=True)
class Function:
    """One function or method."""

    name: str
    language: str
    start: int
    """Of its first line's text: a decorator's or an ``export`` where there is one."""
    head: int
    """Of ``def``, ``function`` or the name."""
    head_end: int
    """Behind the colon or before the body's brace."""
    end: int
    line: int
    """Of ``head``, from 0."""
    end_line: int
    indent: str
    inner: str
    """Indentation of its body."""
    body_start: int
    """Of the first statement behind the documentation; ``body_end`` where there is none."""
    body_end: int
    parameters: tuple[Parameter, ...]
    """Without ``self`` and ``cls``."""
    returns: str | None
    """Annotation."""
    gives: bool
    """Whether it returns or yields a value anywhere."""
    yields: bool
    raises: tuple[str, ...]
    doc: Doc | None
    stub: bool
    """Whether its body says nothing: ``pass``, ``...``, ``raise NotImplementedError`` or empty."""
    own_lines: bool
    """Whether its body begins on a line of its own."""
    decorators: tuple[str, ...] = field(default=())


def find_functions(text: str, language: str) -> list[Function]:
    """All functions in the order of their places; none for a language that is not supported."""
    known = languages.by_id(language)
    parser = languages.parser(known) if known is not None and known.id in SUPPORTED else None
    if known is None or parser is None:
        return []
    data = text.encode(errors="replace")
    source = _Source(text, data, known.id)
    make = _python if known.id == "python" else _javascript
    found = [made for node in _walk(parser.parse(data).root_node) if (made := make(source, node)) is not None]
    return sorted(found, key=lambda function: function.head)


@dataclass(frozen=True, slots=True)
class _Source:
    text: str
    data: bytes
    language: str

    def offset(self, byte: int) -> int:
        if len(self.text) == len(self.data):
            return byte
        return len(self.data[:byte].decode("utf-8", "ignore"))

    def of(self, node: Node | None) -> str:
        return "" if node is None else self.data[node.start_byte : node.end_byte].decode("utf-8", "ignore")

    def indent(self, node: Node) -> str:
        line = self.text[self.text.rfind("\n", 0, start := self.offset(node.start_byte)) + 1 : start]
        return line[: len(line) - len(line.lstrip())]


def _python(source: _Source, node: Node) -> Function | None:
    body, name = node.child_by_field_name("body"), node.child_by_field_name("name")
    if node.type != "function_definition" or body is None or name is None:
        return None
    colon = next((child for child in reversed(node.children) if child.type == ":"), None)
    if colon is None or node.child_by_field_name("parameters") is None:
        return None
    outer = node.parent if node.parent is not None and node.parent.type == "decorated_definition" else node
    decorators = tuple(source.of(child)[1:].strip() for child in outer.children if child.type == "decorator")
    statements = [child for child in body.named_children if child.type != "comment"]
    doc = _python_doc(source, statements[0]) if statements else None
    rest = statements[1:] if doc is not None else statements
    parameters = list(_python_parameters(source, node.child_by_field_name("parameters")))
    method = _is_method(outer)
    if method and parameters and not any("staticmethod" in one for one in decorators):
        parameters = parameters[1:]
    seen = _seen(source, body)
    end = source.offset(node.end_byte)
    return Function(
        name=source.of(name),
        language=source.language,
        start=source.offset(outer.start_byte),
        head=source.offset(node.start_byte),
        head_end=source.offset(colon.end_byte),
        end=end,
        line=node.start_point.row,
        end_line=node.end_point.row,
        indent=source.indent(outer),
        inner=source.indent(statements[0]) if statements else source.indent(outer) + "    ",
        body_start=source.offset(rest[0].start_byte) if rest else end,
        body_end=end,
        parameters=tuple(parameters),
        returns=source.of(node.child_by_field_name("return_type")) or None,
        gives=seen.gives,
        yields=seen.yields,
        raises=seen.raises,
        doc=doc,
        stub=all(_says_nothing(source, statement) for statement in rest),
        own_lines=body.start_point.row > colon.end_point.row,
        decorators=decorators,
    )


def _is_method(outer: Node) -> bool:
    parent = outer.parent
    return parent is not None and parent.parent is not None and parent.parent.type == "class_definition"


def _python_doc(source: _Source, statement: Node) -> Doc | None:
    if statement.type != "expression_statement" or len(statement.named_children) != 1:
        return None
    string = statement.named_children[0]
    if string.type != "string" or len(string.children) < 2:
        return None
    first, last = string.children[0], string.children[-1]
    if first.type != "string_start" or last.type != "string_end":
        return None
    opening = source.of(first)
    if opening.rstrip("'\"").lower() not in ("", "r", "u"):
        return None
    start, end = source.offset(first.end_byte), source.offset(last.start_byte)
    return Doc(start, end, opening, source.of(last), source.text[start:end])


def _python_parameters(source: _Source, node: Node | None) -> Iterator[Parameter]:
    for child in node.named_children if node is not None else ():
        annotation = source.of(child.child_by_field_name("type")) or None
        default = source.of(child.child_by_field_name("value")) or None
        named: Node | None = child
        if child.type in ("default_parameter", "typed_default_parameter"):
            named = child.child_by_field_name("name")
        elif child.type == "typed_parameter":
            named = child.named_children[0]
        if named is None or named.type not in (
            "identifier",
            "list_splat_pattern",
            "dictionary_splat_pattern",
        ):
            continue
        name = source.of(named)
        yield Parameter(name.lstrip("*"), annotation, "*" * (len(name) - len(name.lstrip("*"))), default)


def _javascript(source: _Source, node: Node) -> Function | None:
    value, name = node, node.child_by_field_name("name")
    outer = node
    if node.type == "variable_declarator":
        given = node.child_by_field_name("value")
        if given is None or given.type not in _JS_VALUES or node.parent is None:
            return None
        value, outer = given, node.parent
    elif node.type not in _JS_FUNCTIONS:
        return None
    body = value.child_by_field_name("body")
    if body is None or name is None:
        return None
    if outer.parent is not None and outer.parent.type == "export_statement":
        outer = outer.parent
    block = body.type == "statement_block"
    statements = [child for child in body.named_children if child.type != "comment"] if block else [body]
    seen = _seen(source, body)
    parameters = value.child_by_field_name("parameters")
    single = value.child_by_field_name("parameter")
    returns = source.of(value.child_by_field_name("return_type")).removeprefix(":").strip() or None
    last = source.offset(body.end_byte)
    indent = source.indent(outer)
    return Function(
        name=source.of(name),
        language=source.language,
        start=source.offset(outer.start_byte),
        head=source.offset(node.start_byte),
        head_end=source.offset(body.start_byte),
        end=source.offset(outer.end_byte),
        line=node.start_point.row,
        end_line=outer.end_point.row,
        indent=indent,
        inner=source.indent(statements[0]) if block and statements else indent + "  ",
        body_start=source.offset(statements[0].start_byte) if statements else last,
        body_end=source.offset(statements[-1].end_byte) if statements else last,
        parameters=(Parameter(source.of(single)),)
        if single is not None
        else tuple(_javascript_parameters(source, parameters)),
        returns=returns,
        gives=seen.gives or not block,
        yields=seen.yields,
        raises=seen.raises,
        doc=_javascript_doc(source, outer),
        stub=not statements,
        own_lines=block and bool(statements) and statements[0].start_point.row > body.start_point.row,
    )


def _javascript_doc(source: _Source, outer: Node) -> Doc | None:
    before = outer.prev_sibling
    if before is None or before.type != "comment" or outer.start_point.row - before.end_point.row > 1:
        return None
    text = source.of(before)
    if not text.startswith("/**") or not text.endswith("*/") or len(text) < 5:
        return None
    start, end = source.offset(before.start_byte) + 3, source.offset(before.end_byte) - 2
    return Doc(start, end, "/**", "*/", source.text[start:end])


def _javascript_parameters(source: _Source, node: Node | None) -> Iterator[Parameter]:
    for child in node.named_children if node is not None else ():
        if child.type == "comment":
            continue
        annotation = source.of(child.child_by_field_name("type")).removeprefix(":").strip() or None
        default = source.of(child.child_by_field_name("value") or child.child_by_field_name("right")) or None
        if child.type == "optional_parameter" and default is None:
            default = "undefined"
        named = child.child_by_field_name("pattern") or child.child_by_field_name("left") or child
        stars = ""
        if named.type == "rest_pattern":
            named, stars = named.named_children[0], "..."
        if named.type == "this":
            continue
        yield Parameter(source.of(named) if named.type == "identifier" else "", annotation, stars, default)


@dataclass(slots=True)
class _Seen:
    gives: bool = False
    yields: bool = False
    raised: list[str] = field(default_factory=list)

    @property
    def raises(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.raised))


def _seen(source: _Source, body: Node) -> _Seen:
    """What the statements of a body itself return, yield and raise; functions in it are their own."""
    found = _Seen()
    for node in _walk(body, lambda inside: inside.type not in _SCOPES or inside is body):
        if node.type == "return_statement" and node.named_children:
            found.gives = found.gives or source.of(node.named_children[0]) not in ("None", "undefined")
        elif node.type in ("yield", "yield_expression"):
            found.gives = found.yields = True
        elif node.type in ("raise_statement", "throw_statement") and node.named_children:
            name = re.match(r"(?:new\s+)?([\w.]+)", source.of(node.named_children[0]))
            if name is not None:
                found.raised.append(name[1].rpartition(".")[2])
    return found


def _says_nothing(source: _Source, statement: Node) -> bool:
    text = source.of(statement)
    return text in ("pass", "...") or text.startswith("raise NotImplementedError")


def _walk(root: Node, enter: Callable[[Node], bool] = lambda _node: True) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if enter(node):
            waiting.extend(reversed(node.children))
