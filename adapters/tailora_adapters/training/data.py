"""From a repository to the sequences of one training run: selected, split, cut into holes, tokenized.

Knows nothing of models. What is held out, whole files and some of the newest edits, is never trained on, nor any file
nearly like it.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus import generic
from tailora_adapters.corpus.chance import luck
from tailora_adapters.corpus.context import neighbour_snippets
from tailora_adapters.corpus.examples import FimExample, LineWeights, SpanMix, make_examples
from tailora_adapters.corpus.held_edits import HeldEdits, hold_out_edits
from tailora_adapters.corpus.history import Edit
from tailora_adapters.corpus.learnable import Learnable
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.select import Rejection, SourceFile
from tailora_adapters.corpus.sequences import TokenSequence, encode_all
from tailora_adapters.corpus.split import split
from tailora_adapters.errors import TooLittleData

__all__ = ["MIX", "DataSettings", "RunData", "gather", "generic_sequences"]

MIX = SpanMix(open_ended=0.04)
"""Of the spans that are trained on."""
_RECENT_WEIGHT = 3.0
"""How much more often holes begin at a line that was written just now."""
_LINES_PER_QUESTION = 3
"""At least, in held-out files."""
_DAY_S = 24 * 3600.0
_HALF_LIFE_S = 14 * _DAY_S


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Sizes of a run."""

    examples: int = 256
    """Of a run over the whole repository."""
    increment: int = 64
    """Of a run that goes on from what serves, because some files changed."""
    held_out: int = 48
    generic: int = 24
    min_examples: int = 48
    min_held_out: int = 12
    max_prompt: int = 448
    context_share: float = 0.35
    """Of the examples, with snippets of neighbouring files before them."""
    replay_files: int = 200
    """Files that were learned before and are drawn again, the recent ones more often."""
    changed_share: float = 0.5
    """Of the examples, from the files that changed since the last run, where there are any; the rest is replay."""
    generic_share: float = 0.2
    """So much generic code beside the examples."""


@dataclass(frozen=True, slots=True)
class RunData:
    """What one run trains on and is judged by."""

    training: list[TokenSequence]
    anchors: list[TokenSequence]
    """Generic code, of which the model's answers are to stay as they are."""
    held_out: list[TokenSequence]
    newest: frozenset[int]
    """Places in ``held_out`` of the holes in newest edits and in changed files: up to half of all where there are
    others, as what is written next resembles them."""
    files: tuple[SourceFile, ...]
    """That training examples came from."""
    shown: tuple[SourceFile, ...]
    """Seen in prompts only, as snippets of neighbouring files."""
    rejected: tuple[Rejection, ...]


def gather(
    found: Learnable,
    tokenizer: CodeTokenizer,
    settings: DataSettings,
    *,
    changed: Collection[str] = (),
    trained: Collection[str] = (),
    whole: bool = True,
    replay: Reservoir | None = None,
    unreadable: Callable[[Sequence[SourceFile]], Mapping[str, str]] = lambda _files: {},
    seed: int,
) -> RunData:
    """What to train on.

    ``changed`` files come first; of the rest, those that ``replay`` draws and those that it has never seen.
    ``trained`` files, which an earlier version learned, are never held out. ``whole``: a run over the whole repository.

    Args:
        unreadable: Says of which files a model makes nothing, and why, by path.

    Raises:
        TooLittleData: fewer examples than a run needs.
    """
    nothing = unreadable(found.selection.files)
    files = [file for file in found.selection.files if file.path not in nothing]
    rejected = tuple(Rejection(path, "unreadable to the model", why) for path, why in nothing.items())
    parts = split(files, seed=seed, changed=changed, trained=trained)
    held = hold_out_edits(parts.train, found.history.edits, seed=seed)
    newer, older = _apart(held.train, changed)
    if replay is not None:
        replay.retain({file.path: file.sha256 for file in files})
        drawn = set(replay.sample(settings.replay_files, changed, _today()))
        older = [file for file in older if file.path in drawn or file.path not in replay]
    wanted = settings.examples if whole else settings.increment
    weights = _recency(held, found.history.edits)
    from_newer = round(wanted * settings.changed_share) if newer and older else wanted
    examples = make_examples(newer, from_newer, seed=seed, mix=MIX, max_per_file=wanted, weights=weights)
    examples += make_examples(
        older, wanted - len(examples), seed=seed, mix=MIX, max_per_file=wanted, weights=weights
    )
    if len(examples) < settings.min_examples:
        raise TooLittleData(len(examples), settings.min_examples)
    newest = _held_edits(parts.train, held, settings.held_out // 2, seed)
    asked_newer, asked_older = _apart(parts.held_out, changed)
    left = settings.held_out - len(newest)
    in_newer = _questions(asked_newer, left, seed + 1)
    by_files = _questions(
        asked_older, left - min(len(in_newer), settings.held_out // 2 - len(newest)), seed + 1
    )
    newest += in_newer[: left - len(by_files)]
    if len(newest) + len(by_files) < settings.min_held_out:
        raise TooLittleData(len(newest) + len(by_files), settings.min_held_out, "held-out examples")
    # A snippet must not show what is held out: training prompts draw on what is trained on only.
    context = neighbour_snippets(held.train, seed=seed)
    training = encode_all(
        tokenizer,
        examples,
        seed=seed,
        max_prompt=settings.max_prompt,
        context=context,
        context_share=settings.context_share,
    )
    others = generic.replayed(round(settings.generic_share * len(training)), seed=seed, mix=MIX)
    anchors = encode_all(tokenizer, others, seed=seed, max_prompt=settings.max_prompt)
    used = {example.path for example in examples}
    near = {path for used_path in used for path, _ in context.get(used_path, ())} - used
    return RunData(
        training=training,
        anchors=anchors,
        held_out=encode_all(
            tokenizer,
            [*newest, *by_files],
            seed=seed + 1,
            max_prompt=settings.max_prompt,
            context=neighbour_snippets(files, seed=seed, pool=held.train),
            context_share=settings.context_share,
        ),
        newest=frozenset(range(len(newest))),
        files=tuple(file for file in parts.train if file.path in used),
        shown=tuple(file for file in parts.train if file.path in near),
        rejected=found.selection.rejected + rejected + parts.dropped,
    )


def _apart(
    files: Sequence[SourceFile], changed: Collection[str]
) -> tuple[list[SourceFile], list[SourceFile]]:
    """The changed ones, and the others."""
    paths = set(changed)
    return [file for file in files if file.path in paths], [file for file in files if file.path not in paths]


def _today() -> float:
    """Seconds since the epoch, to the day: a run that is started again draws the same, and goes on."""
    return time.time() // _DAY_S * _DAY_S


def _recency(held: HeldEdits, edits: Sequence[Edit]) -> LineWeights:
    """Lines that were edited lately come up more often; those held out are not there."""
    now = _today()
    gone = {path: sorted(lines) for path, lines in held.lines.items()}
    result: dict[str, dict[int, float]] = {}
    for edit in edits:
        weight = 1 + _RECENT_WEIGHT * 0.5 ** (max(0.0, now - edit.when) / _HALF_LIFE_S)
        removed = gone.get(edit.path, [])
        for line in range(edit.first_line, edit.last_line + 1):
            if line not in held.lines.get(edit.path, ()):
                shift = sum(other < line for other in removed)
                result.setdefault(edit.path, {})[line - shift] = weight
    return result


def _held_edits(files: Sequence[SourceFile], held: HeldEdits, count: int, seed: int) -> list[FimExample]:
    """Holes that begin in the lines held out, in the files as they are."""
    weights = {path: dict.fromkeys(lines, 1.0) for path, lines in held.lines.items()}
    sources = [file for file in files if file.path in weights]
    return make_examples(sources, count, seed=seed + 1, weights=weights, only_weighted=True)


def _questions(files: Sequence[SourceFile], count: int, seed: int) -> list[FimExample]:
    """Holes of each file by itself, of which chance chooses that stays: where a file comes or changes, most questions
    are the same, and need not be asked again."""
    examples = [
        example
        for file in files
        for example in make_examples(
            [file], max(1, file.text.count("\n") // _LINES_PER_QUESTION), seed=seed, max_per_file=count
        )
    ]
    return sorted(examples, key=lambda one: luck(seed, one.path, one.line, one.middle))[:count]


def generic_sequences(tokenizer: CodeTokenizer, settings: DataSettings) -> list[TokenSequence]:
    """Holes in generic code for the gate; empty where Python's library has no sources."""
    return encode_all(tokenizer, generic.asked(settings.generic), seed=0, max_prompt=settings.max_prompt)
