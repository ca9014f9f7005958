"""Which source texts a program wrote: by name, by what their header says, by how they look.

Knows nothing of files on disk. Prefers to miss one over leaving out what a person wrote.
"""

import re

__all__ = ["generated", "generated_by_name"]

_GENERATED_NAME = re.compile(
    r"(?:_pb2(?:_grpc)?\.pyi?|\.pb(?:\.gw)?\.(?:go|cc|h)|_pb\.(?:js|d\.ts)|[.-](?:min|bundle)\.[cm]?js"
    r"|\.g\.cs|\.designer\.cs|[._]generated\.\w+|\.gen\.\w+|\.lock|\.lockb"
    r"|^(?:package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|go\.sum))$",
    re.IGNORECASE,
)
_GENERATED_HEADER = re.compile(
    r"""\bDO\ NOT\ (?:EDIT|MODIFY)\b
    | @generated\b
    | \bauto(?:matically)?[- ]?generated\ (?:file|code|by)\b
    | ^\W*(?:(?:this|the)\ )?(?:(?:file|code|module|source)\ )*(?:(?:is|was|has\ been)\ )?
      generated\ (?:by|from|with|using|file|code|automatically)\b""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def generated_by_name(name: str) -> bool:
    """Whether a file's name, without folders, is one that generators give."""
    return _GENERATED_NAME.search(name) is not None


def generated(text: str) -> str:
    """Why a text is taken for generated; empty if it is not."""
    lines = text.split("\n")
    if _GENERATED_HEADER.search("\n".join(line[:500] for line in lines[:10])):
        return "its header"
    written = [len(line) for line in lines if line.strip()]
    if max(written, default=0) > 2_000 or sum(written) > 200 * len(written):
        return "very long lines"
    return ""
