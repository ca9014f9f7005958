"""Does a docstring agree with its function? Only what can be seen in the function itself is held against it.

A docstring that lists no parameters lacks none. Knows nothing of models.
"""

import re
from collections.abc import Iterator

from tailora_adapters.corpus.functions import Function
from tailora_adapters.docstrings.entries import Entry, Parsed, parse

__all__ = ["problems"]

_BUILTIN = {
    "int": "int", "integer": "int", "float": "float", "number": "number", "str": "str", "string": "str", "bool": "bool",
    "boolean": "bool", "bytes": "bytes", "dict": "dict", "list": "list", "tuple": "tuple", "set": "set",
}  # fmt: skip
_NUMBERS = frozenset({"int", "float", "number"})


def problems(function: Function, text: str, *, raises: bool = True) -> list[str]:
    """What in a docstring's ``text`` contradicts the function, in plain words; empty where nothing does.

    Args:
        raises: Whether exceptions that cannot be seen raised count; functions that are called may raise them, too.
    """
    return list(_problems(function, parse(text, function.language), raises))


def _problems(function: Function, parsed: Parsed, raises: bool) -> Iterator[str]:
    known = {parameter.name: parameter for parameter in function.parameters}
    told = parsed.parameters
    open_ended = any(parameter.stars == "**" or not parameter.name for parameter in function.parameters)
    if not open_ended:
        for name in told:
            if name not in known:
                yield f"`{name}` is described and is no parameter of {function.name}"
    for name in sorted({name for name in told if told.count(name) > 1}):
        yield f"`{name}` is described twice"
    if told:
        for parameter in function.parameters:
            named = parameter.name and not parameter.stars and not parameter.name.startswith("_")
            if named and parameter.name not in told:
                yield f"the parameter `{parameter.name}` is not described"
    for entry in parsed.of("parameter"):
        for name in entry.names:
            if (
                name in known
                and (annotation := known[name].annotation)
                and _contradict(entry.type, annotation)
            ):
                yield f"`{name}` is described as {entry.type} and annotated as {annotation}"
    if not function.gives and not function.stub and function.returns in (None, "None", "void"):
        for entry in (*parsed.of("returns"), *parsed.of("yields")):
            if not _is_nothing(entry):
                yield f"{function.name} returns nothing, and a result is described"
    elif parsed.of("yields") and not function.yields and not function.stub and function.returns is None:
        yield f"{function.name} yields nothing, and what it yields is described"
    if raises and not function.stub:
        for entry in parsed.of("raises"):
            for name in entry.names:
                if name.rpartition(".")[2] not in function.raises:
                    yield f"{function.name} cannot be seen to raise {name}"


def _is_nothing(entry: Entry) -> bool:
    words = (entry.type or entry.text).strip(" .`:").lower()
    return words in ("none", "nothing", "void", "undefined") or entry.text.lower().startswith("none")


def _contradict(told: str | None, annotation: str) -> bool:
    """Whether both name types of Python's or JavaScript's own alone, and none in common."""
    ours, theirs = _types(told or ""), _types(annotation)
    if not ours or not theirs:
        return False
    return not ours & theirs and not (ours & _NUMBERS and theirs & _NUMBERS)


def _types(text: str) -> frozenset[str]:
    """Empty where there is any type that is not one of the language's own, of which nothing is known."""
    outer = re.sub(
        r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", text.replace("Optional[", "").rstrip("]"))
    )
    words = [
        word.lower()
        for word in re.findall(r"\w+", outer)
        if word.lower() not in ("none", "optional", "null", "undefined", "or", "default")
    ]
    if any(word not in _BUILTIN for word in words):
        return frozenset()
    return frozenset(_BUILTIN[word] for word in words)
