"""What the gate asks of a model: held-out holes, generic code, and what must not come out.

The same questions go to the candidate, to the base and to what serves; what one of them has been asked before, in this
run or an earlier one, it is not asked again. Knows nothing of adapters or of deciding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate
from tailora_adapters.training.remembered import HoleScore, ScoreMemory

__all__ = ["Exam", "Results"]


@dataclass(frozen=True, slots=True)
class Results:
    """One model's answers."""

    held_out: Scores
    """With ``answers`` only where everything was asked anew."""
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
        memory: ScoreMemory | None = None,
    ) -> None:
        self.held_out = held_out
        self._probes = probes
        self._generic = generic
        self._tokenizer = tokenizer
        self._memory = memory or ScoreMemory(None)
        self._prompts: dict[tuple[int, ...], Prompts] = {}

    def take(
        self,
        decoder: Decoder,
        progress: Callable[[float], None] = lambda _: None,
        *,
        adapter: str | None = None,
        generic: Scores | None = None,
    ) -> Results:
        """Asks a model everything, or what ``adapter``, which names it, was not asked before.

        ``generic``: what ``generic`` gave for it already.
        """
        held_out = self._ask(decoder, self.held_out, adapter, lambda done: progress(0.8 * done), write=True)
        probes = self._ask(decoder, self._probes, None)
        if generic is None and self._generic:
            generic = self._ask(decoder, self._generic, adapter)
        progress(1.0)
        return Results(held_out, probes, generic)

    def sample(self, decoder: Decoder) -> float:
        """Mean loss of a third of the held-out middles, nats a token."""
        return evaluate(decoder, self._of(self.held_out), every=3).nll

    def generic(
        self,
        decoder: Decoder,
        adapter: str | None = None,
        memory: ScoreMemory | None = None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Scores | None:
        """Answers on generic code, where this machine has any; with ``adapter``, only what ``memory`` does not know."""
        return self._ask(decoder, self._generic, adapter, progress, memory=memory) if self._generic else None

    def learn(self, adapter: str, results: Results) -> None:
        """Notes what a model answered under a name that it was given afterwards."""
        _note(self._memory, adapter, self.held_out, results.held_out)
        if results.generic is not None:
            _note(self._memory, adapter, self._generic, results.generic)

    def again(self) -> "Exam":
        """The same questions for models with another lower half."""
        return Exam(self._tokenizer, self.held_out, self._probes, self._generic)

    def shown(self) -> list[str]:
        """What stands in each held-out hole's prompt, as text."""
        return [sequence.example.prefix + sequence.example.suffix for sequence in self.held_out]

    def middles(self) -> list[str]:
        """What is right in each held-out hole."""
        return [sequence.example.middle for sequence in self.held_out]

    def _ask(
        self,
        decoder: Decoder,
        sequences: Sequence[TokenSequence],
        adapter: str | None,
        progress: Callable[[float], None] = lambda _: None,
        *,
        write: bool = False,
        memory: ScoreMemory | None = None,
    ) -> Scores:
        memory = memory or self._memory
        known = [memory.get(adapter, sequence) if adapter else None for sequence in sequences]
        missing = [place for place, score in enumerate(known) if score is None]
        asked = evaluate(
            decoder,
            self._of([sequences[place] for place in missing]),
            write=self._tokenizer.decode if write else None,
            end=self._tokenizer.end_id,
            progress=progress,
        )
        if len(missing) == len(sequences):
            if adapter:
                _note(memory, adapter, sequences, asked)
            return asked
        fresh = dict(zip(missing, _rows(asked), strict=True))
        if adapter:
            memory.put(adapter, ((sequences[place], score) for place, score in fresh.items()))
        rows = [known[place] or fresh[place] for place in range(len(sequences))]
        return Scores(
            tuple(row.nll_sum for row in rows),
            tuple(row.tokens for row in rows),
            tuple(row.exact for row in rows),
            tuple(row.stops for row in rows),
            tuple(row.similarity or 0.0 for row in rows) if write else (),
        )

    def _of(self, sequences: Sequence[TokenSequence]) -> Prompts:
        key = tuple(map(id, sequences))
        return self._prompts.setdefault(key, Prompts(sequences))


def _note(memory: ScoreMemory, adapter: str, sequences: Sequence[TokenSequence], scores: Scores) -> None:
    memory.put(adapter, zip(sequences, _rows(scores), strict=True))


def _rows(scores: Scores) -> list[HoleScore]:
    similarity: Sequence[float | None] = scores.similarity or [None] * len(scores.exact)
    return [
        HoleScore(*row)
        for row in zip(scores.nll_sums, scores.tokens, scores.exact, scores.stops, similarity, strict=True)
    ]
