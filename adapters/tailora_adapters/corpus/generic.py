"""Generic code that every machine has: modules of Python's standard library, whole, and single functions of them.

Some modules are for training, so that what is generic stays known, others for the gate, which asks whether it did; no
foundation adapter is trained on any of them. Knows nothing of projects, tokenizers or models.
"""

import ast
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from tailora_adapters.corpus.chance import luck
from tailora_adapters.corpus.examples import FimExample, SpanMix, make_examples
from tailora_adapters.corpus.select import SourceFile

__all__ = ["asked", "replayed"]

_ASKED = (
    "calendar.py",
    "fractions.py",
    "heapq.py",
    "sched.py",
    "shlex.py",
    "statistics.py",
    "textwrap.py",
)
_REPLAYED = (
    "argparse.py",
    "ast.py",
    "base64.py",
    "bisect.py",
    "colorsys.py",
    "configparser.py",
    "copy.py",
    "csv.py",
    "difflib.py",
    "filecmp.py",
    "fnmatch.py",
    "functools.py",
    "glob.py",
    "inspect.py",
    "ipaddress.py",
    "json/decoder.py",
    "keyword.py",
    "linecache.py",
    "logging/handlers.py",
    "mimetypes.py",
    "operator.py",
    "posixpath.py",
    "queue.py",
    "quopri.py",
    "random.py",
    "shutil.py",
    "stat.py",
    "string.py",
    "tarfile.py",
    "tokenize.py",
    "traceback.py",
    "urllib/parse.py",
    "uuid.py",
    "zipfile.py",
)
_ALONE = 2 / 3
"""Share of the examples from functions by themselves: a person's short file."""
_LINES = range(6, 60)
"""Of such a function."""


def asked(count: int) -> list[FimExample]:
    """Holes for the gate, the same in every run; empty where Python's library has no sources."""
    return _examples(_ASKED, count, seed=0, mix=SpanMix())


def replayed(count: int, *, seed: int, mix: SpanMix) -> list[FimExample]:
    """Holes to train on."""
    return _examples(_REPLAYED, count, seed=seed, mix=mix)


def _examples(names: Sequence[str], count: int, *, seed: int, mix: SpanMix) -> list[FimExample]:
    modules = _modules(names)
    alone = [function for module in modules for function in _functions(module)]
    alone.sort(key=lambda function: luck(seed, function.path))
    chosen = make_examples(alone, round(count * _ALONE), seed=seed, mix=mix, max_per_file=1)
    return [*chosen, *make_examples(modules, count - len(chosen), seed=seed, mix=mix)]


def _modules(names: Sequence[str]) -> list[SourceFile]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    sources = []
    for name in names:
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        sources.append(_source(name, text))
    return sources


def _functions(module: SourceFile) -> list[SourceFile]:
    """Top-level functions, each as a file of its own."""
    lines = module.text.splitlines(keepends=True)
    return [
        _source(
            f"{module.path.removeprefix('<library>/')}/{node.name}.py",
            "".join(lines[node.lineno - 1 : node.end_lineno]),
        )
        for node in ast.parse(module.text).body
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 in _LINES
    ]


def _source(name: str, text: str) -> SourceFile:
    return SourceFile(path=f"<library>/{name}", language="python", text=text, sha256="", mtime=0.0)
