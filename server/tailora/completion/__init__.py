"""From a cursor to context, and from raw model text to a suggestion fit to show.

Pure logic on plain values: knows nothing of LSP, HTTP, tokens or models, and imports no torch. Every
function does a bounded amount of work, whatever the size of the document.
"""

from tailora.completion.cache import CacheKey, TypedThrough
from tailora.completion.context import ContextSnippet, RecentEdits, gather
from tailora.completion.postprocess import clean
from tailora.completion.snapshot import Snapshot
from tailora.completion.stop import StopRule

__all__ = [
    "CacheKey",
    "ContextSnippet",
    "RecentEdits",
    "Snapshot",
    "StopRule",
    "TypedThrough",
    "clean",
    "gather",
]
