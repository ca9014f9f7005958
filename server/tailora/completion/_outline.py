"""The definitions of a module as signatures: what a caller needs to know of them, and no more.

Knows nothing of files. Invariant: the same text gives the same outline, and no text raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from tailora.completion._imports import Import, find_imports
from tailora_adapters import languages

__all__ = ["Outline", "outline"]

MAX_SIGNATURE_CHARS = 1_200
_MAX_HEADER_CHARS = 400
_MAX_MEMBERS = 32
_MAX_BODY_LINES = 12

_FUNCTIONS = {
    "function_definition",
    "function_declaration",
    "generator_function_declaration",
    "function_signature",
    "method_definition",
    "method_signature",
    "abstract_method_signature",
    "function_expression",
    "arrow_function",
}
_CLASSES = {"class_definition", "class_declaration", "abstract_class_declaration", "class"}
_WHOLE = {"interface_declaration", "type_alias_declaration", "enum_declaration"}
_FIELDS = {"public_field_definition", "field_definition"}
_VARIABLES = {"lexical_declaration", "variable_declaration"}


@dataclass(slots=True)
class Outline:
    """The top-level definitions of one module."""

    signatures: dict[str, str] = field(default_factory=dict)
    """By name, in the module's order; a default export is also there as ``default``."""
    imports: list[Import] = field(default_factory=list)
    """What it imports, and so may hand on."""

    def public(self) -> list[str]:
        """The signatures of a module that is imported as a whole."""
        return [
            text for name, text in self.signatures.items() if not name.startswith("_") and name != "default"
        ]


def outline(text: str, language: str) -> Outline:
    """The outline of a module; an empty one for languages without a grammar."""
    known = languages.by_id(language)
    parser = languages.parser(known) if known else None
    result = Outline(imports=find_imports(text, language))
    if parser is None:
        return result
    for child in parser.parse(text.encode(errors="replace")).root_node.named_children:
        for name, signature in _definitions(child):
            result.signatures.setdefault(name, signature[:MAX_SIGNATURE_CHARS].rstrip())
    return result


def _definitions(node: Node) -> Iterator[tuple[str, str]]:
    """Names and signatures that a top-level node defines."""
    if node.type == "export_statement":
        inner = node.child_by_field_name("declaration") or node.child_by_field_name("value")
        default = any(child.type == "default" for child in node.children)
        if inner is not None:
            found = list(_definitions(inner)) or [("default", _function(inner))]
            yield from found
            if default:
                yield "default", found[0][1]
    elif node.type == "decorated_definition":
        inner = node.child_by_field_name("definition")
        if inner is not None:
            yield from _definitions(inner)
    elif node.type in _FUNCTIONS | _CLASSES | _WHOLE:
        name = node.child_by_field_name("name")
        if name is not None:
            yield _text(name), _signature(node)
    elif node.type in _VARIABLES:
        for variable in node.named_children:
            name = variable.child_by_field_name("name")
            if name is not None:
                yield _text(name), f"{_text(node.children[0])} {_variable(variable)}"
    elif (
        node.type == "expression_statement"
        and node.named_children
        and node.named_children[0].type == "assignment"
    ):
        assignment = node.named_children[0]
        left = assignment.child_by_field_name("left")
        if left is not None and left.type == "identifier":
            yield _text(left), _first_line(assignment)


def _signature(node: Node) -> str:
    if node.type in _CLASSES:
        return _class(node)
    if node.type in _WHOLE:
        return "\n".join(_text(node).split("\n")[:_MAX_BODY_LINES])
    return _function(node)


def _variable(node: Node) -> str:
    value = node.child_by_field_name("value")
    if value is None or value.type not in _FUNCTIONS:
        return _first_line(node)
    body = value.child_by_field_name("body")
    return _between(node, body) if body is not None else _first_line(node)


def _function(node: Node) -> str:
    body = node.child_by_field_name("body")
    if body is None:
        return _first_line(node)
    header = _between(node, body)
    if node.type != "function_definition":
        return header
    doc = _docstring(body)
    return f"{header}\n    {doc}" if doc else f"{header} ..."


def _class(node: Node) -> str:
    body = node.child_by_field_name("body")
    if body is None:
        return _first_line(node)
    python = node.type == "class_definition"
    lines = [_between(node, body) + ("" if python else " {")]
    if python and (doc := _docstring(body)):
        lines.append(f"    {doc}")
    for member in body.named_children[: 2 * _MAX_MEMBERS]:
        inner = member.child_by_field_name("definition") or member
        if inner.type in _FUNCTIONS:
            block = inner.child_by_field_name("body")
            header = _between(inner, block) if block is not None else _first_line(inner)
            lines.append(f"    {header} ..." if python else f"    {header};")
        elif inner.type in _FIELDS:
            lines.append(f"    {_first_line(inner)};")
        elif inner.type == "expression_statement" and inner.named_children[0].type == "assignment":
            lines.append(f"    {_first_line(inner)}")
        if len(lines) > _MAX_MEMBERS:
            break
    if len(lines) == 1 and python:
        return f"{lines[0]} ..."
    return "\n".join(lines if python else [*lines, "}"])


def _between(node: Node, body: Node) -> str:
    """What stands before the body, on as few lines as the source has."""
    source = node.text or b""
    header = source[: body.start_byte - node.start_byte].decode(errors="replace").rstrip()
    return header[:_MAX_HEADER_CHARS]


def _docstring(body: Node) -> str:
    """The first line of a Python docstring, in its quotes."""
    if not body.named_children:
        return ""
    first = body.named_children[0]
    string = (
        first.named_children[0] if first.type == "expression_statement" and first.named_children else first
    )
    if string.type != "string":
        return ""
    line = _text(string).strip("\"' \t\n").split("\n")[0].strip()
    return f'"""{line}"""' if line else ""


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _first_line(node: Node) -> str:
    return _text(node).split("\n")[0].rstrip("; \r")[:200]
