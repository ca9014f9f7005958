"""Real code to type: files of installed packages, and places in them where a stretch can be typed anew.

Looks only at packages that Tailora itself needs, so that every user has them; nothing of them is copied anywhere but
into the memory of the benchmark. Deterministic for a seed and an environment. Knows nothing of time or keystrokes.
"""

import importlib.metadata
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Document", "Hole", "documents_below", "find_documents", "find_holes", "language_of"]

_LANGUAGES = {
    ".py": "python",
    ".pyi": "python",
    ".js": "javascript",
    ".mjs": "javascript",
    ".ts": "typescript",
    ".tsx": "typescriptreact",
    ".sh": "shellscript",
    ".c": "c",
    ".h": "cpp",
    ".hh": "cpp",
    ".hpp": "cpp",
    ".cpp": "cpp",
    ".cc": "cpp",
    ".cu": "cuda-cpp",
    ".cuh": "cuda-cpp",
    ".cmake": "cmake",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
}
"""LSP language identifiers as VS Code gives them."""
_COMMENTS = ("#", "//", "/*", "*", '"""', "'''", "..", ">>>")
_LEFT_OUT = {"tests", "test", "testing", "_vendor", "vendor", "node_modules", "__pycache__", "dist-info"}
_SMALLEST, _LARGEST = 2_500, 150_000
"""Bytes of a file."""
_LONGEST_LINE = 160
_HOLES_WANTED = 8
_BEFORE, _AFTER = 14, 6
"""Lines of the file that stand before and behind a hole at least."""
_SHORTEST, _LONGEST = 24, 90
"""Characters of a line that a hole is made in."""
_PER_PACKAGE = 60
"""Files of one language looked at in one package."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it stands."""

    path: Path
    root: Path
    """The package's folder."""
    language: str
    """LSP language identifier."""
    text: str

    @property
    def name(self) -> str:
        """The path from the folder that packages are installed in, for people."""
        return self.path.relative_to(self.root.parent).as_posix()


@dataclass(frozen=True, slots=True)
class Hole:
    """``text`` stands in the document at ``start`` (an offset in characters), up to the end of a line."""

    start: int
    text: str

    @property
    def end(self) -> int:
        """Offset behind it."""
        return self.start + len(self.text)


def language_of(path: Path) -> str | None:
    """The LSP language identifier of a file by its ending, or None."""
    return _LANGUAGES.get(path.suffix.lower())


def find_documents(count: int, seed: int, distribution: str = "tailora") -> list[Document]:
    """Up to ``count`` documents with holes, of all the languages that there are: half in Python, the others in turn.

    Args:
        distribution: Its requirements, and theirs, are the packages that are looked at.
    """
    rng = random.Random(f"documents {seed}")
    by_language: dict[str, deque[Path]] = {}
    roots: dict[Path, Path] = {}
    for root, files in _package_files(distribution):
        for language, paths in files.items():
            for path in rng.sample(paths, min(_PER_PACKAGE, len(paths))):
                by_language.setdefault(language, deque()).append(path)
                roots[path] = root
    for paths_ in by_language.values():
        rng.shuffle(paths_)
    documents: list[Document] = []
    for language in _turns(by_language, count):
        queue = by_language[language]
        while queue:
            path = queue.popleft()
            if (text := _read(path)) is not None:
                document = Document(path, roots[path], language, text)
                if len(find_holes(document, rng)) >= 2:
                    documents.append(document)
                    break
        if len(documents) == count:
            break
    rng.shuffle(documents)
    return documents


def documents_below(root: Path, count: int, seed: int) -> list[Document]:
    """Up to ``count`` documents with holes among the files of one project, in an order drawn from ``seed``."""
    rng = random.Random(f"project {seed}")
    paths = sorted(path for path in root.rglob("*") if not _LEFT_OUT & set(path.relative_to(root).parts))
    rng.shuffle(paths)
    documents: list[Document] = []
    for path in paths:
        language = language_of(path)
        if len(documents) == count:
            break
        if language is None or (text := _read(path)) is None:
            continue
        document = Document(path, root, language, text)
        if len(find_holes(document, rng)) >= 2:
            documents.append(document)
    return documents


def _turns(by_language: dict[str, deque[Path]], count: int) -> Iterator[str]:
    """Which language comes next: Python every other time, else the language that had the fewest turns."""
    others = sorted(set(by_language) - {"python"})
    turn = 0
    while any(by_language.values()):
        left = [language for language in others if by_language[language]]
        python_next = by_language.get("python") and (not left or turn % 2 == 1)
        yield "python" if python_next else left[turn // 2 % len(left)]
        turn += 1
        if turn > 20 * count:
            return


def _package_files(distribution: str) -> Iterator[tuple[Path, dict[str, list[Path]]]]:
    """Packages' folders and their files by language, in a fixed order."""
    for name in _requirements(distribution):
        files = importlib.metadata.distribution(name).files or []
        by_root: dict[Path, dict[str, list[Path]]] = {}
        for file in sorted(files):
            language = language_of(Path(file.name))
            if language is None or len(file.parts) < 2 or _LEFT_OUT & set(file.parts) or ".." in file.parts:
                continue
            path = Path(str(file.locate()))
            root = path.parents[len(file.parts) - 2]
            by_root.setdefault(root, {}).setdefault(language, []).append(path)
        yield from by_root.items()


def _requirements(distribution: str) -> list[str]:
    """Names of what is installed of the requirements of a distribution, and of theirs; without extras."""
    found: dict[str, None] = {}
    queue = deque(_direct(distribution))
    while queue:
        name = queue.popleft()
        if name not in found and _is_installed(name):
            found[name] = None
            queue.extend(_direct(name))
    return sorted(found)


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _direct(distribution: str) -> Iterable[str]:
    for requirement in importlib.metadata.distribution(distribution).requires or ():
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
        if name and "extra ==" not in requirement:
            yield re.sub(r"[-_.]+", "-", name[0]).lower()


def _read(path: Path) -> str | None:
    """The text of a file that is fit to be typed in, or None.

    Plain ASCII with LF line endings, so that columns are the same for every editor; not generated, not minified.
    """
    try:
        if not _SMALLEST <= path.stat().st_size <= _LARGEST:
            return None
        text = path.read_bytes().decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    if (
        "\r" in text
        or "\0" in text
        or "\f" in text
        or re.search(r"(?i)generated by|do not edit", text[:2000])
    ):
        return None
    return text if max(map(len, text.split("\n"))) <= _LONGEST_LINE else None


def find_holes(
    document: Document, rng: random.Random, *, count: int = _HOLES_WANTED, lines: Sequence[int] = (1, 2)
) -> list[Hole]:
    """Up to ``count`` holes in code (not in comments), in random order, far enough apart not to meet.

    Args:
        lines: Numbers of lines that a hole may have.
    """
    text_lines = document.text.split("\n")
    starts = [0]
    for line in text_lines:
        starts.append(starts[-1] + len(line) + 1)
    code = _code_lines(text_lines)
    candidates = list(range(_BEFORE, len(text_lines) - _AFTER))
    rng.shuffle(candidates)
    holes: list[Hole] = []
    taken: list[int] = []
    for first in candidates:
        height = rng.choice(lines)
        rows = range(first, first + height)
        if not all(row < len(code) and code[row] for row in rows) or any(
            abs(first - row) < 8 for row in taken
        ):
            continue
        start = starts[first] + _column(text_lines[first], rng)
        end = starts[rows[-1]] + len(text_lines[rows[-1]])
        holes.append(Hole(start, document.text[start:end]))
        taken.append(first)
        if len(holes) == count:
            break
    return holes


def _code_lines(lines: Sequence[str]) -> list[bool]:
    """For each line whether it is code of a fitting length: no comment, not in a docstring."""
    result, quoted, commented = [], False, False
    for line in lines:
        bare = line.strip()
        marks = bare.count('"""') + bare.count("'''")
        fits = len(bare) >= _SHORTEST and len(line) <= _LONGEST and not line.endswith((" ", "\t"))
        result.append(fits and not (quoted or commented or marks or bare.startswith(_COMMENTS)))
        quoted ^= marks % 2 == 1
        if "/*" in bare or "*/" in bare:
            commented = bare.rfind("/*") > bare.rfind("*/")
    return result


def _column(line: str, rng: random.Random) -> int:
    """Where a hole in ``line`` begins: where its code begins, or at a word in the first half of it."""
    first = len(line) - len(line.lstrip())
    if rng.random() < 0.4:
        return first
    words = [
        found.start()
        for found in re.finditer(r"\b\w", line)
        if first < found.start() <= (first + len(line)) / 2
    ]
    return rng.choice(words) if words else first
