"""From a repository to the sequences of one training run: selected, split, cut into holes, tokenized.

Knows nothing of models. What is held out is never trained on, nor anything nearly like it.
"""

import random
import sysconfig
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.context import neighbour_snippets
from tailora_adapters.corpus.examples import make_examples
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.select import Rejection, SourceFile, select_files
from tailora_adapters.corpus.sequences import TokenSequence, encode_all
from tailora_adapters.corpus.split import split
from tailora_adapters.errors import TooLittleData

__all__ = ["DataSettings", "RunData", "gather", "generic_sequences"]

_GENERIC_FILES = (
    "textwrap.py",
    "heapq.py",
    "shlex.py",
    "fractions.py",
    "calendar.py",
    "sched.py",
    "statistics.py",
)
"""Of Python's standard library: on every machine, and in no foundation adapter's training data."""


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Sizes of a run."""

    examples: int = 320
    held_out: int = 64
    generic: int = 16
    min_examples: int = 48
    min_held_out: int = 12
    max_prompt: int = 320
    replay_files: int = 200
    """Files that were learned before and are drawn again, the recent ones more often."""
    changed_share: float = 0.5
    """Of the examples, from the files that changed since the last run, where there are any; the rest is replay."""


@dataclass(frozen=True, slots=True)
class RunData:
    """What one run trains on and is judged by."""

    training: list[TokenSequence]
    held_out: list[TokenSequence]
    files: tuple[SourceFile, ...]
    """That training examples came from."""
    rejected: tuple[Rejection, ...]


def gather(
    root: Path,
    tokenizer: CodeTokenizer,
    settings: DataSettings,
    *,
    changed: Collection[str] = (),
    trained: Collection[str] = (),
    forgotten: Collection[str] = (),
    replay: Reservoir | None = None,
    seed: int,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> RunData:
    """Reads a repository.

    ``changed`` files come first; of the rest, those that ``replay`` draws and those that it has never seen.
    ``trained`` files, which an earlier version learned, are never held out; ``forgotten`` ones are left out.

    Raises:
        CorpusError: ``root`` is missing or unreadable.
        TooLittleData: fewer examples than a run needs.
    """
    selection = select_files(root, forgotten=forgotten, progress=progress)
    parts = split(selection.files, seed=seed, changed=changed, trained=trained)
    newer = [file for file in parts.train if file.path in set(changed)]
    older = [file for file in parts.train if file.path not in set(changed)]
    if replay is not None:
        replay.retain({file.path: file.sha256 for file in selection.files})
        drawn = set(replay.sample(settings.replay_files, changed, time.time()))
        older = [file for file in older if file.path in drawn or file.path not in replay]
    from_newer = round(settings.examples * settings.changed_share) if newer and older else settings.examples
    examples = make_examples(newer, from_newer, seed=seed)
    examples += make_examples(older, settings.examples - len(examples), seed=seed)
    random.Random(seed).shuffle(examples)
    held_out_examples = make_examples(parts.held_out, settings.held_out, seed=seed + 1)
    if len(examples) < settings.min_examples:
        raise TooLittleData(len(examples), settings.min_examples)
    if len(held_out_examples) < settings.min_held_out:
        raise TooLittleData(len(held_out_examples), settings.min_held_out, "held-out examples")
    context = neighbour_snippets(selection.files, seed=seed)
    # A snippet must not show what is held out: training prompts draw on training files only.
    train_context = neighbour_snippets(parts.train, seed=seed)
    used = {example.path for example in examples}
    return RunData(
        training=encode_all(
            tokenizer,
            examples,
            seed=seed,
            max_prompt=settings.max_prompt,
            context=train_context,
            context_share=0.35,
        ),
        held_out=encode_all(
            tokenizer,
            held_out_examples,
            seed=seed + 1,
            max_prompt=settings.max_prompt,
            context=context,
            context_share=0.35,
        ),
        files=tuple(file for file in parts.train if file.path in used),
        rejected=selection.rejected + parts.dropped,
    )


def generic_sequences(tokenizer: CodeTokenizer, settings: DataSettings) -> list[TokenSequence]:
    """Holes in generic code, the same in every run; empty where Python's library has no sources."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    sources = []
    for name in _GENERIC_FILES:
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        sources.append(SourceFile(path=name, language="python", text=text, sha256="", mtime=0.0))
    examples = make_examples(sources, settings.generic, seed=0)
    return encode_all(tokenizer, examples, seed=0, max_prompt=settings.max_prompt)
