"""Plants clones: Python functions of a repository, copied into other files of it and changed as people change copies.

The data builder of the task, from one's own repository. What is planted, by the types of Roy, Cordy and Koschke
(2009): 1, layout, comments and documentation; 2, names and literals, too, each name by one other; 3, statements taken
out, put in and put in others' places, too, up to a share of them. Knows nothing of how clones are found. Deterministic
for a seed.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from tailora_adapters import languages
from tailora_adapters.clones.functions import Function, functions_of
from tailora_adapters.syntax import is_documentation, walk

__all__ = ["Planted", "at_margin", "overlap", "plant", "simple_statements", "vary"]

_TRIES = 8
_COMMENTS = ("# see above", "# checked below", "# TODO: simplify", "# as agreed", "# keep in order")
_WORDS = (
    "value", "item", "entry", "record", "node", "part", "batch", "target", "source", "state", "holder", "total",
    "result", "handle", "buffer", "chunk", "label", "marker", "index", "offset", "limit", "owner", "member", "field",
)  # fmt: skip
_BOUND = frozenset({"parameters", "assignment", "for_statement", "as_pattern_target", "for_in_clause"})
_AROUND = frozenset(
    {"pattern_list", "tuple_pattern", "typed_parameter", "default_parameter", "typed_default_parameter"}
)
_SIMPLE = frozenset(
    {
        "expression_statement", "return_statement", "raise_statement", "assert_statement", "delete_statement",
        "pass_statement",
    }
)  # fmt: skip

_Edit = tuple[int, int, bytes]
"""Bytes from, to, and what takes their place."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A clone that was planted. Lines from 0, of the functions' names."""

    kind: int
    """1, 2 or 3."""
    path: str
    line: int
    source_path: str
    source_line: int
    edited: float
    """Share of the source's statements that were taken out, put in or replaced."""


@dataclass(frozen=True, slots=True)
class _Source:
    path: str
    function: Function
    text: str
    """The function alone, at the left margin."""


def plant(
    files: Mapping[str, str],
    wanted: Sequence[tuple[str, int]],
    *,
    count: int,
    seed: int,
    share: float = 0.25,
) -> tuple[dict[str, str], list[Planted]]:
    """The files with up to ``count`` clones of each type, and what was planted.

    Args:
        files: Python texts by path, lines ending with LF.
        wanted: Paths and lines (of the name) of the functions that may be copied.
            Of functions that lie in each other, one is.
        share: Type 3: at most so many of a function's statements are changed, at least one.
    """
    rng = random.Random(f"{seed}:plant")
    sources = list(_sources(files, set(wanted)))
    rng.shuffle(sources)
    donors = [line for source in sources for line in simple_statements(source.text)]
    texts = dict(files)
    targets = sorted(files)
    planted: list[Planted] = []
    made = {1: 0, 2: 0, 3: 0}
    taken: dict[str, list[Function]] = {}
    for source in sources:
        if any(overlap(source.function, one) for one in taken.get(source.path, ())):
            continue
        kind = min(made, key=lambda kind: (made[kind], kind))
        if made[kind] >= count or len(targets) < 2:
            break
        changed = vary(source.text, kind, donors, share, rng)
        if changed is None:
            continue
        text, edited = changed
        path = rng.choice([target for target in targets if target != source.path])
        before = texts[path].rstrip("\n") + "\n\n\n"
        texts[path] = before + text + "\n"
        line = before.count("\n") + _name_row(text)
        planted.append(Planted(kind, path, line, source.path, source.function.line, edited))
        taken.setdefault(source.path, []).append(source.function)
        made[kind] += 1
    return texts, planted


def overlap(one: Function, other: Function) -> bool:
    """Whether two functions of a file share a line."""
    return one.first <= other.last and other.first <= one.last


def _sources(files: Mapping[str, str], wanted: set[tuple[str, int]]) -> Iterator[_Source]:
    for path in sorted(files):
        lines = files[path].split("\n")
        for function in functions_of(files[path], "python"):
            if (path, function.line) not in wanted:
                continue
            text = at_margin(lines[function.first : function.last + 1])
            if text is not None:
                yield _Source(path, function, text)


def at_margin(lines: Sequence[str]) -> str | None:
    """Without the indentation; None where a text of several lines that is no documentation would change by it."""
    width = len(lines[0]) - len(lines[0].lstrip())
    if any(line.strip() and line[:width].strip() for line in lines):
        return None
    text = "\n".join(line[width:] for line in lines)
    for node in walk(_parse(text)):
        if (
            node.type == "string"
            and node.start_point.row != node.end_point.row
            and not (node.parent is not None and is_documentation(node.parent))
        ):
            return None
    return text


def _parse(text: str) -> Node:
    python = languages.by_id("python")
    parser = languages.parser(python) if python is not None else None
    assert parser is not None
    return parser.parse(text.encode()).root_node


def _name_row(text: str) -> int:
    return functions_of(text, "python")[0].line


def simple_statements(text: str) -> list[bytes]:
    """The simple statements of one line."""
    return [
        node.text
        for node in walk(_parse(text))
        if node.type in _SIMPLE
        and node.text
        and node.start_point.row == node.end_point.row
        and not is_documentation(node)
    ]


def vary(
    text: str, kind: int, donors: Sequence[bytes], share: float, rng: random.Random
) -> tuple[str, float] | None:
    """The text of a clone, and the share of its statements that were edited; None where none comes out that parses."""
    for _ in range(_TRIES):
        result, edited = text, 0.0
        if kind == 3:
            result, edited = _edit_statements(result, donors, share, rng)
        if kind == 2 or (kind == 3 and rng.random() < 0.5):
            result = _rename(result, rng)
        result = _lay_out(result, rng)
        if not _parse(result).has_error and result != text and (kind < 3 or edited):
            return result, edited
    return None


def _apply(text: str, edits: Sequence[_Edit]) -> str:
    data = text.encode()
    for start, end, new in sorted(edits, reverse=True):
        data = data[:start] + new + data[end:]
    return data.decode()


def _lay_out(text: str, rng: random.Random) -> str:
    """Other comments, documentation, blank lines, line breaks in brackets and indentation."""
    edits: list[_Edit] = []
    for node in walk(_parse(text)):
        if node.type == "comment":
            if rng.random() < 0.5:
                edits.append((node.start_byte, node.end_byte, b"# " + rng.choice(_COMMENTS)[2:].encode()))
        elif is_documentation(node):
            if rng.random() < 0.5:
                edits.append((node.start_byte, node.end_byte, b'"""' + rng.choice(_WORDS).encode() + b'."""'))
        elif node.parent is not None and node.parent.type == "block":
            indent = b"\n" + b" " * node.start_point.column
            if rng.random() < 0.25:
                edits.append((node.start_byte, node.start_byte, rng.choice(_COMMENTS).encode() + indent))
            elif rng.random() < 0.15:
                edits.append((node.start_byte, node.start_byte, indent))
        elif (
            node.type == ","
            and node.parent is not None
            and node.parent.type == "argument_list"
            and rng.random() < 0.2
        ):
            edits.append((node.end_byte, node.end_byte, b"\n" + b" " * 12))
    result = _apply(text, edits)
    factor = rng.choice((1, 1, 2))
    lines = result.split("\n")
    return "\n".join(" " * (factor * (len(line) - len(line.lstrip()))) + line.lstrip() for line in lines)


def _rename(text: str, rng: random.Random) -> str:
    """Other names for what is bound here, for half of what is not, and for the function; half of the literals."""
    root = _parse(text)
    names: dict[bytes, list[Node]] = {}
    edits: list[_Edit] = []
    for node in walk(root):
        if node.type == "identifier" and node.text not in (b"self", b"cls"):
            names.setdefault(node.text or b"", []).append(node)
        elif node.type == "string_content" and rng.random() < 0.5:
            if node.child_count == 0:
                edits.append((node.start_byte, node.end_byte, rng.choice(_WORDS).encode()))
        elif node.type == "integer" and rng.random() < 0.5:
            edits.append((node.start_byte, node.end_byte, str(rng.randrange(2, 1_000)).encode()))
    for number, (_name, places) in enumerate(sorted(names.items())):
        if any(_binds(node) for node in places) or rng.random() < 0.5:
            other = f"{rng.choice(_WORDS)}_{number}".encode()
            edits += [(node.start_byte, node.end_byte, other) for node in places]
    return _apply(text, edits)


def _binds(node: Node) -> bool:
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "function_definition":
        return True
    while parent is not None and parent.type in _AROUND:
        node, parent = parent, parent.parent
    if parent is None or parent.type not in _BOUND:
        return False
    return parent.type == "parameters" or node == parent.child_by_field_name("left")


def _edit_statements(
    text: str, donors: Sequence[bytes], share: float, rng: random.Random
) -> tuple[str, float]:
    """Some simple statements taken out, put in or replaced, and their share of all statements."""
    root = _parse(text)
    statements = [
        node
        for node in walk(root)
        if node.parent is not None
        and node.parent.type == "block"
        and node.is_named
        and node.type != "comment"
        and not is_documentation(node)
    ]
    simple = [node for node in statements if node.type in _SIMPLE]
    if not simple or not donors:
        return text, 0.0
    number = rng.randint(1, max(1, int(share * len(statements))))
    edits: list[_Edit] = []
    for node in rng.sample(simple, min(number, len(simple))):
        donor = rng.choice(donors)
        how = rng.choice(("out", "in", "replaced"))
        alone = node.parent is None or node.parent.named_child_count < 2
        if how == "out" and not alone:
            edits.append((node.start_byte, node.end_byte, b""))
        elif how == "in":
            edits.append((node.start_byte, node.start_byte, donor + b"\n" + b" " * node.start_point.column))
        else:
            edits.append((node.start_byte, node.end_byte, donor))
    return _apply(text, edits), len(edits) / len(statements)
