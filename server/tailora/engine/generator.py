"""What the engine asks of whatever generates text: one protocol, so that scheduling never sees a model.

Everything here is called on the engine's generation thread only, except ``Generator.info``. Knows nothing of HTTP,
projects or documents' meaning; a request says which adapter folder to use and gets tokens.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = [
    "AdapterRef",
    "GenerationRequest",
    "GenerationStats",
    "GenerationStep",
    "Generator",
    "Snippet",
    "TokenScore",
]


@dataclass(frozen=True, slots=True)
class AdapterRef:
    """An adapter version on disk. ``key`` changes whenever the weights do: KV states are keyed by it."""

    label: str
    """What to tell a user: a version, or ``foundation``."""
    path: Path
    """Folder with ``adapter_config.json`` and ``adapter_model.safetensors``."""
    key: str
    """Hash of the weights."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of another file that helps to complete this one."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One completion. Greedy when ``temperature`` is 0. With ``max_tokens`` 0 the prompt is only read, so that a
    request that begins like it is answered sooner."""

    prefix: str
    suffix: str = ""
    context: tuple[Snippet, ...] = ()
    path: str | None = None
    language: str | None = None
    document: str | None = None
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    adapter: AdapterRef | None = None
    speculation: bool = True
    """Whether tokens may be guessed and then checked; what is written stays the same."""
    reuse: bool = True
    """Whether what earlier requests read may be used. Only measurements want False."""
    scores: int | None = None
    """Judge each token, and name that many tokens that would have been likelier or next to it; None: do not."""
    suffix_tokens: int | None = None
    """Most tokens that are read of ``suffix``; None: as many as are usual."""
    middle: str | None = None
    """What already stands in the hole: it is judged instead of anything being written."""


@dataclass(frozen=True, slots=True)
class TokenScore:
    """How likely the model found a token in its place."""

    text: str
    """Empty for the end of the middle, and where a character is not complete yet."""
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens there and theirs, best first."""


@dataclass(slots=True)
class GenerationStats:
    """Filled in while a request runs."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    first_token_ms: float = 0.0
    """From the start of the generation to the first token."""
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    scores: list[TokenScore] = field(default_factory=list)
    """Of the tokens so far, where the request asked for them; the last one of a judged middle is its end."""


@dataclass(frozen=True, slots=True)
class GenerationStep:
    """New text (possibly empty while a character is incomplete) and, on the last step, why it ended."""

    text: str
    finish_reason: str | None = None
    stats: GenerationStats = field(default_factory=GenerationStats)


class Generator(Protocol):
    """A model that can be loaded, asked and unloaded."""

    def load(self, progress: Callable[[float, str], None]) -> None:
        """Loads the weights.

        Raises:
            ModelMissing, ModelCorrupt, ModelError: nothing is loaded then.
        """

    def unload(self) -> None:
        """Gives the memory back. Idempotent."""

    @property
    def loaded(self) -> bool:
        """Whether ``generate`` can run."""

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Iterator[GenerationStep]:
        """Yields steps until one has a ``finish_reason`` (``stop`` or ``length``).

        ``cancelled`` is polled between prefill chunks and before every token; when it returns true the iterator
        ends without a ``finish_reason``.

        Raises:
            PromptTooLong: the prompt cannot be cut to fit.
            AdapterCorrupt: the adapter cannot be read; the caller decides what to use instead.
        """

    def info(self) -> dict[str, object]:
        """``name``, ``quantization``, ``device``, ``fim`` (whether the model fills holes), ``note`` (why it is slower
        than it could be, or None). Any thread."""
