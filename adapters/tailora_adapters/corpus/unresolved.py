"""Names that a Python file reads and nobody binds. Knows nothing of other files."""

import ast
import builtins
import symtable

__all__ = ["unresolved"]


def unresolved(text: str) -> set[str]:
    """Names of a Python file that are read, but bound nowhere in it and no builtins. Empty if it does not parse, or
    imports everything from somewhere."""
    try:
        tree = ast.parse(text)
        table = symtable.symtable(text, "<text>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return set()
    bound = {
        symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }
    bound |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_namespace()}
    found: set[str] = set()
    waiting = [table]
    while waiting:
        scope = waiting.pop()
        waiting += scope.get_children()
        for symbol in scope.get_symbols():
            if scope is not table and symbol.is_declared_global() and symbol.is_assigned():
                bound.add(symbol.get_name())
            if symbol.is_referenced() and (symbol.is_global() or scope is table):
                found.add(symbol.get_name())
    special = {
        "__file__",
        "__name__",
        "__doc__",
        "__package__",
        "__path__",
        "__spec__",
        "__loader__",
        "__annotations__",
    }
    return found - bound - set(dir(builtins)) - special - {"__class__"}
