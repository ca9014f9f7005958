"""The page's words in each language. ``shape`` says what there must be, so that no language lacks any of it."""

from collections.abc import Mapping

from tailora.poc.texts import en, ja
from tailora.poc.texts.shape import Texts
from tailora.poc.texts.writing import Writing

__all__ = ["LANGUAGES", "Texts", "Writing"]

LANGUAGES: Mapping[str, tuple[Texts, Writing]] = {
    "en": (en.TEXTS, en.WRITING),
    "ja": (ja.TEXTS, ja.WRITING),
}
"""By the language's code."""
