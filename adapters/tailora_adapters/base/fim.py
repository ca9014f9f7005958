"""Fill-in-the-middle formats as data, chosen by the special tokens that a tokenizer really has.

A format is a template: special tokens as they are written, and the places of prefix and suffix. Knows nothing
of token budgets, context or models. A tokenizer that fits no format gets ``PREFIX_ONLY``: the suffix is then
ignored, and the engine's status says so.

Sources: Qwen2.5-Coder technical report (arXiv 2409.12186), StarCoder2 (2402.19173), Code Llama (2308.12950),
DeepSeek-Coder (2401.14196), mistral-common's ``encode_fim`` for Codestral.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FORMATS", "PREFIX", "PREFIX_ONLY", "SUFFIX", "FimFormat", "detect"]

PREFIX = "{prefix}"
SUFFIX = "{suffix}"


@dataclass(frozen=True, slots=True)
class FimFormat:
    """How a model family wants a hole to be presented."""

    name: str
    template: tuple[str, ...]
    """Special tokens, and ``PREFIX`` and ``SUFFIX`` where the text goes; what follows is the middle."""
    stops: tuple[str, ...]
    """Tokens that end a middle. Those that the tokenizer lacks are ignored."""
    file_separator: str | None = None
    """Token that opens another file of the repository: its path, a newline and its text follow."""

    @property
    def fills_holes(self) -> bool:
        """Whether the text after the cursor is used."""
        return SUFFIX in self.template

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The tokens without which the format cannot be used."""
        return tuple(part for part in self.template if part not in (PREFIX, SUFFIX))

    @property
    def end(self) -> str:
        """The token that training puts after a middle."""
        return self.stops[0]


FORMATS: tuple[FimFormat, ...] = (
    FimFormat(
        "qwen2.5-coder",
        ("<|fim_prefix|>", PREFIX, "<|fim_suffix|>", SUFFIX, "<|fim_middle|>"),
        (
            "<|endoftext|>",
            "<|im_end|>",
            "<|fim_pad|>",
            "<|file_sep|>",
            "<|repo_name|>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<|im_start|>",
        ),
        file_separator="<|file_sep|>",
    ),
    FimFormat(
        "starcoder2",
        ("<fim_prefix>", PREFIX, "<fim_suffix>", SUFFIX, "<fim_middle>"),
        ("<|endoftext|>", "<file_sep>", "<fim_pad>", "<fim_prefix>"),
        file_separator="<file_sep>",
    ),
    FimFormat(
        "code-llama",
        ("<s>", "▁<PRE>", PREFIX, "▁<SUF>", SUFFIX, "▁<MID>"),
        ("▁<EOT>", "</s>"),
    ),
    FimFormat(
        "deepseek-coder",
        ("<｜begin▁of▁sentence｜>", "<｜fim▁begin｜>", PREFIX, "<｜fim▁hole｜>", SUFFIX, "<｜fim▁end｜>"),
        ("<｜end▁of▁sentence｜>", "<|EOT|>"),
    ),
    FimFormat(
        "codestral",
        ("<s>", "[SUFFIX]", SUFFIX, "[PREFIX]", PREFIX),
        ("</s>",),
    ),
)

_ENDS = (
    "<|endoftext|>",
    "</s>",
    "<|end_of_text|>",
    "<｜end▁of▁sentence｜>",
    "<eos>",
    "<|im_end|>",
    "<|eot_id|>",
)

PREFIX_ONLY = FimFormat("prefix-only", (PREFIX,), _ENDS)
"""For models without fill-in-the-middle tokens."""


def detect(token_id: Callable[[str], int | None]) -> FimFormat:
    """The first format all of whose tokens are in the vocabulary, else ``PREFIX_ONLY``.

    ``token_id`` returns a token's id, or None where the vocabulary lacks it.
    """
    for fmt in FORMATS:
        if all(token_id(token) is not None for token in fmt.special_tokens):
            return fmt
    return PREFIX_ONLY
