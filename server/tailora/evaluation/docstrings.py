"""Docstrings against those that people wrote: chrF, BLEU-4, and whether they agree with the function.

chrF is that of Popović (2015), BLEU that of Papineni et al. (2002), both as sacrebleu computes them (Post 2018); white
space is not counted, as the layout follows from the style. Knows nothing of models.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tailora_adapters.errors import TailoraError

__all__ = ["corpus_score", "require_metrics", "score"]


def require_metrics() -> Any:
    """The module sacrebleu.

    Raises:
        TailoraError: it is not installed.
    """
    try:
        import sacrebleu
    except ImportError as error:
        raise TailoraError("sacrebleu is not installed: run `pip install tailora[eval]`") from error
    return sacrebleu


def score(written: str, reference: str) -> dict[str, float]:
    """``chrf`` and ``bleu4`` of one docstring, 0 to 100; BLEU's n-grams go as far as the text is long.

    Raises:
        TailoraError: sacrebleu is not installed.
    """
    sacrebleu = require_metrics()
    hypothesis, wanted = _words(written), [_words(reference)]
    return {
        "chrf": sacrebleu.sentence_chrf(hypothesis, wanted).score,
        "bleu4": sacrebleu.sentence_bleu(hypothesis, wanted).score,
    }


def corpus_score(written: Sequence[str], references: Sequence[str]) -> Mapping[str, float]:
    """``corpus_chrf`` and ``bleu4`` of all together, 0 to 100. Raises as ``score`` does."""
    sacrebleu = require_metrics()
    hypotheses, wanted = [_words(text) for text in written], [[_words(text) for text in references]]
    return {
        "corpus_chrf": sacrebleu.corpus_chrf(hypotheses, wanted).score,
        "bleu4": sacrebleu.corpus_bleu(hypotheses, wanted).score,
    }


def _words(text: str) -> str:
    return " ".join(text.split())
