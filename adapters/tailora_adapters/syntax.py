"""Which nodes of a syntax tree are functions and classes, in every language that has a grammar, and how to walk them.

For those who read trees by structure, whatever the language. Knows nothing of what is looked for in them.
"""

from collections.abc import Iterator

from tree_sitter import Node

__all__ = ["CLASSES", "FUNCTIONS", "is_documentation", "last_row", "walk"]

FUNCTIONS = frozenset(
    {
        "function_definition", "function_declaration", "method_definition", "method_declaration", "function_item",
        "arrow_function", "function_expression", "constructor_declaration", "generator_function_declaration",
        "func_literal",
    }
)  # fmt: skip
CLASSES = frozenset(
    {"class_definition", "class_declaration", "class_specifier", "impl_item", "interface_declaration"}
)


def walk(root: Node) -> Iterator[Node]:
    """``root`` and all below it, in the order of the text."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def last_row(node: Node) -> int:
    """The last line that a node stands on."""
    end = node.end_point
    return end.row - 1 if end.column == 0 and end.row > node.start_point.row else end.row


def is_documentation(node: Node) -> bool:
    """Whether a statement is nothing but a text, as Python's documentation is."""
    return node.type == "expression_statement" and [child.type for child in node.named_children] == ["string"]
