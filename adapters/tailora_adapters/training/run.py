"""One training run from beginning to end: data, training, gate, promotion.

The invariant: what serves is touched only by ``store.promote`` of a version that is complete on disk and passed
every check. Knows nothing of processes or of who asked (``worker`` and the command line do).
"""

import contextlib
import logging
import math
import resource
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel

from tailora_adapters import forget, foundation
from tailora_adapters._store_files import writing
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.device import default_device
from tailora_adapters.base.load import Loaded, load_model
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.replay import FILE_NAME, Reservoir
from tailora_adapters.corpus.select import tally
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import AdapterCorrupt, TooLittleData, TrainingFailed
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, GateResult, Manifest
from tailora_adapters.methods import LoraSettings, attach, freeze_below, resume
from tailora_adapters.store import AdapterVersion, ProjectStore, Store
from tailora_adapters.training.data import DataSettings, RunData, gather, generic_sequences
from tailora_adapters.training.evaluate import Scores, evaluate
from tailora_adapters.training.gate import GateSettings, decide
from tailora_adapters.training.loop import Kept, TrainReport, TrainSettings, train
from tailora_adapters.training.save import save_adapter
from tailora_adapters.training.split import SplitDecoder

__all__ = ["Outcome", "RunSettings", "run"]

_log = logging.getLogger(__name__)

Stage = Literal["selecting", "loading", "preparing", "training", "gating"]
Progress = Callable[[Stage, float, str], None]

_SHARES: dict[Stage, tuple[float, float]] = {
    "selecting": (0.0, 0.03),
    "loading": (0.03, 0.06),
    "preparing": (0.06, 0.25),
    "training": (0.25, 0.85),
    "gating": (0.85, 1.0),
}
_FROM_FOUNDATION_EVERY = 5
"""Runs in a row that continue from the serving adapter before one starts from the foundation again: bounds drift."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that decides about a run, for its manifest."""

    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings(
        learning_rate=8e-4, batch=4, max_steps=240, max_epochs=2.0, prompt_labels=384, prompt_weight=1.0
    )
    gate: GateSettings = GateSettings()
    lora: LoraSettings = LoraSettings()
    lower_share: float = 0.5
    """Share of the layers, from below, that are left as the foundation has them."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    decision: Literal["promoted", "rejected", "too_little_data"]
    reason: str
    version: str | None = None
    gate: GateResult | None = None
    manifest: Manifest | None = None

    def event(self) -> dict[str, Any]:
        """The worker protocol's last line."""
        gate = None
        if self.gate is not None:
            gate = {
                "version": self.version,
                "decision": self.gate.decision,
                "reason": self.gate.reason,
                "checks": [
                    {
                        "name": c.name,
                        "passed": c.passed,
                        "value": c.value,
                        "limit": c.limit,
                        "message": c.message,
                    }
                    for c in self.gate.checks
                ],
                **self.gate.figures,
            }
        return {
            "event": "done",
            "decision": self.decision,
            "version": self.version,
            "reason": self.reason,
            "gate": gate,
        }


def run(
    root: Path,
    model: str,
    *,
    settings: RunSettings = RunSettings(),
    changed: Collection[str] = (),
    store: Store | None = None,
    progress: Progress = lambda _stage, _fraction, _message: None,
) -> Outcome:
    """Trains a candidate for the repository at ``root`` and promotes it if the gate lets it.

    Raises:
        TrainingBusy: another process trains this project.
        ModelMissing, ModelCorrupt: the base model.
        CorpusError: the repository cannot be read.
        TrainingFailed: the loss diverged.
        StoreUnwritable: the candidate cannot be kept.
    """
    project = (store or Store()).project(root)
    began = time.monotonic()
    report = _Reporter(progress)
    with project.candidate() as candidate:
        folder, _ = cache.open_record(catalogue.find(model))
        replay = Reservoir(project.directory / FILE_NAME, seed=settings.seed)
        try:
            data = gather(
                root,
                CodeTokenizer.from_folder(folder),
                settings.data,
                changed=changed,
                trained=_trained(project),
                forgotten=forget.forgotten(project),
                replay=replay,
                seed=settings.seed,
                progress=lambda done, text: report("selecting", done, text),
            )
        except TooLittleData as error:
            return Outcome("too_little_data", str(error))
        report("loading", 0.0, f"loading {model}")
        device = default_device()
        # QLoRA (Dettmers et al., arXiv 2305.14314) where there is a GPU; not measured yet.
        loaded = load_model(model, quantization="nf4" if device == "cuda" else "none", device=device)
        session = _Session(loaded, project, settings, data, report)
        train_report = session.train()
        gate = session.judge()
        report("gating", 1.0, gate.reason)
        with writing(candidate.path):
            save_adapter(session.model, candidate.path)
        manifest = _manifest(session, gate, train_report, time.monotonic() - began)
        version = candidate.commit(manifest)
        if gate.decision == "promoted":
            project.promote(version.version)
            replay.update(data.files, time.time())
        else:
            project.reject(version.version)
        with contextlib.suppress(OSError):
            project.prune()
    return Outcome(gate.decision, gate.reason, version.version, gate, version.manifest)


class _Reporter:
    """Fractions of stages to one fraction of the whole."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, stage: Stage, fraction: float, message: str) -> None:
        low, high = _SHARES[stage]
        self._progress(stage, low + (high - low) * min(1.0, max(0.0, fraction)), message)


@dataclass(slots=True)
class _Session:
    """The model with its adapters, and the scores that the gate needs."""

    loaded: Loaded
    project: ProjectStore
    settings: RunSettings
    data: RunData
    report: _Reporter
    model: PeftModel = field(init=False)
    parent: str | None = field(init=False)
    first_layer: int = field(init=False)
    base: Scores = field(init=False)
    serving: Scores | None = field(init=False, default=None)
    generic_base: Scores | None = field(init=False, default=None)
    start_norm: float = field(init=False)
    _held_out_kept: Kept = field(init=False)
    _generic: list[TokenSequence] = field(init=False)
    _generic_kept: Kept | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        layers = self.loaded.model.config.num_hidden_layers
        self.first_layer = int(layers * self.settings.lower_share)
        floor = foundation.find(self.loaded.record.name)
        served = self.project.serving()
        start = (
            served
            if served is not None
            and served.withdrawn is None
            and _depth(self.project, served) < _FROM_FOUNDATION_EVERY
            else None
        )
        self.model, self.parent = self._start(floor, start)
        self._generic = generic_sequences(self.loaded.tokenizer, self.settings.data)
        self._score_references(floor, served)
        freeze_below(self.model, self.first_layer)
        self.start_norm = _norm(self.model)

    def _start(
        self, floor: foundation.FoundationAdapter | None, start: AdapterVersion | None
    ) -> tuple[PeftModel, str | None]:
        if start is not None:
            try:
                return resume(self.loaded.model, start.path), start.version
            except AdapterCorrupt as error:
                _log.warning("%s: starting from the foundation instead", error)
        if floor is not None:
            return resume(self.loaded.model, floor.path), "foundation"
        return attach(self.loaded.model, self.settings.lora), None

    def _score_references(
        self, floor: foundation.FoundationAdapter | None, served: AdapterVersion | None
    ) -> None:
        """Scores the base (with the foundation adapter where there is one) and what serves now.

        Activations below the cut are the same for all of them, since training never touches those layers.
        """
        decoder = SplitDecoder(self.model, self.first_layer)
        with self._as(floor.path if floor else None, "foundation", self.parent):
            self._held_out_kept = Kept(decoder, self.data.held_out)
            self.base = evaluate(
                decoder,
                self.data.held_out,
                kept=self._held_out_kept,
                progress=lambda done: self.report("preparing", 0.8 * done, "measuring what serves now"),
            )
            if self._generic:
                self._generic_kept = Kept(decoder, self._generic)
                self.generic_base = evaluate(decoder, self._generic, kept=self._generic_kept)
        if served is not None:
            with self._as(served.path, served.version, self.parent):
                self.serving = evaluate(decoder, self.data.held_out, kept=self._held_out_kept)
        self.report("preparing", 1.0, "measuring what serves now")

    @contextlib.contextmanager
    def _as(self, folder: Path | None, name: str, current: str | None) -> Iterator[None]:
        """The model as it is under another adapter (None: the bare base)."""
        if name == current or (folder is None and current is None):
            yield  # what training starts from: loaded already, or a LoRA that is still zero
        elif folder is None:
            with self.model.disable_adapter():
                yield
        else:
            self.model.load_adapter(str(folder), adapter_name="reference")
            self.model.set_adapter("reference")
            try:
                yield
            finally:
                self.model.set_adapter("default")
                self.model.delete_adapter("reference")

    def train(self) -> TrainReport:
        """Trains the layers above the cut."""
        settings = replace(self.settings.train, first_layer=self.first_layer)
        return train(
            self.model,
            self.data.training,
            settings,
            seed=self.settings.seed,
            on_step=lambda step: self.report(
                "training",
                step.fraction,
                f"step {step.step}, loss {step.loss:.2f}, {step.tokens / step.seconds:.0f} tokens/s",
            ),
        )

    def judge(self) -> GateResult:
        """Scores the candidate and asks the gate."""
        decoder = SplitDecoder(self.model, self.first_layer)
        scores = evaluate(
            decoder,
            self.data.held_out,
            kept=self._held_out_kept,
            progress=lambda done: self.report("gating", 0.8 * done, "measuring the candidate"),
        )
        generic = None
        if self.generic_base is not None:
            generic = (evaluate(decoder, self._generic, kept=self._generic_kept), self.generic_base)
        norm_ratio = _norm(self.model) / self.start_norm if self.start_norm else 1.0
        return decide(
            scores,
            self.base,
            self.serving,
            generic=generic,
            norm_ratio=norm_ratio,
            settings=self.settings.gate,
        )


def _trained(project: ProjectStore) -> set[str]:
    """Paths that any version learned: these can no longer be held out."""
    return {
        file.path
        for version in project.versions()
        if version.manifest
        for file in version.manifest.data.files
    }


def _depth(project: ProjectStore, version: AdapterVersion) -> int:
    """How many runs lie between a version and the foundation."""
    depth, manifest = 1, version.manifest
    known = {other.version: other.manifest for other in project.versions()}
    while manifest is not None and manifest.parent in known and depth < _FROM_FOUNDATION_EVERY:
        manifest = known[manifest.parent]
        depth += 1
    return depth


@torch.no_grad()
def _norm(model: PeftModel) -> float:
    """Frobenius norm of the whole update: root of the sum over modules of |scale B A|^2."""
    total = 0.0
    for module in model.modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            # |B A|^2 = trace((B^T B)(A A^T)): never forms the full matrix.
            total += float(((b.T @ b) * (a @ a.T)).sum()) * module.scaling["default"] ** 2
    if not math.isfinite(total):
        raise TrainingFailed("the adapter's weights are not numbers any more: lower the learning rate")
    return math.sqrt(total)


def _manifest(session: _Session, gate: GateResult, report: TrainReport, seconds: float) -> Manifest:
    record, data, settings = session.loaded.record, session.data, session.settings
    counts: dict[str, int] = {}
    for sequence in data.training:
        counts[sequence.example.path] = counts.get(sequence.example.path, 0) + 1
    return Manifest(
        base=BaseInfo(record.name, record.source_sha256, record.tokenizer_sha256),
        parent=session.parent,
        settings={
            "train": replace(settings.train, first_layer=session.first_layer).as_dict(),
            "steps": report.steps,
            "examples": settings.data.examples,
            "max_prompt": settings.data.max_prompt,
        },
        seed=settings.seed,
        data=DataInfo(
            examples=len(data.training),
            tokens=report.tokens,
            held_out_examples=len(data.held_out),
            files=tuple(FileInfo(file.path, file.sha256, counts[file.path]) for file in data.files),
            rejected=tally(data.rejected),
        ),
        cost=Cost(round(seconds, 1), peak_rss_mb(), round(report.tokens / report.seconds, 1)),
        gate=gate,
    )


def peak_rss_mb() -> float:
    """Most memory that this process ever held, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
