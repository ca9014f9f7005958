"""The style of a project's docstrings, read from its files once in a while.

Knows nothing of models. Blocks; call it off the event loop.
"""

import time
from collections.abc import Callable
from pathlib import Path

from tailora.repair.imports import project_texts
from tailora_adapters import languages
from tailora_adapters.corpus.functions import Function, find_functions
from tailora_adapters.docstrings.style import Style, style_of_functions

__all__ = ["Styles"]

_MOST_FILES = 80
_MOST_BYTES = 2 << 20
_FRESH_S = 600.0


class Styles:
    """Of the projects that were asked about."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[Path, str], tuple[float, Style]] = {}

    def of(self, root: Path | None, text: str, language: str) -> Style:
        """Of the project at ``root`` in a language; where it has no docstrings, or there is no project, of ``text``."""
        own = find_functions(text, language)
        if root is None:
            return style_of_functions(own, language)
        key = root, language
        if key not in self._known or self._clock() - self._known[key][0] > _FRESH_S:
            self._known[key] = self._clock(), self._read(root, language)
        found = self._known[key][1]
        return found if found.found else style_of_functions(own, language)

    def _read(self, root: Path, language: str) -> Style:
        known = languages.by_id(language)
        suffixes = known.suffixes if known is not None else ()
        functions: list[Function] = []
        for _, text in project_texts(root, suffixes, most_files=_MOST_FILES, most_bytes=_MOST_BYTES):
            functions += find_functions(text, language)
        return style_of_functions(functions, language)
