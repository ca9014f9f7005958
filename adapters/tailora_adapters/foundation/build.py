"""Trains a foundation adapter from permissively licensed packages: ``python -m tailora_adapters.foundation.build``.

Packages marked ``held_out`` (``sources``) are measured on, language by language, and never trained on. Deterministic
for a seed, up to the machine's arithmetic; a build that was ended goes on where it was.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.progress import Progress

from tailora_adapters.base.load import Loaded, load_model
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.context import neighbour_snippets
from tailora_adapters.corpus.examples import SpanMix, make_examples
from tailora_adapters.corpus.sequences import TokenSequence, encode_all
from tailora_adapters.foundation.sources import File, Package, cache_folder, fetch, packages
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, Manifest, Source
from tailora_adapters.methods import LoraSettings, attach, resume
from tailora_adapters.paths import cache_dir, write_atomic
from tailora_adapters.threads import settle
from tailora_adapters.training.checkpoint import Checkpoint, key_of
from tailora_adapters.training.decoder import Decoder, make_decoder
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate
from tailora_adapters.training.loop import TrainReport, TrainSettings, train
from tailora_adapters.training.memory import bound_primitives, peak_rss_mb
from tailora_adapters.training.save import save_adapter

__all__ = ["main"]

SEED = 20261125


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs from model to model: a larger one needs fewer examples, and its adapter has to stay small."""

    examples: int = 2_100
    rank: int = 8
    first_layer: int = 0
    """Layers below it are not trained."""


RECIPES: Mapping[str, Recipe] = {
    "qwen2.5-coder-1.5b": Recipe(examples=800, rank=4, first_layer=14),
}
"""Of the adapters that ship, where they differ from the usual one."""

TRAIN = TrainSettings(
    learning_rate=3e-4,
    warmup_share=0.05,
    max_epochs=1.0,
    max_steps=10_000,
    prompt_weight=0.5,
    prompt_share=0.0,
)
SHARES: Mapping[str, float] = {
    "python": 0.26,
    "typescript": 0.12,
    "javascript": 0.12,
    "go": 0.11,
    "rust": 0.10,
    "java": 0.09,
    "cpp": 0.08,
    "c": 0.06,
    "shellscript": 0.04,
    "typescriptreact": 0.02,
}
"""Of the examples; about as often as people write these languages."""
MAX_PROMPT = 448
MIX = SpanMix(
    line_end=0.33, line=0.37, block=0.24, random=0.06, from_margin=0.5, with_newline=0.4, open_ended=0.04
)


@dataclass(frozen=True, slots=True)
class _Part:
    """The files of one language in one package."""

    package: Package
    language: str
    files: list[File]

    @property
    def weight(self) -> float:
        """How many examples it gives, relative to others: large packages more, but not as many times more."""
        return math.sqrt(sum(len(file.text) for file in self.files))


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--out", type=Path, default=None, help="folder of the adapter")
    parser.add_argument("--examples", type=int, default=None)
    parser.add_argument("--held-out", type=int, default=40, help="of each language")
    parser.add_argument("--rank", type=int, default=None)
    parser.add_argument("--first-layer", type=int, default=None, help="layers below it are not trained")
    parser.add_argument("--start", type=Path, default=None, help="folder of an adapter to go on from")
    parser.add_argument("--seed", type=int, default=SEED, help="another one draws other examples")
    parser.add_argument("--python", type=float, default=SHARES["python"], help="share of the examples")
    arguments = parser.parse_args()
    recipe = RECIPES.get(arguments.model, Recipe())
    for name, value in asdict(recipe).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    settle()
    bound_primitives()
    out = arguments.out or Path(__file__).parent / arguments.model
    shares = _shares(arguments.python)
    parts = _parts()
    loaded = load_model(arguments.model)
    training = [
        sequence
        for language, share in shares.items()
        for sequence in _sequences(
            loaded.tokenizer,
            [part for part in parts if part.language == language and not part.package.held_out],
            round(share * arguments.examples),
            arguments.seed,
        )
    ]
    held_out = {
        language: _sequences(
            loaded.tokenizer,
            [part for part in parts if part.language == language and part.package.held_out],
            arguments.held_out,
            SEED,
        )
        for language in SHARES
        if any(part.language == language and part.package.held_out for part in parts)
    }
    settings = replace(TRAIN, first_layer=arguments.first_layer)
    lora = LoraSettings(rank=arguments.rank, alpha=2 * arguments.rank)
    model = resume(loaded.model, arguments.start) if arguments.start else attach(loaded.model, lora)
    decoder = make_decoder(model, arguments.first_layer)
    checkpoint = Checkpoint(
        cache_dir() / f"foundation-{arguments.model}.checkpoint",
        key_of(
            settings.as_dict(),
            arguments.seed,
            f"{arguments.model}:{arguments.rank}:{arguments.start or ''}",
            training,
        ),
    )
    print(f"{len(training)} examples of {sum(len(s.ids) for s in training)} tokens", flush=True)
    with Progress() as bar:
        task = bar.add_task("training", total=1.0)
        report = train(
            model,
            decoder,
            training,
            settings,
            seed=arguments.seed,
            checkpoint=checkpoint,
            on_step=lambda step: bar.update(
                task,
                completed=step.fraction,
                description=f"step {step.step}  loss {step.loss:.2f}  {step.tokens / step.seconds:.0f} tokens/s",
            ),
        )
    print(f"{report.steps} steps, {report.seconds:.0f} s", flush=True)
    weights_sha256 = save_adapter(model, out)
    after = _measure(loaded, decoder, held_out)
    del decoder, model
    bare = load_model(arguments.model)
    before = _measure(bare, make_decoder(bare.model, bare.model.config.num_hidden_layers), held_out)
    manifest = replace(
        _manifest(lora, settings, shares, arguments.seed, training, held_out, report, arguments.start),
        base=BaseInfo(arguments.model, loaded.record.source_sha256, loaded.record.tokenizer_sha256),
        weights_sha256=weights_sha256,
        figures={
            "held_out_packages": sorted({p.package.name for p in parts if p.package.held_out}),
            "base": before,
            "foundation": after,
        },
    )
    write_atomic(out / "manifest.json", manifest.to_json().encode(), mode=0o644)
    checkpoint.remove()
    print(f"written to {out}")


def _shares(python: float) -> dict[str, float]:
    """``SHARES`` with another one of Python."""
    rest = (1 - python) / (1 - SHARES["python"])
    others = {language: round(share * rest, 4) for language, share in SHARES.items()}
    return others | {"python": python}


def _parts() -> list[_Part]:
    result = []
    for package in packages():
        by_language: dict[str, list[File]] = {}
        for file in fetch(package, cache_folder()):
            by_language.setdefault(file.language, []).append(file)
        result += [_Part(package, language, files) for language, files in by_language.items()]
    return result


def _sequences(
    tokenizer: CodeTokenizer, parts: Sequence[_Part], count: int, seed: int
) -> list[TokenSequence]:
    """``count`` examples of one language, from all packages."""
    total = sum(part.weight for part in parts)
    result: list[TokenSequence] = []
    for part in parts:
        wanted = max(1, round(count * part.weight / total))
        examples = make_examples(part.files, wanted, seed=seed, mix=MIX)
        context = neighbour_snippets(part.files, seed=seed)
        result += encode_all(
            tokenizer, examples, seed=seed, max_prompt=MAX_PROMPT, context=context, context_share=0.35
        )
    return result


def _measure(
    loaded: Loaded, decoder: Decoder, held_out: Mapping[str, Sequence[TokenSequence]]
) -> dict[str, dict[str, float]]:
    """Figures by language."""
    result = {}
    for language, sequences in held_out.items():
        scores = evaluate(
            decoder,
            Prompts(sequences),
            write=loaded.tokenizer.decode,
            end=loaded.tokenizer.end_id,
        )
        result[language] = _figures(scores)
        print(f"  {language:<12} {result[language]}", flush=True)
    return result


def _figures(scores: Scores) -> dict[str, float]:
    return {
        "holes": float(len(scores.exact)),
        "nll": round(scores.nll, 4),
        "exact_match": round(scores.exact_match, 4),
        "edit_similarity": round(scores.edit_similarity, 4),
        "stop_rate": round(scores.stop_rate, 4),
    }


def _manifest(
    lora: LoraSettings,
    settings: TrainSettings,
    shares: Mapping[str, float],
    seed: int,
    training: Sequence[TokenSequence],
    held_out: Mapping[str, Sequence[TokenSequence]],
    report: TrainReport,
    start: Path | None,
) -> Manifest:
    """Examples, tokens and seconds are with those of ``start``."""
    before = Manifest.from_json((start / "manifest.json").read_text(encoding="utf-8")) if start else None
    tokens = sum(len(s.ids) for s in training)
    return Manifest(
        version="foundation",
        parent=before.weights_sha256 if before else None,
        base=BaseInfo("", "", ""),
        settings={
            "lora": lora.as_dict(),
            "train": settings.as_dict(),
            "max_prompt": MAX_PROMPT,
            "mix": shares,
        },
        seed=seed,
        data=DataInfo(
            len(training) + (before.data.examples if before else 0),
            tokens + (before.data.tokens if before else 0),
            sum(len(part) for part in held_out.values()),
        ),
        cost=Cost(
            round(report.seconds + (before.cost.seconds if before else 0.0), 1),
            peak_rss_mb(),
            round(report.tokens / report.seconds, 1),
        ),
        sources=tuple(
            Source(package.name, package.version, package.licence, package.reference)
            for package in packages()
            if not package.held_out
        ),
    )


if __name__ == "__main__":
    main()
