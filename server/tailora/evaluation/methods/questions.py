"""What every model of a comparison is asked. Knows nothing of how it was trained."""

from collections.abc import Mapping

from tailora.evaluation.methods.probes import exposure
from tailora.evaluation.methods.tasks import Material, Scored, Task
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate

__all__ = ["Questions"]

_AT_ONCE = 8_192
"""Tokens of the questions that are asked at once."""


class Questions:
    """What every model is asked; prompts are read through the lower half once for all that share it."""

    def __init__(self, task: Task, material: Material, tokenizer: CodeTokenizer) -> None:
        self.task = task
        self.material = material
        self._tokenizer = tokenizer
        self._prompts: dict[str, Prompts] = {}

    def validate(self, decoder: Decoder) -> float:
        """The validation part's loss, nats a token."""
        return self._ask(decoder, "validation", write=False).nll

    def test(self, decoder: Decoder, *, bare: bool = False) -> Scores:
        """The test part's answers."""
        return self._ask(decoder, "bare" if bare else "test", write=True)

    def more(self, scores: Scores) -> Scored:
        """The task's own metrics of the test part's answers, question by question."""
        return self.task.score(self.material, scores.answers)

    def totals(self, scores: Scores) -> Mapping[str, float]:
        """The task's own metrics of all of the test part's answers together."""
        return self.task.total(self.material, scores.answers)

    def generic(self, decoder: Decoder) -> float | None:
        """Loss on generic code; None where this machine has none."""
        return self._ask(decoder, "generic", write=False).nll if self.material.generic else None

    def anew(self) -> "Questions":
        """The same for models with another lower half."""
        return Questions(self.task, self.material, self._tokenizer)

    def exposure(self, decoder: Decoder) -> float:
        """Of the planted canary, bits."""
        return round(exposure(self._ask(decoder, "canaries", write=False).nll_sums), 4)

    def _ask(self, decoder: Decoder, part: str, *, write: bool) -> Scores:
        if part not in self._prompts:
            self._prompts[part] = Prompts(getattr(self.material, part), _AT_ONCE)
        return evaluate(
            decoder,
            self._prompts[part],
            write=self._tokenizer.decode if write else None,
            end=self._tokenizer.end_id,
            most=self.task.most,
        )
