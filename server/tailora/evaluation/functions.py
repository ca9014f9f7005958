"""What a package's own adapter for docstrings, or for whole functions, is worth on files that it has not seen.

A part of a package's files is held out; what is nearly like one of their functions is left out of the rest, of which
a given number of tokens is learned. Then the same prompts are answered three ways: by the bare base model, with the
foundation adapter, and with the adapter that was trained. All answers are cut alike: at the closing quotes (or where
the function's indentation ends), and a few tokens beyond the length of the reference. Knows nothing of engines or
editors.
"""

import hashlib
import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from tailora.evaluation.docstrings import corpus_score, require_metrics, score
from tailora.evaluation.intervals import paired_interval
from tailora_adapters import languages
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.examples import FimExample
from tailora_adapters.corpus.functions import Function, find_functions
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.corpus.split import split
from tailora_adapters.corpus.tasks import draw, encode_task
from tailora_adapters.docstrings.check import problems
from tailora_adapters.docstrings.examples import documented
from tailora_adapters.errors import TailoraError
from tailora_adapters.generation.examples import written as bodies
from tailora_adapters.training.adapters import Session, load_for_training
from tailora_adapters.training.decoder import Decoder, make_decoder
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate
from tailora_adapters.training.loop import train
from tailora_adapters.training.run import RunSettings
from tailora_adapters.training.tasks import TASK_TRAINING

__all__ = ["PACKAGES", "WAYS", "Settings", "Task", "files_of_package", "files_of_repository", "measure"]

Task = Literal["docstring", "generation"]
Progress = Callable[[float, str], None]

PACKAGES = ("dulwich", "fsspec", "filelock")
"""Installed wherever Tailora is, documented in three styles (Google's, NumPy's and Sphinx's), and not among the sources
of the foundation adapters."""
WAYS = ("base", "foundation", "adapter")
_HELD_OUT = 0.3
_MOST_TOKENS = 224


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a measurement."""

    model: str
    task: Task = "docstring"
    functions: int = 60
    """Asked about, of each package, at most."""
    tokens: int = 16_000
    """Learned of each package, at most."""
    seed: int = 1
    earlier: Sequence[Path] = ()
    """What this printed for other packages, as JSON, to be counted in."""


@dataclass(slots=True)
class _Package:
    """One package's questions and answers."""

    name: str
    asked: list[FimExample]
    of: list[Function | None]
    prompts: Prompts
    training: list[TokenSequence]
    files: tuple[int, int]
    """Trained on, and held out."""
    answers: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, Scores] = field(default_factory=dict)
    seconds: float = 0.0


def files_of_package(name: str) -> list[SourceFile]:
    """The sources of an installed package, without its tests.

    Raises:
        TailoraError: it is not installed, or no package.
    """
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise TailoraError(f"{name} is not an installed package")
    root, found = Path(places[0]), []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root.parent)
        if not any(part.startswith("test") for part in relative.parts):
            data = path.read_bytes()
            text = data.decode("utf-8", "replace").replace("\r\n", "\n")
            digest = hashlib.sha256(data).hexdigest()
            found.append(SourceFile(relative.as_posix(), "python", text, digest, 0.0))
    return found


def files_of_repository(root: Path) -> list[SourceFile]:
    """What would be learned of a repository.

    Raises:
        CorpusError: it cannot be read.
    """
    return list(read_learnable(root).selection.files)


def measure(
    packages: Mapping[str, Sequence[SourceFile]],
    settings: Settings,
    progress: Progress = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """Trains on each package and answers three ways.

    Raises:
        TailoraError: a package has too few functions, or sacrebleu is not installed.
    """
    if settings.task == "docstring":
        require_metrics()
    known = _earlier(settings)
    if not packages:
        return _result(known, settings)
    loaded = load_for_training(settings.model)
    tokenizer = loaded.tokenizer
    asked = [_package(name, files, settings, tokenizer) for name, files in packages.items()]
    decoder = make_decoder(loaded.model, loaded.model.config.num_hidden_layers)
    for number, package in enumerate(asked):
        progress(0.25 * number / len(asked), f"{package.name}: the base model")
        _answer(package, "base", decoder, tokenizer)
    del decoder, loaded
    for number, package in enumerate(asked):

        def step(share: float, message: str, package: _Package = package, number: int = number) -> None:
            progress(0.25 + 0.75 * (number + share) / len(asked), f"{package.name}: {message}")

        # Reading the prompts through the lower half again costs less than holding them for the base model, too.
        package.prompts = Prompts(package.prompts.sequences)
        _learn(package, settings, tokenizer, step)
    known |= {package.name: _figures(package, settings.task) for package in asked}
    return _result(known, settings)


def _package(
    name: str, files: Sequence[SourceFile], settings: Settings, tokenizer: CodeTokenizer
) -> _Package:
    holes = documented if settings.task == "docstring" else bodies
    parts = split(files, seed=settings.seed, share=_HELD_OUT)
    asked = draw(parts.held_out, holes, settings.functions, seed=settings.seed + 1)
    known = draw(parts.train, holes, len(files) * 40, seed=settings.seed, without=parts.held_out)
    if len(asked) < 5 or len(known) < 5:
        raise TailoraError(
            f"{name} has too few functions: {len(known)} to learn from, {len(asked)} to ask about"
        )
    training, left = [], settings.tokens
    for sequence in encode_task(tokenizer, known, seed=settings.seed):
        left -= len(sequence.ids)
        if left < 0:
            break
        training.append(sequence)
    texts = {file.path: file.text for file in parts.held_out}
    return _Package(
        name,
        asked,
        [_function_of(one, texts[one.path]) for one in asked],
        Prompts(encode_task(tokenizer, asked)),
        training,
        (len({one.example.path for one in training}), len(parts.held_out)),
    )


def _function_of(example: FimExample, text: str) -> Function | None:
    """The function whose docstring the example asks for."""
    return next(
        (
            function
            for function in find_functions(text, example.language)
            if function.doc is not None and text.count("\n", 0, function.doc.start) == example.line
        ),
        None,
    )


def _answer(package: _Package, way: str, decoder: Decoder, tokenizer: CodeTokenizer) -> None:
    scores = evaluate(
        decoder, package.prompts, write=tokenizer.decode, end=tokenizer.end_id, most=_MOST_TOKENS
    )
    package.figures[way] = scores
    package.answers[way] = [
        _cut(answer, example) for answer, example in zip(scores.answers, package.asked, strict=True)
    ]


def _cut(answer: str, example: FimExample) -> str:
    """Without what stands behind the closing quotes, or behind the function."""
    if example.kind.startswith("docstring"):
        closing = example.suffix[:3] if example.language == "python" else "*/"
        return answer.partition(closing)[0]
    line = example.prefix.rpartition("\n")[2]
    known = languages.by_id(example.language)
    least = len(line) - len(line.lstrip())
    kept: list[str] = []
    for number, text in enumerate(answer.split("\n")):
        outside = text.strip() and len(text) - len(text.lstrip()) < least
        if (
            number
            and outside
            and (known is None or known.indented or not text.strip().startswith(("}", ")")))
        ):
            break
        kept.append(text)
    return "\n".join(kept).rstrip()


def _learn(package: _Package, settings: Settings, tokenizer: CodeTokenizer, progress: Progress) -> None:
    usual = RunSettings()
    session = Session(settings.model, None, lower_share=usual.lower_share, seed=settings.seed)
    progress(0.0, "the foundation adapter")
    with session.as_base():
        _answer(package, "foundation", session.decoder, tokenizer)
    begun = time.monotonic()
    train(
        session.model,
        session.decoder,
        package.training,
        replace(usual.train, **TASK_TRAINING, first_layer=session.first_layer),
        seed=settings.seed,
        on_step=lambda step: progress(0.3 + 0.4 * step.fraction, f"training, loss {step.loss:.2f}"),
    )
    package.seconds = time.monotonic() - begun
    progress(0.7, "its own adapter")
    _answer(package, "adapter", session.decoder, tokenizer)


def _figures(package: _Package, task: Task) -> dict[str, Any]:
    """What came of one package."""
    rows = {way: _rows(package, way, task) for way in WAYS}
    return {
        "learned_files": package.files[0],
        "held_out_files": package.files[1],
        "examples": len(package.training),
        "tokens": sum(len(sequence.ids) for sequence in package.training),
        "train_seconds": round(package.seconds, 1),
        **_told(rows, [example.middle for example in package.asked], task),
        "asked": [
            {
                "path": example.path,
                "line": example.line + 1,
                "kind": example.kind,
                "reference": example.middle,
                **{way: rows[way][place] for way in WAYS},
            }
            for place, example in enumerate(package.asked)
        ],
    }


def _earlier(settings: Settings) -> dict[str, Any]:
    """The packages of earlier runs.

    Raises:
        TailoraError: a file is not what such a run printed.
    """
    found: dict[str, Any] = {}
    for path in settings.earlier:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            about, packages = (told["model"], told["task"]), dict(told["packages"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise TailoraError(f"{path} is not what an earlier run printed with --json: {error!r}") from error
        if about != (settings.model, settings.task):
            raise TailoraError(f"{path} is about {about}, this is about {(settings.model, settings.task)}")
        found |= packages
    return found


def _result(packages: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    asked = [one for package in packages.values() for one in package["asked"]]
    rows = {way: [one[way] for one in asked] for way in WAYS}
    return {
        "model": settings.model,
        "task": settings.task,
        **_told(rows, [one["reference"] for one in asked], settings.task),
        "packages": dict(packages),
    }


def _rows(package: _Package, way: str, task: Task) -> list[dict[str, Any]]:
    """One for each function."""
    found = []
    for place, (example, answer) in enumerate(zip(package.asked, package.answers[way], strict=True)):
        row: dict[str, Any] = {"written": answer}
        row["nll"] = package.figures[way].nll_sums[place] / max(1, package.figures[way].tokens[place])
        if task == "docstring":
            function = package.of[place]
            row |= score(answer, example.middle)
            row["agrees"] = float(function is not None and not problems(function, answer, raises=False))
        else:
            row["exact_match"] = float(answer.strip() == example.middle.strip())
            row["edit_similarity"] = _similarity(answer.strip(), example.middle.strip())
        found.append(row)
    return found


def _similarity(answer: str, reference: str) -> float:
    """0 to 1 (Ratcliff and Obershelp, as ``difflib`` computes it)."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, answer, reference, autojunk=False).ratio()


def _told(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], references: Sequence[str], task: Task
) -> dict[str, Any]:
    names = ("chrf", "agrees", "nll") if task == "docstring" else ("exact_match", "edit_similarity", "nll")
    told: dict[str, Any] = {"functions": len(rows["base"])}
    for way in WAYS:
        told[way] = {name: round(fmean(row[name] for row in rows[way]), 4) for name in names}
        if task == "docstring":
            texts = corpus_score([row["written"] for row in rows[way]], references)
            told[way] |= {name: round(value, 2) for name, value in texts.items()}
    compared = ("chrf", "bleu4", "agrees") if task == "docstring" else ("exact_match", "edit_similarity")
    for name, ours, theirs in (
        ("adapter_over_base", "adapter", "base"),
        ("foundation_over_base", "foundation", "base"),
        ("adapter_over_foundation", "adapter", "foundation"),
    ):
        told[name] = {}
        for figure in compared:
            left, right = ([row[figure] for row in rows[way]] for way in (ours, theirs))
            told[name][figure] = {
                "difference": round(fmean(left) - fmean(right), 4),
                "ci95": paired_interval(left, right),
            }
    return told
