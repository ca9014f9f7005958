"""The programming languages that Tailora knows: names, file endings, comments and syntax trees.

Language identifiers are those of LSP's ``TextDocumentItem.languageId``. Grammars are the maintained
``tree-sitter-*`` wheels, imported on first use; a language without a grammar is still completed and learned,
by lines instead of syntax. Knows nothing of models.
"""

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path

from tree_sitter import Language as Grammar
from tree_sitter import Parser

__all__ = ["LANGUAGES", "Language", "by_id", "by_path", "parser"]


@dataclass(frozen=True, slots=True)
class Language:
    """One language."""

    id: str
    """LSP language identifier."""
    suffixes: tuple[str, ...]
    """File endings, with the dot, lower case."""
    comment: str
    """Line comment opener."""
    grammar: tuple[str, str] | None = None
    """Module and function that return the tree-sitter grammar."""
    indented: bool = False
    """Whether indentation delimits blocks."""


LANGUAGES: tuple[Language, ...] = (
    Language("python", (".py", ".pyi"), "#", ("tree_sitter_python", "language"), indented=True),
    Language("javascript", (".js", ".mjs", ".cjs"), "//", ("tree_sitter_javascript", "language")),
    Language("javascriptreact", (".jsx",), "//", ("tree_sitter_javascript", "language")),
    Language("typescript", (".ts", ".mts", ".cts"), "//", ("tree_sitter_typescript", "language_typescript")),
    Language("typescriptreact", (".tsx",), "//", ("tree_sitter_typescript", "language_tsx")),
    Language("go", (".go",), "//", ("tree_sitter_go", "language")),
    Language("rust", (".rs",), "//", ("tree_sitter_rust", "language")),
    Language("java", (".java",), "//", ("tree_sitter_java", "language")),
    Language("c", (".c", ".h"), "//", ("tree_sitter_c", "language")),
    Language("cpp", (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"), "//", ("tree_sitter_cpp", "language")),
    Language("shellscript", (".sh", ".bash"), "#", ("tree_sitter_bash", "language")),
    Language("csharp", (".cs",), "//"),
    Language("kotlin", (".kt", ".kts"), "//"),
    Language("swift", (".swift",), "//"),
    Language("ruby", (".rb",), "#"),
    Language("php", (".php",), "//"),
    Language("lua", (".lua",), "--"),
    Language("sql", (".sql",), "--"),
    Language("scala", (".scala",), "//"),
    Language("haskell", (".hs",), "--"),
    Language("zig", (".zig",), "//"),
)

_BY_ID = {language.id: language for language in LANGUAGES}
_BY_SUFFIX = {suffix: language for language in LANGUAGES for suffix in language.suffixes}
_ALIASES = {
    "shell": "shellscript",
    "bash": "shellscript",
    "sh": "shellscript",
    "c++": "cpp",
    "js": "javascript",
    "ts": "typescript",
    "py": "python",
}


def by_id(identifier: str) -> Language | None:
    """The language with this LSP identifier (some clients' own spellings included), or None."""
    return _BY_ID.get(_ALIASES.get(identifier, identifier))


def by_path(path: str | Path) -> Language | None:
    """The language of a file by its ending, or None."""
    return _BY_SUFFIX.get(Path(path).suffix.lower())


@functools.cache
def _grammar(module: str, function: str) -> Grammar:
    return Grammar(getattr(importlib.import_module(module), function)())


def parser(language: Language) -> Parser | None:
    """A new tree-sitter parser for ``language``, or None where it has no grammar. Parsers are not thread-safe."""
    if language.grammar is None:
        return None
    return Parser(_grammar(*language.grammar))
