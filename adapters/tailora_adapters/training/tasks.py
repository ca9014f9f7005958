"""What a run for a task about functions trains on and is asked: see ``corpus.tasks``. Knows nothing of models."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus import generic
from tailora_adapters.corpus.examples import SpanMix
from tailora_adapters.corpus.learnable import Learnable
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.select import Rejection, SourceFile
from tailora_adapters.corpus.sequences import encode_all
from tailora_adapters.corpus.split import split
from tailora_adapters.corpus.tasks import Holes, draw, encode_task
from tailora_adapters.errors import TooLittleData
from tailora_adapters.training.data import DataSettings, RunData

__all__ = ["TASK_TRAINING", "TaskGather"]

TASK_TRAINING: Mapping[str, Any] = {
    "prompt_weight": 0.5,
    "end_times": 1,
    "max_epochs": 3.0,
    "batch_tokens": 512,
}
"""Fields of ``TrainSettings``. An example is half a page of prompt and a few lines that are asked for: these are what
is to be learned, and there are few of them."""


@dataclass(frozen=True, slots=True)
class TaskGather:
    """``training.data.gather`` for one task."""

    holes: Holes

    def __call__(
        self,
        found: Learnable,
        tokenizer: CodeTokenizer,
        settings: DataSettings,
        *,
        changed: Collection[str],
        trained: Collection[str],
        whole: bool,
        replay: Reservoir | None,
        unreadable: Callable[[Sequence[SourceFile]], Mapping[str, str]],
        seed: int,
    ) -> RunData:
        """Examples are drawn from the whole repository each time: ``replay`` has no part.

        Raises:
            TooLittleData: fewer examples than a run needs.
        """
        nothing = unreadable(found.selection.files)
        files = [file for file in found.selection.files if file.path not in nothing]
        parts = split(files, seed=seed, changed=changed, trained=trained)
        wanted = settings.examples if whole else settings.increment
        examples = draw(parts.train, self.holes, wanted, seed=seed, without=parts.held_out)
        if len(examples) < settings.min_examples:
            raise TooLittleData(len(examples), settings.min_examples)
        asked = draw(parts.held_out, self.holes, settings.held_out, seed=seed + 1)
        if len(asked) < settings.min_held_out:
            raise TooLittleData(len(asked), settings.min_held_out, "held-out examples")
        others = generic.replayed(round(settings.generic_share * len(examples)), seed=seed, mix=SpanMix())
        used = {example.path for example in examples}
        return RunData(
            training=encode_task(tokenizer, examples, seed=seed),
            anchors=encode_all(tokenizer, others, seed=seed, max_prompt=settings.max_prompt),
            held_out=encode_task(tokenizer, asked),
            newest=frozenset(),
            files=tuple(file for file in parts.train if file.path in used),
            shown=(),
            rejected=(
                *found.selection.rejected,
                *(Rejection(path, "unreadable to the model", why) for path, why in nothing.items()),
                *parts.dropped,
            ),
        )
