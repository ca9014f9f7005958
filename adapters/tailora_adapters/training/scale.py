"""How far to go from the start to what was trained: the scale of an adapter.

The scale of the least held-out loss among those that forget no more than the gate allows; where all forget more, the
one that forgets least. Interpolating between a start and what was trained from it: Wortsman et al., arXiv 2109.01903.
Knows nothing of adapters or files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.evaluate import Scores
from tailora_adapters.training.exam import Exam

__all__ = ["Choice", "choose"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A scale, and what is known of the model at it."""

    scale: float
    generic: Scores | None = None
    """Its answers on generic code, where it was asked."""


def choose(
    exam: Exam,
    decoder: Decoder,
    put: Callable[[float], None],
    scales: Sequence[float],
    *,
    base: Scores | None,
    margin: float,
    progress: Callable[[float], None] = lambda _: None,
) -> Choice:
    """The best scale; the model is left with it.

    Args:
        put: Gives the model a scale, as it would be saved with it.
        scales: The largest first. A single one is taken unasked.
        base: The base's answers on generic code.
        margin: Loss on generic code that may be lost, as a share of the base's.
    """
    found: list[tuple[float, float, Choice]] = []  # excess of what is forgotten, held-out loss
    for number, scale in enumerate(scales if len(scales) > 1 else ()):
        put(scale)
        excess, generic = 0.0, None
        if base is not None and not (found and found[-1][0] == 0.0):
            # A scale below one that forgets too little to matter forgets less; if not, the gate finds it.
            generic = exam.generic(decoder)
            excess = max(0.0, generic.nll / base.nll - 1 - margin) if generic is not None else 0.0
        found.append((excess, exam.sample(decoder), Choice(scale, generic)))
        progress((number + 1) / len(scales))
    choice = min(found, key=lambda entry: entry[:2])[2] if found else Choice(scales[0])
    put(choice.scale)
    return choice
