"""``tailora bench training``: how long Tailora trains until it is as good as plain fine-tuning, over that one's time.

The plain way and ours get the same tokens, the same start and the same machine, one at a time, in a process each. What
counts is the loss on held-out holes against the seconds of training. Knows nothing of how either side trains, nor of
how figures are shown.
"""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tailora.bench.home import bench_home, require_model
from tailora.bench.host import describe_host
from tailora.bench.training_figures import Round, summarise_training, target_of
from tailora.bench.training_job import Job, Trained
from tailora.demo.repository import DEFAULT_PACKAGE, copy_package
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.errors import TailoraError
from tailora_adapters.methods import LoraSettings
from tailora_adapters.training.data import RunData, gather
from tailora_adapters.training.run import RunSettings

__all__ = ["Plan", "measure"]

Progress = Callable[[float, str], None]

_HORIZON = 0.5
"""Share of the plain way's time that ours has, so that its learning rate falls within what the comparison is about."""
_QUICK_EXAMPLES, _QUICK_HELD_OUT = 24, 16
_LIBRARIES = ("transformers", "peft", "accelerate")
_LAST_WORDS = 20
_PARTS = {"plain": 0.7, "ours": 0.3}
"""Of a round's time, about; for the bar."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    model: str
    examples: int = 160
    rounds: int = 1
    seed: int = 1
    package: str = DEFAULT_PACKAGE
    """Whose source is learned."""
    plain_learning_rate: float | None = None
    """None: the same as ours."""
    plain_measurements: int = 4
    our_measurements: int = 8
    """Of the held-out loss along a run."""
    settings: RunSettings = RunSettings()

    def quickly(self) -> "Plan":
        """In minutes: whether everything works, not how fast it is."""
        data = replace(self.settings.data, held_out=_QUICK_HELD_OUT)
        return replace(
            self,
            examples=min(self.examples, _QUICK_EXAMPLES),
            rounds=1,
            plain_measurements=2,
            our_measurements=4,
            settings=replace(self.settings, data=data),
        )


def measure(plan: Plan, progress: Progress, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Trains both ways and returns the figures; ``docs/benchmarks.md`` says what each means.

    Args:
        say: Told what is about to happen, once.

    Raises:
        TailoraError: something is missing, or a side failed; says what.
    """
    require_model(plan.model)
    with bench_home(plan.model) as folder:
        data = _data(plan, folder)
        say(
            f"{len(data.training)} examples of {plan.package}, {_tokens(data)} tokens; {len(data.held_out)} held out;"
            f" {plan.rounds} times plainly and in our way, which takes about half as long"
        )
        rounds = list(_rounds(plan, data, folder, progress))
    return _value(plan, data, rounds)


def _data(plan: Plan, folder: Path) -> RunData:
    """What a run of the product would learn, and its held-out holes."""
    model, _ = cache.open_record(catalogue.find(plan.model))
    wanted = plan.settings.data
    sizes = replace(wanted, examples=plan.examples, min_examples=min(wanted.min_examples, plan.examples))
    found = read_learnable(copy_package(plan.package, folder))
    return gather(found, CodeTokenizer.from_folder(model), sizes, seed=plan.seed)


def _rounds(plan: Plan, data: RunData, folder: Path, progress: Progress) -> Iterator[Round]:
    """The plain way goes first in every other round; how long ours may take is known from its last run."""
    done: dict[str, Trained] = {}
    for number in range(plan.rounds):
        order = ("plain", "ours") if number % 2 == 0 else ("ours", "plain")
        share = 0.0
        for side in order:
            horizon = math.inf
            if side == "ours":
                target = target_of(done["plain"])
                horizon = _HORIZON * (target or done["plain"]).seconds
            part = _Part(progress, f"round {number + 1}: {side}", number + share, _PARTS[side], plan.rounds)
            done[side] = _train(side, _job(plan, data, side, horizon), folder, part)
            share += _PARTS[side]
        yield Round(order, done["plain"], done["ours"])


@dataclass(frozen=True, slots=True)
class _Part:
    """One side's part of the bar, in rounds."""

    progress: Progress
    name: str
    before: float
    size: float
    rounds: int

    def __call__(self, fraction: float, message: str) -> None:
        self.progress((self.before + self.size * fraction) / self.rounds, f"{self.name}, {message}")


def _job(plan: Plan, data: RunData, side: str, horizon: float) -> Job:
    train = replace(plan.settings.train, max_seconds=horizon)
    rate = plan.plain_learning_rate if side == "plain" else None
    return Job(
        model=plan.model,
        train=asdict(train),
        lora=(plan.settings.shape or LoraSettings()).as_dict(),
        lower_share=plan.settings.lower_share,
        learning_rate=rate or train.learning_rate,
        measurements=plan.plain_measurements if side == "plain" else plan.our_measurements,
        seed=plan.seed,
        training=tuple(data.training),
        held_out=tuple(data.held_out),
    )


def _train(side: str, job: Job, folder: Path, progress: Progress) -> Trained:
    """One side in its process.

    Raises:
        TailoraError: it failed; with the last of what it said.
    """
    progress(0.0, "loading")
    listing, words, scratch = folder / "job.json", folder / "words.txt", folder / side
    job.write(listing)
    command = (sys.executable, "-P", "-m", "tailora.bench.training_side", side, str(listing), str(scratch))
    done: dict[str, Any] | None = None
    with (
        words.open("w+", encoding="utf-8", errors="replace") as stderr,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "done":
                    done = event["trained"]
                else:
                    progress(event["fraction"], event["message"])
        except BaseException:
            process.kill()
            raise
    if done is None:
        last = words.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_WORDS:]
        said = "\n".join([f"training {side} ended with code {process.returncode}:", *last])
        raise TailoraError(said)
    return Trained.from_dict(done)


def _value(plan: Plan, data: RunData, rounds: Sequence[Round]) -> dict[str, Any]:
    rate = plan.settings.train.learning_rate
    return {
        **summarise_training(rounds),
        "data": {
            "package": plan.package,
            "examples": len(data.training),
            "tokens": _tokens(data),
            "held_out": len(data.held_out),
            "held_out_tokens": sum(sequence.labels - 1 for sequence in data.held_out),
        },
        "settings": {
            "rounds": plan.rounds,
            "seed": plan.seed,
            "learning_rate": rate,
            "plain_learning_rate": plan.plain_learning_rate or rate,
            "lower_share": plan.settings.lower_share,
            "horizon": _HORIZON,
            "training_threads": rounds[0].ours.threads,
            "plain_training_threads": rounds[0].plain.threads,
        },
        "machine": describe_host(plan.model) | {name: version(name) for name in _LIBRARIES},
    }


def _tokens(data: RunData) -> int:
    """Positions of one epoch."""
    return sum(len(sequence.ids) - 1 for sequence in data.training)
