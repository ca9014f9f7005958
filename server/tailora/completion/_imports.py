"""Which modules of the repository a file imports, and where they are.

Reads import statements by pattern, not by parsing, because this runs at every keystroke; a table says how,
per language. Knows nothing of what is in the modules. Invariant: a file is only found inside the root,
symbolic links followed.
"""

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tailora_adapters import languages

__all__ = ["MAX_FILE_BYTES", "Import", "find_imports", "inside", "looks_secret", "resolve"]

MAX_FILE_BYTES = 512 * 1024
_HEAD_CHARS = 65_536

_SECRET = re.compile(
    r"""\.env(?:rc|\..*)? | .*\.(?:env|pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg|tfvars|tfstate)
    | id_(?:rsa|dsa|ecdsa|ed25519)(?:[._-].*)?
    | \.(?:netrc|npmrc|pypirc|htpasswd|pgpass|git-credentials|dockercfg)
    | _netrc | (?:.*[._-])?secrets?(?:\..*)? | credentials?(?:\.(?:json|ya?ml|toml|ini|cfg|txt|xml))?
    | .*service[-_]account.*\.json""",
    re.VERBOSE | re.IGNORECASE,
)
_SECRET_FOLDERS = {".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker"}


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement."""

    module: str
    names: tuple[tuple[str, str], ...] = ()
    """Imported names: as the module calls them (``default`` for a default export), and as this file does."""
    whole: bool = False
    """Whether the module as such is imported, or all of its names."""
    star: bool = False
    """Whether the module's names become names of this file."""


def looks_secret(path: Path) -> bool:
    """Whether a file of this name may hold keys or passwords. Such files are never read."""
    return bool(_SECRET.fullmatch(path.name)) or not _SECRET_FOLDERS.isdisjoint(path.parts)


def inside(path: Path, root: Path) -> Path | None:
    """The real path of ``path`` if that is below ``root`` (a real path itself), else None."""
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError):
        return None
    return real if real.is_relative_to(root) and real != root else None


def find_imports(text: str, language: str) -> list[Import]:
    """The imports at the beginning of a file, in their order."""
    known = languages.by_id(language)
    system = _SYSTEMS.get(known.id) if known else None
    return system.find(text[:_HEAD_CHARS]) if system else []


def resolve(imported: Import, name: str | None, file: Path, language: str, root: Path) -> Path | None:
    """The file inside ``root`` that ``imported`` in ``file`` means; with a ``name``, its submodule."""
    known = languages.by_id(language)
    system = _SYSTEMS.get(known.id) if known else None
    if system is None:
        return None
    for candidate in system.candidates(imported.module, name, file, root):
        if (
            _readable(candidate)
            and (real := inside(Path(candidate), root)) is not None
            and not looks_secret(real)
        ):
            return real
    return None


def _readable(path: str) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116  (a Path for each of hundreds of candidates would cost a millisecond)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES


# Python

_PYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>\.*[\w.]*)[ \t]+import[ \t]+(?:\((?P<many>[^()]*)\)|(?P<few>[^\n#;]+))"
    r"|import[ \t]+(?P<plain>[\w.][^\n#;]*))",
    re.MULTILINE,
)


def _find_python(text: str) -> list[Import]:
    found = []
    for match in _PYTHON.finditer(text):
        if match["plain"]:
            modules = (part.split()[0] for part in match["plain"].split(",") if part.strip())
            found += [Import(module, whole=True) for module in modules]
            continue
        listed = re.sub(r"#[^\n]*", "", match["many"] or match["few"]).replace("\\", " ")
        names = tuple(_pair(part, " as ") for part in listed.split(",") if part.strip())
        if names == (("*", "*"),):
            found.append(Import(match["module"], whole=True, star=True))
        else:
            found.append(Import(match["module"], names))
    return found


def _pair(part: str, separator: str) -> tuple[str, str]:
    original, _, local = " ".join(part.split()).partition(separator)
    return original.strip(), (local or original).strip()


def _python_candidates(module: str, name: str | None, file: Path, root: Path) -> Iterator[str]:
    dots = len(module) - len(module.lstrip("."))
    parts = [part for part in module[dots:].split(".") if part]
    if not dots and (not parts or parts[0] in sys.stdlib_module_names):
        return
    if name is not None:
        parts = [*parts, name]
    if dots:
        base = file.parent
        for _ in range(dots - 1):
            base = base.parent
        bases = [str(base)]
    else:
        bases = [str(root), str(root / "src"), str(root / "lib")]
        between = [folder for folder in file.parents if folder.is_relative_to(root) and folder != root]
        bases += [str(folder) for folder in reversed(between) if str(folder) not in bases]
    for folder in bases:
        path = os.path.join(folder, *parts)  # noqa: PTH118
        if parts:
            yield f"{path}.py"
            yield f"{path}.pyi"
        yield os.path.join(path, "__init__.py")  # noqa: PTH118


# JavaScript and TypeScript

_SCRIPT = re.compile(
    r"""^[ \t]*(?:
    (?P<kind>import|export)\b (?P<clause>[^'"`;=()]{0,4000}?) \bfrom[ \t]* ['"](?P<from>\.[^'"\n]*)['"]
    | (?:const|let|var)[ \t]+ (?P<target>\{[^}=]*\}|\w+) [ \t]*=[ \t]*
      require\([ \t]* ['"](?P<require>\.[^'"\n]*)['"]
    )""",
    re.MULTILINE | re.VERBOSE,
)
_SCRIPT_SUFFIXES = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mts", ".mjs", ".cts", ".cjs")


def _find_script(text: str) -> list[Import]:
    found = []
    for match in _SCRIPT.finditer(text):
        if match["require"]:
            found.append(_script_import(match["require"], match["target"].replace(":", " as "), whole=True))
        else:
            found.append(
                _script_import(match["from"], match["clause"], whole=False, export=match["kind"] == "export")
            )
    return found


def _script_import(module: str, clause: str, *, whole: bool, export: bool = False) -> Import:
    clause = re.sub(r"/\*.*?\*/|//[^\n]*", "", clause, flags=re.DOTALL)
    clause = re.sub(r"^\s*type\b(?!\s*,)", "", clause)
    outside, brace, braced = clause.partition("{")
    parts = [re.sub(r"^\s*type\s+", "", part) for part in braced.rpartition("}")[0].split(",")]
    names = [_pair(part, " as ") for part in parts if part.strip()]
    if "*" in outside or (whole and not brace):
        return Import(module, tuple(names), whole=True, star=export and " as " not in outside)
    if default := outside.strip(" \t\n,"):
        names.insert(0, ("default", default))
    return Import(module, tuple(names))


def _script_candidates(module: str, name: str | None, file: Path, root: Path) -> Iterator[str]:
    if name is not None or not module.startswith("."):
        return
    path = os.path.normpath(os.path.join(file.parent, module))  # noqa: PTH118
    stem, ending = os.path.splitext(path)  # noqa: PTH122
    if ending in _SCRIPT_SUFFIXES:
        yield path
        if ending in (".js", ".jsx", ".mjs", ".cjs"):  # TypeScript's modules name the output
            yield stem + ending.replace("js", "ts")
            yield f"{stem}.tsx"
    for suffix in _SCRIPT_SUFFIXES:
        yield path + suffix
    for suffix in _SCRIPT_SUFFIXES:
        yield os.path.join(path, f"index{suffix}")  # noqa: PTH118


@dataclass(frozen=True, slots=True)
class _System:
    """How one language imports."""

    find: Callable[[str], list[Import]]
    candidates: Callable[[str, str | None, Path, Path], Iterator[str]]


_JS = _System(_find_script, _script_candidates)
_SYSTEMS = {
    "python": _System(_find_python, _python_candidates),
    "javascript": _JS,
    "javascriptreact": _JS,
    "typescript": _JS,
    "typescriptreact": _JS,
}
