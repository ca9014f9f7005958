"""Text to token ids and back, from a ``tokenizer.json`` alone, without transformers or torch.

Ordinary text never turns into control tokens: a source file that contains ``<|fim_middle|>`` is encoded as the
characters that it holds. Knows nothing of prompts.
"""

from pathlib import Path

from tokenizers import Tokenizer

from tailora_adapters.base.fim import FimFormat, detect
from tailora_adapters.errors import ModelCorrupt

__all__ = ["CodeTokenizer", "TextStream"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class CodeTokenizer:
    """A base model's tokenizer with its fill-in-the-middle format."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.encode_special_tokens = True
        self.fim: FimFormat = detect(self.token_id)
        self.stop_ids: frozenset[int] = frozenset(
            identifier for token in self.fim.stops if (identifier := self.token_id(token)) is not None
        )

    @classmethod
    def from_folder(cls, folder: Path) -> "CodeTokenizer":
        """Reads ``folder/tokenizer.json``.

        Raises:
            ModelCorrupt: the file is missing or unreadable.
        """
        path = folder / "tokenizer.json"
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except Exception as error:
            raise ModelCorrupt(f"{path} cannot be read ({error}): run `tailora model pull` again") from error

    def token_id(self, token: str) -> int | None:
        """The id of a token as the vocabulary writes it."""
        return self._tokenizer.token_to_id(token)

    @property
    def end_id(self) -> int:
        """The token that training puts after a middle."""
        for token in self.fim.stops:
            identifier = self.token_id(token)
            if identifier is not None:
                return identifier
        raise ModelCorrupt("the tokenizer has no end-of-text token that is known")

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, control tokens taken as plain characters."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """Text of ``ids``; control tokens are left out, incomplete characters become U+FFFD."""
        return self._tokenizer.decode(ids, skip_special_tokens=True)


class TextStream:
    """Decodes token by token; holds back bytes that do not yet make a whole character."""

    def __init__(self, tokenizer: CodeTokenizer) -> None:
        self._tokenizer = tokenizer
        self._pending: list[int] = []

    def push(self, token: int) -> str:
        """The text that ``token`` completes, possibly empty. A character takes at most four tokens."""
        self._pending.append(token)
        text = self._tokenizer.decode(self._pending)
        if text.endswith(_REPLACEMENT) and len(self._pending) < 4:
            return ""
        self._pending.clear()
        return text
