"""Why nothing is suggested in a document at all: found before any work is done, and said to the user.

Looks at a document's name, size and kind and at the settings; knows nothing of the engine.
"""

from pathlib import Path

from tailora.lsp.text import Document
from tailora.options import CompletionOptions
from tailora_adapters.corpus.secrets import is_secret_file

__all__ = ["reason_for"]

_SCHEMES = {"file", "untitled"}


def reason_for(
    document: Document | None, uri: str, path: Path | None, options: CompletionOptions
) -> str | None:
    """Why nothing is suggested in this document; None if nothing stands against it. Of one that is not open, the name
    and kind are looked at."""
    scheme = uri.partition(":")[0]
    if scheme not in _SCHEMES:
        return f"no suggestions in “{scheme}” documents, only in files and untitled ones"
    if not options.enabled:
        return "suggestions are turned off (completion.enabled)"
    if path is not None and is_secret_file(path.name):
        return f"{path.name} looks like a file with secrets; those are never sent to the model"
    if document is None:
        return None
    if document.language_id in options.languages_off:
        return f"suggestions are turned off for {document.language_id} (completion.languages_off)"
    size = document.oversize or len(document.source)
    if size > options.max_file_kb * 1024:
        limit = f"{options.max_file_kb} KiB (completion.max_file_kb)"
        return f"the file is too large: {size // 1024} KiB, the limit is {limit}"
    if "\0" in document.source:
        return "the file is binary"
    return None
