"""What the gate asks of a model: held-out holes, generic code, and what must not come out.

The same questions go to the candidate, to the base and to what serves. Knows nothing of adapters or of deciding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate

__all__ = ["Exam", "Results"]


@dataclass(frozen=True, slots=True)
class Results:
    """One model's answers."""

    held_out: Scores
    probes: Scores
    """Secrets first, the canary last."""
    generic: Scores | None
    """None where this machine has no generic code."""


class Exam:
    """The questions; prompts are read through the lower half once for all models that share it."""

    def __init__(
        self,
        tokenizer: CodeTokenizer,
        held_out: Sequence[TokenSequence],
        probes: Sequence[TokenSequence],
        generic: Sequence[TokenSequence],
    ) -> None:
        self.held_out = held_out
        self._tokenizer = tokenizer
        self._held_out = Prompts(held_out)
        self._probes = Prompts(probes)
        self._generic = Prompts(generic)

    def take(self, decoder: Decoder, progress: Callable[[float], None] = lambda _: None) -> Results:
        """Asks a model everything."""
        held_out = evaluate(
            decoder,
            self._held_out,
            write=self._tokenizer.decode,
            end=self._tokenizer.end_id,
            progress=lambda done: progress(0.8 * done),
        )
        probes = evaluate(decoder, self._probes)
        generic = evaluate(decoder, self._generic) if self._generic.sequences else None
        progress(1.0)
        return Results(held_out, probes, generic)

    def quick(self, decoder: Decoder) -> float:
        """The mean loss of the held-out middles alone, nats a token."""
        return evaluate(decoder, self._held_out).nll

    def again(self) -> "Exam":
        """The same questions for models with another lower half."""
        return Exam(self._tokenizer, self.held_out, self._probes.sequences, self._generic.sequences)

    def shown(self) -> list[str]:
        """What stands in each held-out hole's prompt, as text."""
        return [sequence.example.prefix + sequence.example.suffix for sequence in self.held_out]

    def wanted(self) -> list[str]:
        """What stands in each held-out hole."""
        return [sequence.example.middle for sequence in self.held_out]
