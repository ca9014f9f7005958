"""Snippets of neighbouring files for training prompts, as a completion would carry them.

Serving takes the definitions that a file imports and recently edited places; here, without an editor, definitions
from other files of the same folder stand for both. Deterministic for a seed; chosen so that a file that is
added or changed changes few of the others' snippets.
"""

import re
from collections.abc import Sequence

from tailora_adapters.corpus.chance import luck
from tailora_adapters.corpus.examples import Source

__all__ = ["neighbour_snippets"]

_DEFINITION = re.compile(
    r"^\s*(?:(?:export|pub|public|private|static|async|final|abstract|inline)\s+)*"
    r"(?:def|class|func|fn|function|interface|struct|enum|impl|type|trait)\b"
)


def neighbour_snippets(
    sources: Sequence[Source],
    *,
    seed: int,
    pool: Sequence[Source] | None = None,
    per_file: int = 2,
    lines: int = 10,
) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each file's path, up to ``per_file`` pairs of (path, text) from other files of its folder.

    Args:
        pool: The files that snippets come from; the same ones by default.
    """
    folders: dict[str, list[Source]] = {}
    for source in sources if pool is None else pool:
        folders.setdefault(source.path.rpartition("/")[0], []).append(source)
    result = {}
    for source in sources:
        near = folders.get(source.path.rpartition("/")[0], ())
        others = [other for other in near if other.path != source.path]
        chosen = sorted(others, key=lambda other: luck(seed, source.path, other.path))[:per_file]
        snippets = (
            snippet for other in chosen if (snippet := _definition(other, lines, (seed, source.path)))
        )
        result[source.path] = tuple(snippets)
    return result


def _definition(source: Source, lines: int, key: tuple[int, str]) -> tuple[str, str] | None:
    text = source.text.split("\n")
    starts = [number for number, line in enumerate(text) if _DEFINITION.match(line)]
    if not starts:
        return None
    start = min(starts, key=lambda number: luck(*key, text[number]))
    return source.path, "\n".join(text[start : start + lines])
