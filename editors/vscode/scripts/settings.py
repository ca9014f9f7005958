"""Writes the settings of the language server into package.json, so that they are described once.

Run it with the repository's Python after a change of ``tailora/options.py``: ``.venv/bin/python
editors/vscode/scripts/settings.py``; with ``--check`` it only says whether package.json is as it would write it. The
extension's own settings, of which the server knows nothing, are described here.
"""

import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from tailora.options import Options, attribute_docstrings

PACKAGE = Path(__file__).parent.parent / "package.json"

LEFT_OUT = {"learning.trusted", "completion.popup"}
"""Trust is VS Code's own, and the popup is for editors without ghost text."""

OWN_ONLY = {"model.download", "repair.run_tests"}
"""Settings that only the user's own may hold: a repository's ``.vscode/settings.json`` must not allow it to run its
tests, nor to fetch anything."""

EXTENSION: dict[str, dict[str, Any]] = {
    "tailora.command": {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "scope": "machine",
        "order": 1,
        "markdownDescription": "How to start the language server: a program and its arguments, such as "
        '`["/home/me/.venv/bin/tailora", "lsp"]`. Empty: Tailora looks for it, and offers to install it.',
    },
    "tailora.python": {
        "type": "string",
        "default": "",
        "scope": "machine",
        "order": 2,
        "markdownDescription": "The Python (3.11 or newer) with which the language server is installed. Empty: Tailora "
        "looks for one. Takes effect at the next installation.",
    },
}


def camel(name: str) -> str:
    """``max_file_kb`` -> ``maxFileKb``."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def described(name: str, default: Any, metadata: Any, text: str) -> dict[str, Any]:
    """One setting in the form of ``contributes.configuration``."""
    result: dict[str, Any] = {}
    if isinstance(default, bool):
        result["type"] = "boolean"
    elif isinstance(default, int):
        result |= {"type": "integer", "minimum": metadata["low"], "maximum": metadata["high"]}
    elif isinstance(default, tuple):
        result |= {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
        default = list(default)
    elif isinstance(default, dict):
        result["type"] = "object"
    else:
        result |= {"type": "string", "enum": list(metadata["choices"])}
    scope = "machine" if name in OWN_ONLY else "resource"
    return result | {"default": default, "scope": scope, "markdownDescription": text}


def properties() -> dict[str, Any]:
    """All settings, by their names in VS Code."""
    found = dict(EXTENSION)
    for section in fields(Options):
        group = getattr(Options(), section.name)
        texts = attribute_docstrings(type(group))
        for item in fields(group):
            name = f"{section.name}.{item.name}"
            if name not in LEFT_OUT:
                key = f"tailora.{section.name}.{camel(item.name)}"
                found[key] = described(name, getattr(group, item.name), item.metadata, texts[item.name])
    return found


def written(package: str) -> str:
    """``package`` with the settings as they are now; all else stays, character by character."""
    block = json.dumps(properties(), indent=2, ensure_ascii=False)
    block = "\n".join(" " * 6 + line for line in block.splitlines()).lstrip()
    opening = '"configuration": { "title": "Tailora", "properties": '
    begin = package.index(opening) + len(opening)
    _, length = json.JSONDecoder().raw_decode(package[begin:])
    return package[:begin] + block + package[begin + length :]


def main() -> str | None:
    """Writes, or checks; what is wrong, if something is."""
    before = PACKAGE.read_text(encoding="utf-8")
    after = written(before)
    if "--check" in sys.argv[1:]:
        return (
            None
            if before == after
            else "package.json has other settings than options.py; run scripts/settings.py"
        )
    PACKAGE.write_text(after, encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
