"""What the repair asks of the model: new lines for a hole, and how likely it finds the lines that are there.

``Model`` is all that the pipeline knows of it; ``EngineModel`` asks the user's engine. Knows nothing of diagnostics or
tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tailora_adapters.repair.hole import Hole

if TYPE_CHECKING:
    from tailora.engine.client import EngineClient

__all__ = ["EngineModel", "Fill", "Model", "Score"]


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a token is in its place; see ``engine.generator.TokenScore``."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Fill:
    """What the model wrote into a hole."""

    text: str
    finished: bool
    """Whether it ended by itself."""


class Model(Protocol):
    """A model that fills holes and judges lines."""

    async def taught(self) -> bool:
        """Whether it was trained to repair: then it is shown what stood in the hole.

        Raises:
            EngineError: the model cannot be asked.
        """

    async def fill(
        self,
        hole: Hole,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Fill:
        """New lines for a hole, greedy at temperature 0.

        Raises:
            EngineError: the model cannot be asked.
        """

    async def judge(self, prefix: str, middle: str, suffix: str) -> tuple[Score, ...]:
        """The tokens of ``middle`` and its end, each with a few that would have been likelier.

        Raises:
            EngineError: the model cannot be asked.
        """


class EngineModel:
    """The engine, with the adapter that a project has for repair."""

    def __init__(
        self,
        client: EngineClient,
        project: Path | None,
        path: str | None = None,
        language: str | None = None,
        *,
        adapter: str = "repair",
        context: Sequence[tuple[str, str]] = (),
    ) -> None:
        """``adapter``: see the engine's API; ``repair`` is the project's own for it, else what serves."""
        self._client = client
        self._used = ""
        self._own: dict[str, Any] = {
            "project": str(project) if project else None,
            "path": path,
            "language": language,
            "adapter": adapter,
            "context": [{"path": name, "text": text} for name, text in context],
        }

    async def taught(self) -> bool:
        """See ``Model.taught``. An engine that was not asked yet reads what all questions begin with, and says so."""
        if not self._used:
            await self._ask({"prompt": "", "max_tokens": 0}, {})
        return self._used.startswith("repair")

    async def fill(
        self,
        hole: Hole,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Fill:
        """See ``Model.fill``."""
        body = {
            "prompt": hole.prefix,
            "suffix": hole.suffix,
            "max_tokens": max_tokens,
            "stop": list(stop),
            "temperature": temperature,
            "top_p": 0.95,
            "seed": seed,
        }
        text, reason, _ = await self._ask(body, {})
        return Fill(text, reason == "stop")

    async def judge(self, prefix: str, middle: str, suffix: str) -> tuple[Score, ...]:
        """See ``Model.judge``."""
        body = {"prompt": prefix, "suffix": suffix, "max_tokens": 1, "logprobs": 3}
        return (await self._ask(body, {"middle": middle}))[2]

    async def _ask(
        self, body: dict[str, Any], own: dict[str, Any]
    ) -> tuple[str, str | None, tuple[Score, ...]]:
        text: list[str] = []
        reason: str | None = None
        scores: tuple[Score, ...] = ()
        async for chunk in self._client.complete({**body, "tailora": {**self._own, **own}}):
            choice = chunk["choices"][0]
            text.append(choice["text"])
            reason = choice["finish_reason"] or reason
            self._used = chunk.get("tailora", {}).get("adapter", self._used)
            if (judged := choice.get("logprobs")) is not None:
                parts = zip(judged["tokens"], judged["token_logprobs"], judged["top_logprobs"], strict=True)
                scores = tuple(
                    Score(token, value, tuple((other, chance) for other, chance in top))
                    for token, value, top in parts
                )
        return "".join(text), reason, scores
