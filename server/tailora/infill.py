"""A hole in a file, filled by the engine with the project's adapter for a task, in one piece.

``Filler`` is all that the tasks know of a model; ``EngineFiller`` asks the user's engine. Knows nothing of what is
written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tailora_adapters.corpus.tasks import SUFFIX_TOKENS

if TYPE_CHECKING:
    from tailora.engine.client import EngineClient
    from tailora.options import DocstringOptions, GenerationOptions

__all__ = ["EngineFiller", "Filled", "Filler", "Limits"]

_PREFIX_CHARS, _SUFFIX_CHARS = 24_000, 8_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be written."""

    max_tokens: int
    seconds: float
    """For all that the model is asked."""

    @classmethod
    def of(cls, options: DocstringOptions | GenerationOptions) -> Limits:
        """As the settings have it."""
        return cls(options.max_tokens, options.deadline_ms / 1000)


@dataclass(frozen=True, slots=True)
class Filled:
    """What the model wrote."""

    text: str
    finished: bool
    """Whether it ended by itself, or by what the caller said; else it ran out of tokens."""


class Filler(Protocol):
    """A model that fills holes."""

    async def fill(
        self,
        prefix: str,
        suffix: str,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        ended: Callable[[str], bool] = lambda _text: False,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Filled:
        """New text between ``prefix`` and ``suffix``, greedy at temperature 0; nothing more is asked for once it
        ``ended``.

        Raises:
            EngineError: the model cannot be asked.
        """


class EngineFiller:
    """The engine, with the adapter that a project has for a task."""

    def __init__(
        self,
        client: EngineClient,
        project: Path | None,
        path: str | None,
        language: str,
        adapter: str,
    ) -> None:
        """``adapter``: see the engine's API; a task's name is the project's own for it, else what ``purposes`` says."""
        self._client = client
        self._own: dict[str, Any] = {
            "project": str(project) if project else None,
            "path": path,
            "language": language,
            "adapter": adapter,
            "suffix_tokens": SUFFIX_TOKENS,
        }

    async def fill(
        self,
        prefix: str,
        suffix: str,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        ended: Callable[[str], bool] = lambda _text: False,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Filled:
        """See ``Filler.fill``."""
        body = {
            "prompt": prefix[-_PREFIX_CHARS:],
            "suffix": suffix[:_SUFFIX_CHARS],
            "max_tokens": max_tokens,
            "stop": list(stop),
            "temperature": temperature,
            "top_p": 0.95,
            "seed": seed,
            "tailora": self._own,
        }
        text, reason = "", None
        async with contextlib.aclosing(self._client.complete(body)) as chunks:
            async for chunk in chunks:
                choice = chunk["choices"][0]
                text += choice["text"]
                reason = choice["finish_reason"] or reason
                if ended(text):
                    reason = "stop"
                    break
        return Filled(text, reason == "stop")
