"""What llama.vim does between the keyboard and llama.cpp's server, as pure functions and a result cache.

Follows ``autoload/llama.vim`` of https://github.com/ggml-org/llama.vim as of commit 381730b (2026, the newest that was
at hand): the local context and the request's fields, the cache of results with its search behind the cursor, and what
is left out of a suggestion because it repeats text that is there. Lines count from 0 here. Where this differs, it is in
the peer's favour: cache keys are the texts themselves instead of their SHA-256, which the plugin computes up to 128
times a key; and a result that adds nothing to a line never keeps a better one from being shown.

``input_extra`` is always empty. The plugin moves chunks of other places into it only in normal mode or when the
cursor has rested for three seconds, and neither happens in a trace. Prompts are shorter for that, so faster to read.

Knows nothing of HTTP, timers or the benchmark's player.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Context", "Rendered", "ResultCache", "local_context", "render", "request_body"]

N_PREFIX, N_SUFFIX = 256, 64
N_PREDICT = 128
MAX_LINE_SUFFIX = 8
T_MAX_PROMPT_MS = 500
T_MAX_PREDICT_MS = 1000
T_MAX_PREDICT_FIRST_MS = 250
"""Of a request that is not speculative, which follows once its result is shown."""
DEBOUNCE_MS = 100
"""Until the next try when a request is on its way; nothing is ever cancelled."""
MAX_CACHE_KEYS = 250
LOOK_BACK = 128
"""Characters behind the cursor at which a cached result may begin that was typed through since."""
SCROLLED_LINES = 3
SEED = 1
"""The plugin sends none; a fixed one makes runs comparable."""


@dataclass(frozen=True, slots=True)
class Context:
    """The text around the cursor, as it is sent."""

    prefix: str
    """Whole lines before the cursor's."""
    middle: str
    """The cursor's line up to it; empty on a line of white space."""
    suffix: str
    line_suffix: str
    indent: int

    @property
    def key(self) -> str:
        """By which the cache knows it."""
        return f"{self.prefix}{self.middle}\0{self.suffix}"

    @property
    def keys(self) -> list[str]:
        """That, and those of the same place when the window has scrolled on by up to three lines."""
        keys, prefix = [self.key], self.prefix
        for _ in range(SCROLLED_LINES):
            prefix = prefix.partition("\n")[2]
            if not prefix:
                break
            keys.append(f"{prefix}{self.middle}\0{self.suffix}")
        return keys


def local_context(
    lines: Sequence[str], x: int, y: int, previous: Sequence[str] = (), indent_last: int = -1
) -> Context:
    """The context at column ``x`` of line ``y``; as if ``previous``, the lines of a suggestion, had been accepted."""
    after = list(lines[y + 1 : y + 1 + N_SUFFIX])
    if previous:
        line = lines[y] + previous[0] if len(previous) == 1 else previous[-1]
        before = list(lines[max(0, y - N_PREFIX + len(previous) - 1) : y])
        if len(previous) > 1:
            before += [lines[y] + previous[0], *previous[1:-1]]
        middle, line_suffix, indent = line, "", indent_last
    else:
        line = lines[y]
        before = list(lines[max(0, y - N_PREFIX) : y])
        blank = not line.strip()
        middle, line_suffix = ("", "") if blank else (line[:x], line[x:])
        indent = 0 if blank else len(line) - len(line.lstrip())
    prefix = "\n".join(before) + "\n"
    suffix = line_suffix + "\n" + "\n".join(after) + "\n"
    return Context(prefix, middle, suffix, line_suffix, indent)


def request_body(context: Context, *, speculative: bool) -> dict[str, Any]:
    """The body of a request to ``/infill``. ``timings/cache_n`` and ``seed`` are added to what the plugin sends."""
    return {
        "id_slot": 0,
        "input_prefix": context.prefix,
        "input_suffix": context.suffix,
        "input_extra": [],
        "prompt": context.middle,
        "n_predict": N_PREDICT,
        "stop": [],
        "n_cmpl": 1,
        "n_indent": context.indent,
        "top_k": 40,
        "top_p": 0.90,
        "samplers": ["top_k", "top_p", "infill"],
        "seed": SEED,
        "stream": False,
        "cache_prompt": True,
        "t_max_prompt_ms": T_MAX_PROMPT_MS,
        "t_max_predict_ms": T_MAX_PREDICT_MS if speculative else T_MAX_PREDICT_FIRST_MS,
        "response_fields": [
            "content",
            "timings/prompt_n",
            "timings/prompt_ms",
            "timings/predicted_n",
            "timings/predicted_ms",
            "timings/cache_n",
            "truncated",
            "tokens_cached",
        ],
    }


class ResultCache:
    """Results by context, the least recently used ones forgotten."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, str] = OrderedDict()

    def put(self, keys: Sequence[str], content: str) -> None:
        """Keeps a result under all its keys."""
        for key in keys:
            if key not in self._entries and len(self._entries) >= MAX_CACHE_KEYS:
                self._entries.popitem(last=False)
            self._entries[key] = content
            self._entries.move_to_end(key)

    def has(self, context: Context) -> bool:
        """Whether a request for ``context`` would be pointless."""
        return any(self._get(key) is not None for key in context.keys)

    def find(self, context: Context) -> str | None:
        """A result for ``context``: its own, else the longest rest of one that was typed through."""
        own = self._get(context.key)
        if own is not None:
            return own
        text, best = context.prefix + context.middle, ""
        for count in range(1, min(LOOK_BACK, len(text) - 1) + 1):
            cached = self._get(f"{text[:-count]}\0{context.suffix}")
            if cached is not None and len(cached) > count and cached.startswith(text[-count:]):
                best = max(best, cached[count:], key=len)
        return best or None

    def _get(self, key: str) -> str | None:
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A result as it is put on screen."""

    lines: tuple[str, ...]
    """With the rest of the cursor's line at their end."""
    text: str
    """What would be inserted at the cursor."""
    can_accept: bool
    """False for white space only: then nothing is to be seen, and the next result may take its place."""


def render(content: str, lines: Sequence[str], x: int, y: int) -> Rendered:
    """What the plugin shows of a result at column ``x`` of line ``y``: nothing that repeats what stands there."""
    shown = content.split("\n")
    while shown and shown[-1] == "":
        shown.pop()
    can_accept = bool(shown)
    shown = shown or [""]
    line = lines[y]
    if not line.strip():
        lead = min(len(shown[0]) - len(shown[0].lstrip()), len(line))
        line, shown[0] = shown[0][:lead], shown[0][lead:]
    before, after = line[:x], line[x:]
    if _repeats(shown, before, after, lines, y):
        shown = [""]
    text = "\n".join(shown)
    shown[-1] += after
    can_accept = can_accept and not re.fullmatch(r"\s*", "\n".join(shown))
    return Rendered(tuple(shown), text, can_accept and bool(text.strip()))


def _repeats(shown: Sequence[str], before: str, after: str, lines: Sequence[str], y: int) -> bool:
    if len(shown) > 1 and shown[0] == "" and list(shown[1:]) == list(lines[y + 1 : y + len(shown)]):
        return True
    if len(shown) == 1 and shown[0] == after:
        return True
    compared = y + 1
    while compared < len(lines) - 1 and not lines[compared].strip():
        compared += 1
    below = list(lines[compared:])
    if not below or before + shown[0] != below[0]:
        return False
    if len(shown) == 1:
        return True
    if len(shown) == 2:
        return len(below) > 1 and below[1].startswith(shown[1])
    return list(shown[1:]) == below[1 : len(shown)]
