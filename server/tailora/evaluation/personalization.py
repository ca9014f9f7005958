"""Does a repository's own adapter fill in tomorrow's lines better? Measured along a package's or repository's history.

For every step: what was learned so far is tested on lines that the step adds, then the step is written into a scratch
repository, where it is not committed yet, and learned by the real training worker, gate included. So no line is tested
after it was learned::

    tree 0 --learn--> test on what tree 1 adds --learn tree 1--> test on what tree 2 adds --learn--> ...

Beside it stand the bare base model without and with snippets of the repository in its prompt, and the adapter that was
trained on other repositories (the foundation adapter), with the same prompts. Figures are of middles, without the token
that ends them. Knows nothing of engines or editors.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tailora.evaluation import infilling
from tailora.evaluation.infilling import Problem
from tailora.evaluation.intervals import DRAWS, paired_interval
from tailora.evaluation.scratch import scratch
from tailora.evaluation.trees import Tree, added_lines, write_tree
from tailora.pages.lines import Point, Series, line_plot
from tailora.scratch_commits import commit_all
from tailora_adapters import languages
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.context import neighbour_snippets
from tailora_adapters.corpus.examples import SpanMix, make_examples
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.corpus.sequences import TokenSequence, encode
from tailora_adapters.errors import TailoraError
from tailora_adapters.manifest import Manifest
from tailora_adapters.store import AdapterVersion, Store
from tailora_adapters.training.adapters import Session, load_for_training
from tailora_adapters.training.decoder import Decoder, make_decoder
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate
from tailora_adapters.training.launch import train_in_worker

__all__ = ["Settings", "measure", "plot"]

Progress = Callable[[float, str], None]

_BUDGET = PromptBudget(prefix=384, suffix=96, context=160)
_MIX = SpanMix(line_end=0.35, line=0.40, block=0.25, random=0.0)
_LONG_AGO = timedelta(days=365)
"""What is there at the beginning is not new."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a measurement."""

    model: str
    holes: int = 120
    """In all steps together."""
    seconds: float | None = None
    """Time for training proper, for each run; None: as long as the worker takes."""
    fresh: bool = False
    """Also trains once more from the foundation at the end, and compares both on files that neither has seen."""
    seed: int = 1


@dataclass(slots=True)
class _Holes:
    """The tests of one step."""

    with_context: list[TokenSequence]
    without: list[TokenSequence]


@dataclass(slots=True)
class _Row:
    """One way to answer, over all steps."""

    steps: list[Scores] = field(default_factory=list)

    def all(self) -> Scores:
        def joined(name: str) -> tuple[Any, ...]:
            return tuple(value for scores in self.steps for value in getattr(scores, name))

        names = ("nll_sums", "tokens", "exact", "stops", "similarity")
        return Scores(*(joined(name) for name in names))


def measure(
    trees: Sequence[Tree],
    settings: Settings,
    *,
    problems: Sequence[Problem] = (),
    progress: Progress = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """Runs everything and returns the figures; see ``docs/benchmarks.md`` for what each means.

    Args:
        problems: Of HumanEval infilling, asked with the foundation adapter and with the repository's last one.

    Raises:
        TailoraError: nothing was added, or a training failed.
    """
    if len(trees) < 2:
        raise TailoraError("there is nothing between the two points: choose others")
    with scratch() as folder:
        plan = _Measurement(trees, settings, folder / "repository", progress)
        plan.static_rows()
        plan.learn_and_test()
        result = plan.result()
        if settings.fresh:
            result["fresh"] = plan.compare_fresh()
        return {**result, **_generic(settings.model, plan.serving_folder(), problems, progress)}


def plot(result: dict[str, Any]) -> str:
    """An SVG picture of a result: loss on each step's new lines, against the seconds spent on learning until then."""
    names = {"base_context": "base, with context", "shared": "foundation adapter", "adapter": "own adapter"}
    series = [
        Series(
            label,
            tuple(Point(point["seconds"], point[name]) for point in result["curve"] if name in point),
        )
        for name, label in names.items()
    ]
    return line_plot(
        series,
        title=f"{result['package']} {result['from']} to {result['to']}: lines that each step added",
        x_label="seconds of learning before the step",
        y_label="loss, nats a token",
    )


def _generic(
    model: str, adapter: Path | None, problems: Sequence[Problem], progress: Progress
) -> dict[str, Any]:
    """HumanEval infilling before and after; ``generic_drop`` is the share of the problems that is lost."""
    if not problems:
        return {"generic_drop": None}
    if adapter is None:  # the foundation adapter still serves
        return {"generic_drop": 0.0}
    found = infilling.evaluate(problems, model, adapter=adapter, progress=progress)
    before, after = found.get("foundation"), found["adapter"]
    drop = round(before["first_line"] - after["first_line"], 4) if before else None
    return {"generic_drop": drop, "infilling": {"before": before, "after": after}}


class _Measurement:
    def __init__(self, trees: Sequence[Tree], settings: Settings, root: Path, progress: Progress) -> None:
        self._settings = settings
        self._aside = _aside(trees, settings.seed) if settings.fresh else {}
        self._trees = [
            {path: text for path, text in tree.items() if path not in self._aside} for tree in trees
        ]
        self._root = root
        self._progress = progress
        self._rows = {name: _Row() for name in ("base", "base_context", "shared", "adapter")}
        self._runs: list[dict[str, Any]] = []
        self._curve: list[dict[str, float]] = []
        self._serving: list[str | None] = []
        self._session = Session(settings.model, None, lower_share=0.5, seed=settings.seed)
        self._tokenizer = self._session.loaded.tokenizer
        self._holes = list(_holes(self._trees, settings, self._tokenizer))
        if not any(step.with_context for step in self._holes):
            raise TailoraError("nothing that can be tested was added between the two points")
        self._prompts = [Prompts(step.with_context) for step in self._holes]

    def static_rows(self) -> None:
        """What learns nothing."""
        loaded = load_for_training(self._settings.model)
        bare = make_decoder(loaded.model, loaded.model.config.num_hidden_layers)
        for number, step in enumerate(self._holes):
            self._progress(0.15 * number / len(self._holes), "the base model")
            self._rows["base"].steps.append(self._score(bare, Prompts(step.without)))
            self._rows["base_context"].steps.append(self._score(bare, Prompts(step.with_context)))
        del bare, loaded
        for number, prompts in enumerate(self._prompts):
            self._progress(0.15 + 0.1 * number / len(self._holes), "the foundation adapter")
            self._rows["shared"].steps.append(self._score(self._session.decoder, prompts))

    def learn_and_test(self) -> None:
        """Learns, step by step, and tests each step before it is learned."""
        learned = 0.0
        for number, step in enumerate(self._holes):
            before = self._trees[number - 1] if number else None
            changed = write_tree(self._trees[number], self._root, before)
            if not number:
                commit_all(self._root, "before", when=datetime.now(UTC) - _LONG_AGO)
            done = self._learn(number, changed if number else ())
            if number:
                commit_all(self._root, f"step {number}")
            learned += done["seconds"]
            served = Store().project(self._root).serving()
            self._serving.append(served.version if served else None)
            if step.with_context:
                self._rows["adapter"].steps.append(self._test(served, number))
            else:
                self._rows["adapter"].steps.append(Scores((), (), (), ()))
            point = {
                name: row.steps[number].nll for name, row in self._rows.items() if row.steps[number].tokens
            }
            self._curve.append({"seconds": round(learned, 1), **point})

    def compare_fresh(self) -> dict[str, Any]:
        """Learns the last tree, too; then the held-out loss of what was learned step by step against that of one
        training from the foundation, whatever the gate says of it."""
        last = len(self._holes)
        self._learn(last, write_tree(self._trees[-1], self._root, self._trees[-2]))
        commit_all(self._root, f"step {last}")
        examples = make_examples(
            _sources(self._aside), self._settings.holes, seed=self._settings.seed, mix=_MIX
        )
        context = neighbour_snippets(
            _sources(self._aside), seed=self._settings.seed, pool=_sources(self._trees[-1])
        )
        prompts = Prompts(
            [encode(self._tokenizer, example, _BUDGET, context.get(example.path, ())) for example in examples]
        )
        foundation = self._score(self._session.decoder, prompts)
        project = Store().project(self._root)
        incremental = self._scored(project.serving(), prompts) or foundation
        increments = len(self._runs) - 1
        version = self._learn(last + 1, (), full=True)["version"]
        fresh = self._scored(project.get(version) if version else None, prompts) or foundation
        return {
            "increments": increments,
            "holes": len(examples),
            "foundation_nll": round(foundation.nll, 4),
            "incremental_nll": round(incremental.nll, 4),
            "fresh_nll": round(fresh.nll, 4),
            "fresh_decision": self._runs[-1]["decision"],
            "ratio": round(incremental.nll / fresh.nll, 4),
        }

    def _scored(self, version: AdapterVersion | None, prompts: Prompts) -> Scores | None:
        if version is None:
            return None
        with self._session.holding(self._session.read(version.path)):
            return self._score(self._session.decoder, prompts)

    def _learn(self, number: int, changed: Sequence[str], *, full: bool = False) -> dict[str, Any]:
        steps = len(self._holes) + 2 * self._settings.fresh
        began = time.monotonic()
        done = train_in_worker(
            self._root,
            self._settings.model,
            seconds=self._settings.seconds,
            seed=self._settings.seed,
            changed=changed,
            full=full,
            progress=lambda share, text: self._progress(0.25 + 0.75 * (number + 0.8 * share) / steps, text),
        )
        if done["decision"] == "failed":
            raise TailoraError(f"training failed: {done['reason']}")
        manifest = self._manifest(done["version"])
        self._runs.append(
            {
                "version": done["version"],
                "decision": done["decision"],
                "reason": done["reason"],
                "seconds": round(time.monotonic() - began, 1),
                "examples": manifest.data.examples if manifest else 0,
                "tokens": manifest.data.tokens if manifest else 0,
                "tokens_per_second": manifest.cost.tokens_per_second if manifest else 0.0,
                "peak_rss_mb": manifest.cost.peak_rss_mb if manifest else 0.0,
                "scale": manifest.settings.get("scale") if manifest else None,
            }
        )
        return self._runs[-1]

    def _manifest(self, version: str | None) -> Manifest | None:
        return Store().project(self._root).get(version).manifest if version else None

    def _test(self, served: AdapterVersion | None, number: int) -> Scores:
        return self._scored(served, self._prompts[number]) or self._rows["shared"].steps[number]

    def _score(self, decoder: Decoder, prompts: Prompts) -> Scores:
        if not prompts.sequences:
            return Scores((), (), (), ())
        return evaluate(decoder, prompts, write=self._tokenizer.decode, end=self._tokenizer.end_id)

    def result(self) -> dict[str, Any]:
        """The document."""
        rows = {name: row.all() for name, row in self._rows.items()}
        best = max(("shared", "base_context"), key=lambda name: rows[name].exact_match)
        ours = rows["adapter"]
        return {
            "model": self._settings.model,
            "steps": len(self._holes),
            "holes": len(ours.exact),
            **{name: _figures(scores) for name, scores in rows.items()},
            "compared_with": best,
            "delta": {
                "exact_match": round(ours.exact_match - rows[best].exact_match, 4),
                "edit_similarity": round(ours.edit_similarity - rows[best].edit_similarity, 4),
                "nll": round(ours.nll / rows[best].nll - 1, 4),
            },
            "delta_ci95": {
                "exact_match": paired_interval(ours.exact, rows[best].exact),
                "edit_similarity": paired_interval(ours.similarity, rows[best].similarity),
                "nll": _relative_interval(ours, rows[best]),
            },
            "train_seconds": round(sum(run["seconds"] for run in self._runs), 1),
            "step_seconds": round(
                sum(
                    run["tokens"] / run["tokens_per_second"] for run in self._runs if run["tokens_per_second"]
                ),
                1,
            ),
            "train_tokens": sum(run["tokens"] for run in self._runs),
            "peak_rss_mb": max(run["peak_rss_mb"] for run in self._runs),
            "runs": self._runs,
            "served": self._serving,
            "curve": self._curve,
        }

    def serving_folder(self) -> Path | None:
        """The last version's folder, while the scratch folder is there."""
        served = Store().project(self._root).serving()
        return served.path if served else None


def _aside(trees: Sequence[Tree], seed: int) -> Tree:
    """About a sixth of the files that are there at the beginning and at the end, as they are at the end."""
    both = sorted(trees[0].keys() & trees[-1].keys())
    chosen = random.Random(seed).sample(both, max(1, len(both) // 6))
    return {path: trees[-1][path] for path in sorted(chosen)}


def _holes(trees: Sequence[Tree], settings: Settings, tokenizer: CodeTokenizer) -> Iterator[_Holes]:
    added = [added_lines(old, new) for old, new in itertools.pairwise(trees)]
    total = sum(len(lines) for step in added for lines in step.values()) or 1
    for number, step in enumerate(added):
        share = sum(len(lines) for lines in step.values()) / total
        before, after = trees[number], trees[number + 1]
        examples = make_examples(
            _sources({path: after[path] for path in step}),
            round(settings.holes * share),
            seed=settings.seed,
            mix=_MIX,
            max_per_file=settings.holes,
            weights=step,
            only_weighted=True,
        )
        # What the other files show is what they held before the step.
        context = neighbour_snippets(
            _sources({path: after[path] for path in step}), seed=settings.seed, pool=_sources(before)
        )
        yield _Holes(
            [encode(tokenizer, example, _BUDGET, context.get(example.path, ())) for example in examples],
            [encode(tokenizer, example, replace(_BUDGET, context=0)) for example in examples],
        )


def _sources(tree: Tree) -> list[SourceFile]:
    found = []
    for path, text in tree.items():
        if language := languages.by_path(path):
            found.append(SourceFile(path, language.id, text, "", 0.0))
    return found


def _figures(scores: Scores) -> dict[str, float]:
    return {
        "nll": round(scores.nll, 4),
        "exact_match": round(scores.exact_match, 4),
        "edit_similarity": round(scores.edit_similarity, 4),
        "stop_rate": round(scores.stop_rate, 4),
    }


def _relative_interval(ours: Scores, theirs: Scores) -> list[float]:
    """The same of the loss a token, relative to theirs."""
    rng = random.Random(0)
    size = len(ours.nll_sums)
    values = []
    for _ in range(DRAWS):
        drawn = rng.choices(range(size), k=size)
        values.append(sum(ours.nll_sums[i] for i in drawn) / sum(theirs.nll_sums[i] for i in drawn) - 1)
    values.sort()
    return [round(values[int(0.025 * DRAWS)], 4), round(values[int(0.975 * DRAWS)], 4)]
