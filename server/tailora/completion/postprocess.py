"""From a model's raw text to what is shown at the cursor.

Each step takes away or mends one thing that makes ghost text annoying: control tokens, what follows the
cursor repeated, brackets closed twice, foreign indentation. Knows nothing of how the text was made.
Invariant: ``clean`` is pure and idempotent; the steps run until none changes anything.
"""

import re
from itertools import islice

from tailora.completion import _special
from tailora.completion._indent import fit_first_line, fit_indentation
from tailora.completion._scan import scan
from tailora.completion._window import Window, indent_of
from tailora.completion.snapshot import Snapshot
from tailora.completion.stop import MAX_CHARS

__all__ = ["clean"]

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u202a-\u202e\u2066-\u2069"  # those that reorder text, and so hide what code does
    "\ud800-\udfff]"  # lone surrogates cannot be sent to an editor
)
_MAX_PASSES = 64
_MAX_TRIES = 32
"""Ways to cut that are weighed in one step; only hostile text has more."""
_MIN_OVERLAP = 3
_PUNCTUATION = ",;:"


def clean(raw: str, snapshot: Snapshot, *, kept_stop_reason: str | None = None) -> str | None:
    """The text to insert at the cursor, with the file's line endings; None when nothing is left to show.

    ``kept_stop_reason`` says why the text ends where it does, where that is known: a ``StopRule.reason``, or
    ``length`` or ``deadline`` where the model was cut off, so that its last line may be half of one.
    """
    text = raw[: 2 * MAX_CHARS].replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_CHARS:
        text, kept_stop_reason = text[:MAX_CHARS].rpartition("\n")[0], None
    text = _special.cut(text, snapshot)
    if not text.strip() or _FORBIDDEN.search(text):
        return None
    window, unit = Window.around(snapshot), snapshot.indent_unit
    cut_off = kept_stop_reason in ("length", "deadline", "max_chars")
    for _ in range(_MAX_PASSES):
        before = text
        text = _special.cut(text, snapshot)
        text = _drop_repeated_rest(text, window)
        text = _drop_repeated_lines(text, window, cut_off)
        text = _drop_doubled_closing(text, window)
        text = fit_first_line(text, window, unit)
        text = fit_indentation(text, window, unit)
        text = _strip_end(text, window)
        if text == before:
            break
    else:
        return None  # never seen; rather nothing than something that is not stable
    if not text.strip() or len(text) > MAX_CHARS or _only_repeats(text, window) or _clashes(text, window):
        return None
    return text.replace("\n", snapshot.newline)


def _drop_repeated_rest(text: str, window: Window) -> str:
    """Drops an end of ``text`` that repeats the beginning of the rest of the cursor's line."""
    rest = window.line_suffix.rstrip()
    if not rest.strip():
        return text
    lengths = (n for n in range(min(len(rest), len(text)), 0, -1) if text.endswith(rest[:n]))
    credible = (n for n in lengths if _credible(text[:-n], rest, n))
    for length in islice(credible, _MAX_TRIES):
        if window.imbalance(text[:-length]) <= window.imbalance(text):
            return text[:-length]
    return text


def _credible(kept: str, rest: str, length: int) -> bool:
    """Whether an overlap of this length is a repetition and not an accident."""
    repeated = rest[:length]
    if repeated.lstrip()[:1] in tuple(_PUNCTUATION) and not repeated.strip(" \t)]}" + _PUNCTUATION):
        return True
    if _word(kept[-1:]) and _word(repeated[0]):
        return False
    if length == len(rest):
        return True
    splits_word = _word(repeated[-1]) and _word(rest[length])
    return len(repeated.strip()) >= _MIN_OVERLAP and not splits_word


def _word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _drop_repeated_lines(text: str, window: Window, cut_off: bool) -> str:
    """Drops last lines of ``text`` that are the next lines of the document."""
    following = window.following
    if not following or not text.strip():
        return text
    lines = text.split("\n")
    whole = [window.line_prefix + lines[0], *lines[1:]]
    filled = [index for index, line in enumerate(whole) if line.strip() and (index or lines[0].strip())]
    for count in range(min(len(filled), len(following)), 0, -1):
        start = filled[-count]
        if start == 0 and window.line_suffix.strip():
            continue
        mine = [whole[index].rstrip() for index in filled[-count:]]
        same = mine == following[:count]
        if not same and cut_off and text == text.rstrip() and len(mine[-1].strip()) >= _MIN_OVERLAP:
            same = mine[:-1] == following[: count - 1] and following[count - 1].startswith(mine[-1])
        kept = "\n".join(lines[:start])
        if same and window.imbalance(kept) <= window.imbalance(text):
            return kept
    return text


def _drop_doubled_closing(text: str, window: Window) -> str:
    """Ends ``text`` before a bracket or quote that the document closes after the cursor anyway."""
    for index in scan(text, window.lexis, window.cursor).closings[:_MAX_TRIES]:
        if window.closes_again(text, index):
            return text[:index]
    return text


def _strip_end(text: str, window: Window) -> str:
    """Removes trailing white space.

    Some stays, because the rest of the cursor's line goes behind it: blanks before a word, and a line break
    where whole lines were put above that rest or between the brackets around the cursor.
    """
    rest = window.line_suffix
    stripped = text.rstrip(" \t\n")
    tail = text[len(stripped) :]
    if "\n" not in tail:
        return text if _word(rest[:1]) else stripped
    between = rest[:1] in tuple(")]}") and stripped.lstrip(" \t").startswith("\n")
    above = _word(rest[:1]) and window.blank_line
    return f"{stripped}\n{indent_of(window.line_prefix)}" if between or above else stripped


def _only_repeats(text: str, window: Window) -> bool:
    """Whether ``text`` is just the line above, or what stands below."""
    if window.line_suffix.strip():
        return text.strip() == window.line_suffix.strip()
    lines = [line.rstrip() for line in (window.line_prefix + text).split("\n") if line.strip()]
    return lines == [window.previous] or lines == window.following[: len(lines)]


def _clashes(text: str, window: Window) -> bool:
    """Whether the rest of the line cannot follow ``text``: a word right behind a closing bracket or quote."""
    end = window.scan(text)
    return text[-1] in ")]\"'`" and end.string is None and not end.comment and _word(window.line_suffix[:1])
