"""A whole function as a suggestion, where one is asked for by command and only its docstring, comment or head is there.

Knows nothing of the other suggestions. Invariant: what is suggested goes in at the cursor and nothing is replaced.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.errors import EngineError
from tailora.generation import find_place, write_function
from tailora.infill import Limits
from tailora.lsp.function_action import filler_of
from tailora.lsp.silence import reason_for
from tailora.lsp.text import path_of, plain_lines
from tailora.lsp.works import Stopped

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["answer"]

_log = logging.getLogger(__name__)


async def answer(ls: TailoraServer, uri: str, position: types.Position) -> types.InlineCompletionItem | None:
    """The function; None where there is none to write, or none came that parses."""
    path, document = path_of(uri), ls.workspace.opened(uri)
    options = ls.settings.for_root(ls.folders.place(path).root)
    if document is None or path is None or not options.generation.enabled:
        return None
    if reason_for(document, uri, path, options.completion) is not None:
        return None
    text = document.source
    language, newline = document.language_id or "plaintext", "\r\n" if "\r\n" in text else "\n"
    offset = document.offset_at_position(position)
    before, after = plain_lines(text[:offset]), plain_lines(text[offset:])
    place = find_place(before + after, language, before.count("\n"))
    if place is None or not place.start <= len(before) <= place.end or after.partition("\n")[0].strip():
        return None
    typed = before[place.start :]
    if typed.strip():
        return None
    try:
        await ls.link.ensure()
        filler = filler_of(ls, path, language, "generation")
        made = await write_function(before + after, place, language, filler, Limits.of(options.generation))
    except (EngineError, Stopped) as error:
        _log.warning("Could not write a function: %s", error)
        return None
    if made is None:
        return None
    body = made.inserted[len(place.lead) : len(made.inserted) - len(place.tail)]
    lead = _from_here(typed, place.lead)
    return types.InlineCompletionItem(
        (lead + body).replace("\n", newline), range=types.Range(position, position)
    )


def _from_here(typed: str, lead: str) -> str:
    """What is missing before the body behind what was typed already."""
    if "\n" not in typed:
        return lead if not typed.strip() and not lead.startswith(typed) else lead[len(typed) :]
    line = typed.rpartition("\n")[2]
    indent = lead.rpartition("\n")[2]
    return indent[len(line) :] if indent.startswith(line) else ""
