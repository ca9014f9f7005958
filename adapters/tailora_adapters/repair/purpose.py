"""Training for repair: lessons of a repository instead of holes in it.

Held out are the newest fixes of the history, by time, and bugs in files of which nothing is trained on. Knows nothing
of models.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus import generic
from tailora_adapters.corpus.examples import SpanMix
from tailora_adapters.corpus.learnable import Learnable
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.select import Rejection, SourceFile
from tailora_adapters.corpus.sequences import encode_all
from tailora_adapters.corpus.split import split
from tailora_adapters.errors import TooLittleData
from tailora_adapters.repair.fixes import Fix, mine
from tailora_adapters.repair.lessons import Notice, from_fix, lessons
from tailora_adapters.repair.notice import Checkers
from tailora_adapters.training.data import DataSettings, RunData
from tailora_adapters.training.purpose import Purpose

__all__ = ["repair_purpose"]

_HELD_OUT_SHARE = 0.25
"""Of the fixes, the newest."""
_QUESTIONS_IN_FIXES = 0.5
"""Of the held-out questions, at most."""


def repair_purpose(root: Path, notice: Notice | None = None) -> Purpose:
    """What ``training.run.run`` needs to train an adapter for repair. ``notice`` is by default what the checkers say
    that are installed."""
    return Purpose("repair", functools.partial(_gather, root, notice), more=True)


def _gather(
    root: Path,
    notice: Notice | None,
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
    """See ``training.data.gather``. Lessons are drawn from the whole repository each time: ``replay`` has no part."""
    nothing = unreadable(found.selection.files)
    files = [file for file in found.selection.files if file.path not in nothing]
    parts = split(files, seed=seed, changed=changed, trained=trained)
    notice = notice or Checkers(root, files)
    newer, older = _by_time(mine(root, {file.path: file.language for file in files}))
    train_paths = {file.path for file in parts.train}
    older = [fix for fix in older if fix.path in train_paths]
    wanted = settings.examples if whole else settings.increment
    examples = lessons(parts.train, older, wanted, seed=seed, notice=notice)
    if len(examples) < settings.min_examples:
        raise TooLittleData(len(examples), settings.min_examples)
    asked = [one for fix in newer if (one := from_fix(fix)) is not None]
    asked = asked[: round(settings.held_out * _QUESTIONS_IN_FIXES)]
    newest = frozenset(range(len(asked)))
    asked += lessons(parts.held_out, [], settings.held_out - len(asked), seed=seed + 1, notice=notice)
    if len(asked) < settings.min_held_out:
        raise TooLittleData(len(asked), settings.min_held_out, "held-out examples")
    training = encode_all(tokenizer, examples, seed=seed, max_prompt=settings.max_prompt)
    others = generic.replayed(round(settings.generic_share * len(training)), seed=seed, mix=SpanMix())
    used = {example.path for example in examples}
    return RunData(
        training=training,
        anchors=encode_all(tokenizer, others, seed=seed, max_prompt=settings.max_prompt),
        held_out=encode_all(tokenizer, asked, seed=seed + 1, max_prompt=settings.max_prompt),
        newest=newest,
        files=tuple(file for file in parts.train if file.path in used),
        shown=(),
        rejected=(
            *found.selection.rejected,
            *(Rejection(path, "unreadable to the model", why) for path, why in nothing.items()),
            *parts.dropped,
        ),
    )


def _by_time(fixes: Sequence[Fix]) -> tuple[list[Fix], list[Fix]]:
    """The newest, which are held out, and the older ones; what was done twice counts as old."""
    ordered = sorted(fixes, key=lambda fix: -fix.when)
    cut = round(len(ordered) * _HELD_OUT_SHARE)
    older = ordered[cut:]
    known = {(fix.path, fix.now) for fix in older}
    return [fix for fix in ordered[:cut] if (fix.path, fix.now) not in known], older
