"""Trains a foundation adapter from permissively licensed packages: ``python -m tailora_adapters.foundation.build``.

Sources are pinned by version and hash (``sources.json``), fetched by pip and only read. Packages marked
``held_out`` are measured on and never trained on. Deterministic for a seed, up to the machine's arithmetic.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from rich.progress import Progress

from tailora_adapters.base.cache import hash_file
from tailora_adapters.base.load import load_model
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.context import neighbour_snippets
from tailora_adapters.corpus.examples import FimExample, SpanMix, make_examples
from tailora_adapters.corpus.sequences import TokenSequence, encode_all
from tailora_adapters.errors import FetchFailed
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, Manifest, Source
from tailora_adapters.methods import LoraSettings, attach
from tailora_adapters.paths import write_atomic
from tailora_adapters.training.evaluate import Scores, evaluate
from tailora_adapters.training.loop import TrainReport, TrainSettings, train
from tailora_adapters.training.save import save_adapter
from tailora_adapters.training.split import SplitDecoder

__all__ = ["main"]

SEED = 20261124
LORA = LoraSettings(rank=8, alpha=16)
TRAIN = TrainSettings(learning_rate=3e-4, warmup_share=0.1, batch=4, max_steps=280, max_epochs=1.0)
EXAMPLES_PER_PACKAGE = 40
HELD_OUT_PER_PACKAGE = 32
MAX_PROMPT = 320
MIX = SpanMix(line_end=0.35, line=0.40, block=0.18, random=0.07, from_margin=0.5, with_newline=0.4)


@dataclass(frozen=True, slots=True)
class _Package:
    name: str
    version: str
    licence: str
    wheel: str
    sha256: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    language: str
    text: str


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--out", type=Path, default=None, help="folder of the adapter")
    parser.add_argument("--steps", type=int, default=TRAIN.max_steps)
    arguments = parser.parse_args()
    out = arguments.out or Path(__file__).parent / arguments.model
    packages = [
        _Package(**entry) for entry in json.loads(Path(__file__).with_name("sources.json").read_text())
    ]
    loaded = load_model(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        files = {package: _files(package, Path(folder)) for package in packages}
    training = [
        sequence
        for package, sources in files.items()
        if not package.held_out
        for sequence in _sequences(loaded.tokenizer, sources, EXAMPLES_PER_PACKAGE)
    ]
    held_out = [
        sequence
        for package, sources in files.items()
        if package.held_out
        for sequence in _sequences(loaded.tokenizer, sources, HELD_OUT_PER_PACKAGE)
    ]
    settings = replace(TRAIN, max_steps=arguments.steps)
    before = evaluate(SplitDecoder(loaded.model, 0), held_out)
    print(f"{len(training)} examples, {len(held_out)} held out: {_line(before)}", flush=True)
    model = attach(loaded.model, LORA)
    with Progress() as bar:
        task = bar.add_task("training", total=1.0)
        report = train(
            model,
            training,
            settings,
            seed=SEED,
            on_step=lambda step: bar.update(
                task,
                completed=step.fraction,
                description=f"step {step.step}  loss {step.loss:.2f}  {step.tokens / step.seconds:.0f} tokens/s",
            ),
        )
    after = evaluate(SplitDecoder(model, 0), held_out)
    print(f"after {report.steps} steps, {report.seconds:.0f} s: {_line(after)}")
    weights_sha256 = save_adapter(model, out)
    manifest = _manifest(packages, settings, training, held_out, report, before, after)
    manifest = replace(
        manifest,
        base=BaseInfo(arguments.model, loaded.record.source_sha256, loaded.record.tokenizer_sha256),
        weights_sha256=weights_sha256,
    )
    write_atomic(out / "manifest.json", manifest.to_json().encode(), mode=0o644)
    print(f"written to {out}")


def _manifest(
    packages: list[_Package],
    settings: TrainSettings,
    training: list[TokenSequence],
    held_out: list[TokenSequence],
    report: TrainReport,
    before: Scores,
    after: Scores,
) -> Manifest:
    return Manifest(
        version="foundation",
        base=BaseInfo("", "", ""),
        settings={"lora": LORA.as_dict(), "train": settings.as_dict(), "max_prompt": MAX_PROMPT},
        seed=SEED,
        data=DataInfo(len(training), sum(len(s.ids) for s in training), len(held_out)),
        cost=Cost(
            round(report.seconds, 1),
            round(psutil.Process().memory_info().rss / 2**20),
            round(report.tokens / report.seconds, 1),
        ),
        sources=tuple(
            Source(
                package.name,
                package.version,
                package.licence,
                f"pypi:{package.wheel}#sha256={package.sha256}",
            )
            for package in packages
            if not package.held_out
        ),
        figures={
            "held_out_packages": [package.name for package in packages if package.held_out],
            "base": _figures(before),
            "foundation": _figures(after),
        },
    )


def _figures(scores: Scores) -> dict[str, float]:
    return {
        "nll": round(scores.nll, 4),
        "exact_match": round(scores.exact_match, 4),
        "stop_rate": round(scores.stop_rate, 4),
    }


def _line(scores: Scores) -> str:
    return f"loss {scores.nll:.3f}, exact {scores.exact_match:.1%}, stops {scores.stop_rate:.1%}"


def _sequences(tokenizer: CodeTokenizer, sources: list[_File], count: int) -> list[TokenSequence]:
    examples: list[FimExample] = make_examples(sources, count, seed=SEED, mix=MIX)
    context = neighbour_snippets(sources, seed=SEED)
    return encode_all(
        tokenizer, examples, seed=SEED, max_prompt=MAX_PROMPT, context=context, context_share=0.35
    )


def _files(package: _Package, folder: Path) -> list[_File]:
    """The Python sources of a pinned wheel, tests and data left out.

    Raises:
        FetchFailed: pip cannot bring it, or it is not the pinned file.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
    ]
    done = subprocess.run(
        [*command, f"{package.name}=={package.version}"], capture_output=True, text=True, check=False
    )
    wheel = folder / package.wheel
    if done.returncode != 0 or not wheel.is_file() or hash_file(wheel) != package.sha256:
        raise FetchFailed(f"{package.wheel} cannot be fetched as pinned: {done.stderr[-300:]}")
    files = []
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if not name.endswith(".py") or any("test" in part or part in _LEFT_OUT for part in parts):
                continue
            text = archive.read(name).decode("utf-8", "replace").replace("\r\n", "\n")
            if 400 < len(text) < 100_000:
                files.append(_File(name, "python", text))
    print(f"{package.name} {package.version}: {len(files)} files", flush=True)
    return files


_LEFT_OUT = frozenset({"locale", "locales", "_unicode_data", "migrations", "conf"})


if __name__ == "__main__":
    main()
