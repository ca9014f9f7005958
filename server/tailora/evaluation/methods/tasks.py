"""What is learned and asked in a comparison, task by task: one repository, three parts that share no file.

Knows nothing of methods or of models.
"""

import functools
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tailora.evaluation import docstrings
from tailora.evaluation.methods.comparison import Sizes
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.clones.pairs import PAIR_BUDGET, YES, pair_examples
from tailora_adapters.corpus import generic
from tailora_adapters.corpus.context import neighbour_snippets
from tailora_adapters.corpus.examples import FimExample, make_examples
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.corpus.sequences import TokenSequence, encode_all
from tailora_adapters.corpus.split import split
from tailora_adapters.corpus.tasks import TASK_BUDGET, encode_task
from tailora_adapters.docstrings.examples import docstring_examples
from tailora_adapters.errors import TailoraError
from tailora_adapters.generation.examples import generation_examples
from tailora_adapters.repair.lessons import NOTICED, lessons
from tailora_adapters.repair.notice import Checkers
from tailora_adapters.training import leaks
from tailora_adapters.training.data import MIX, DataSettings
from tailora_adapters.training.tasks import TASK_TRAINING

__all__ = ["TASKS", "Material", "Task", "case_ids", "gather", "identity"]

_log = logging.getLogger(__name__)

_USUAL = DataSettings()
_MOST_EPOCHS = 3
_LEAST = 12
"""Examples of the validation and of the test part: of fewer no figure says anything."""
_CHECKERS_S = 600.0
"""For all that is asked about one model's repairs."""

Make = Callable[[Sequence[SourceFile], int, int, Sequence[SourceFile]], list[FimExample]]
"""Files, how many examples, seed, and files whose functions must not be nearly among them."""
Scored = Mapping[str, list[float]]
"""Case by case, by metric; more is better."""


@dataclass(frozen=True, slots=True)
class Task:
    """One use of what is learned."""

    name: str
    title: str
    make: Callable[[Path], Make]
    """Gets the repository's folder."""
    budget: PromptBudget | None = None
    """Of prompts about functions, which have no room for other files; None: prompts as completion has them."""
    cut: bool = True
    """Whether prompts that are learned are cut to many sizes."""
    most: int = 64
    """Tokens from which an answer is cut."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """What is trained otherwise than for completion: fields of ``TrainSettings``, but for how long."""
    score: Callable[["Material", Sequence[str]], Scored] = lambda _material, _answers: {}
    """More metrics than all tasks have, question by question."""
    total: Callable[["Material", Sequence[str]], Mapping[str, float]] = lambda _material, _answers: {}
    """More metrics of all questions together; more is better."""


@dataclass(frozen=True, slots=True)
class Material:
    """The same for every method and seed."""

    training: list[TokenSequence]
    """As many as the budget of tokens holds, in this order; the canary is the last."""
    anchors: list[TokenSequence]
    """Generic code among them, of which the answers are to stay as they are."""
    epochs: float
    """So many times through what there is make up the budget."""
    validation: list[TokenSequence]
    test: list[TokenSequence]
    bare: list[TokenSequence]
    """The test without snippets of other files."""
    generic: list[TokenSequence]
    canaries: list[TokenSequence]
    """The planted one first, then random ones of the same form."""
    files: Mapping[str, int]
    """Of each part."""
    texts: Mapping[str, str]
    """The test part's, by path."""
    root: Path
    sources: Sequence[SourceFile]
    """All files."""
    sha256: str
    """Of all files."""

    @property
    def right(self) -> list[str]:
        """The test part's answers as they are in its files."""
        return [one.example.middle for one in self.test]


def gather(root: Path, task: Task, tokenizer: CodeTokenizer, sizes: Sizes, seed: int) -> Material:
    """Reads the repository.

    Raises:
        TailoraError: it is too small for three parts, or cannot be read.
    """
    files = read_learnable(root).selection.files
    first = split(files, seed=seed)
    second = split(first.train, seed=seed + 1)
    parts = {"train": second.train, "validation": second.held_out, "test": first.held_out}
    make = task.make(root)
    wanted = {
        "train": max(48, sizes.tokens // 48),
        "validation": sizes.validation,
        "test": sizes.test,
    }
    kept = {"train": (*parts["validation"], *parts["test"]), "validation": parts["test"], "test": ()}
    examples = {
        name: make(part, wanted[name], seed + place, kept[name])
        for place, (name, part) in enumerate(parts.items())
    }
    _check(root, task, parts, examples)
    plain = functools.partial(encode_all, tokenizer, seed=seed, max_prompt=sizes.max_prompt)
    canary = leaks.canary(tokenizer, f"{task.name}:{seed}:0")
    context = {} if task.budget else neighbour_snippets(files, seed=seed, pool=second.train)

    def encode(given: Sequence[FimExample], share: float, *, varied: bool = False) -> list[TokenSequence]:
        if task.budget is not None:
            return encode_task(
                tokenizer, given, seed=seed if varied and task.cut else None, whole=task.budget
            )
        return plain(given, context=context, context_share=share)

    training = encode(examples["train"], _USUAL.context_share, varied=True)
    others = plain(generic.replayed(round(_USUAL.generic_share * len(training)), seed=seed, mix=MIX))
    training, anchors = _within(training, others, sizes.tokens - len(canary.ids))
    once = sum(len(one.ids) for one in (*training, *anchors, canary))
    return Material(
        training=[*training, canary],
        anchors=anchors,
        epochs=min(float(_MOST_EPOCHS), max(1.0, sizes.tokens / once)) if once < 0.9 * sizes.tokens else 1.0,
        validation=encode(examples["validation"], 1.0),
        test=encode(examples["test"], 1.0),
        bare=encode(examples["test"], 0.0),
        generic=encode_all(tokenizer, generic.asked(sizes.generic), seed=0, max_prompt=sizes.max_prompt),
        canaries=[
            leaks.canary(tokenizer, f"{task.name}:{seed}:{number}") for number in range(sizes.canaries + 1)
        ],
        files={name: len(part) for name, part in parts.items()},
        texts={file.path: file.text for file in first.held_out},
        root=root,
        sources=files,
        sha256=_sha(sorted(f"{file.path}:{file.sha256}" for file in files)),
    )


def _check(
    root: Path,
    task: Task,
    parts: Mapping[str, Sequence[SourceFile]],
    examples: Mapping[str, Sequence[FimExample]],
) -> None:
    for name in ("train", "validation", "test"):
        if len(examples[name]) < _LEAST:
            sizes = ", ".join(f"{len(part)} files to {part_name}" for part_name, part in parts.items())
            raise TailoraError(
                f"{root.name} is too small to compare methods of {task.title}: of its files that may be learned, "
                f"{sizes}, and the {name} part has {len(examples[name])} examples where {_LEAST} are needed"
            )


def _within(
    training: Sequence[TokenSequence], anchors: Sequence[TokenSequence], tokens: int
) -> tuple[list[TokenSequence], list[TokenSequence]]:
    """The first of both that the budget holds, in the same proportion."""
    total = sum(len(one.ids) for one in (*training, *anchors))
    share = min(1.0, tokens / max(1, total))
    return _first(training, share), _first(anchors, share)


def _first(sequences: Sequence[TokenSequence], share: float) -> list[TokenSequence]:
    left = share * sum(len(one.ids) for one in sequences)
    taken = []
    for one in sequences:
        if len(one.ids) <= left:
            taken.append(one)
            left -= len(one.ids)
    return taken


def identity(sequences: Sequence[TokenSequence]) -> str:
    """A hash of what is asked."""
    return _sha(" ".join(map(str, one.ids)) for one in sequences)


def case_ids(sequences: Sequence[TokenSequence]) -> list[str]:
    """Of each question by itself, whatever is shown beside it."""
    return [
        _sha([one.example.path, str(one.example.line), one.example.prefix, one.example.middle])[:16]
        for one in sequences
    ]


def _sha(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _completion(_root: Path) -> Make:
    return lambda files, count, seed, _without: make_examples(
        files, count, seed=seed, mix=MIX, max_per_file=count
    )


def _repair(root: Path) -> Make:
    return lambda files, count, seed, _without: lessons(
        files, (), count, seed=seed, notice=Checkers(root, files)
    )


def _docstring(_root: Path) -> Make:
    return lambda files, count, seed, without: docstring_examples(files, count, seed=seed, without=without)


def _generation(_root: Path) -> Make:
    return lambda files, count, seed, without: generation_examples(files, count, seed=seed, without=without)


def _clones(_root: Path) -> Make:
    return lambda files, count, seed, without: pair_examples(files, count, seed=seed, without=without)


def _repair_scores(material: Material, answers: Sequence[str]) -> Scored:
    """Whether the bug is gone, as far as can be told without running anything: the lines are as they were; or, of a bug
    that a checker notices, no checker says more of the file than without it. Nothing where one gave no answer."""
    verified = [float(answer == right) for answer, right in zip(answers, material.right, strict=True)]
    mended = {
        number: text
        for number, (question, answer) in enumerate(zip(material.test, answers, strict=True))
        if not verified[number] and (text := _mended(question.example, answer, material.texts)) is not None
    }
    asked = [(material.test[number].example.path, text) for number, text in mended.items()]
    judged = Checkers(material.root, material.sources, seconds=_CHECKERS_S).judged(asked)
    if None in judged:
        _log.warning("whether repairs are right was not measured: not every checker gave an answer")
        return {}
    for number, clean in zip(mended, judged, strict=True):
        verified[number] = float(bool(clean))
    return {"verified": verified}


def _mended(example: FimExample, answer: str, texts: Mapping[str, str]) -> str | None:
    """The file with an answer in the place of a bug that a checker notices; None for what is none."""
    if not example.kind.endswith(NOTICED):
        return None
    lines, was = texts[example.path].split("\n"), example.middle.split("\n")
    given = lines[example.line].removesuffix(was[0])
    now = f"{given}{answer}".split("\n")
    return "\n".join([*lines[: example.line], *now, *lines[example.line + len(was) :]])


def _docstring_scores(material: Material, answers: Sequence[str]) -> Scored:
    """Shares of 1: chrF and BLEU-4, as ``evaluation.docstrings`` has them."""
    rows = [docstrings.score(answer, wanted) for answer, wanted in zip(answers, material.right, strict=True)]
    return {name: [row[name] / 100 for row in rows] for name in ("chrf", "bleu4")}


def _pair_scores(material: Material, answers: Sequence[str]) -> Scored:
    """Whether what was said is so."""
    pairs = zip(answers, material.right, strict=True)
    return {"accuracy": [float(_yes(said) == _yes(so)) for said, so in pairs]}


def _pair_totals(material: Material, answers: Sequence[str]) -> dict[str, float]:
    """Precision, recall and F1 of the pairs that are called clones; 0 where nothing is found."""
    called, clones = list(map(_yes, answers)), list(map(_yes, material.right))
    found = sum(said and so for said, so in zip(called, clones, strict=True))
    precision, recall = found / max(1, sum(called)), found / max(1, sum(clones))
    f1 = 2 * precision * recall / (precision + recall) if found else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def _yes(answer: str) -> bool:
    return answer.strip() == YES.strip()


_FUNCTIONS = {name: TASK_TRAINING[name] for name in ("prompt_weight", "end_times")}

TASKS = {
    task.name: task
    for task in (
        Task("completion", "completion", _completion),
        Task("repair", "repair", _repair, score=_repair_scores),
        Task(
            "docstring",
            "docstrings",
            _docstring,
            budget=TASK_BUDGET,
            most=160,
            train=_FUNCTIONS,
            score=_docstring_scores,
        ),
        Task(
            "clones",
            "clones",
            _clones,
            budget=PAIR_BUDGET,
            cut=False,
            train=_FUNCTIONS | {"prompt_weight": 0.0},
            score=_pair_scores,
            total=_pair_totals,
        ),
        Task("generation", "generation", _generation, budget=TASK_BUDGET, most=224, train=_FUNCTIONS),
    )
}
