"""The runs of one method for one task: the grid of learning rates, the other seeds, and how fast it serves.

Knows nothing of other methods.
"""

import functools
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from tailora.bench.served_methods import describe, measure
from tailora.evaluation.methods import document
from tailora.evaluation.methods.places import read_json, write_json
from tailora.evaluation.methods.work import USUAL, Work
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import TrainingDiverged, TrainingFailed
from tailora_adapters.methods import Method, method_named, settings_of
from tailora_adapters.methods.allocation import allocation_of
from tailora_adapters.methods.attached import Attached
from tailora_adapters.training.adapters import Session, load_alone
from tailora_adapters.training.batches import collate
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.energy import measured_energy
from tailora_adapters.training.full import WholeModel
from tailora_adapters.training.loop import Anchors, Kept, StepReport, TrainReport, TrainSettings, train
from tailora_adapters.training.memory import give_back, peak_rss_mb
from tailora_adapters.training.save import WEIGHTS_FILE, config_text, save_adapter

__all__ = ["Trainings"]

_BATCH = 512
"""Tokens of a training step: budgets are small, and steps are needed as much as tokens."""
_MOST_STEPS = 10_000
_DIVERGED = 1.5
"""A validation loss above so many times the start's is no training."""
_GRID = ("learning_rate", "status", "validation_loss", "message")


@dataclass(slots=True)
class _Trained:
    """A model that one run left."""

    model: Attached
    decoder: Decoder
    report: TrainReport
    steps: list[StepReport]
    watt_hours: float | None
    trainable: int
    total: int
    settings: TrainSettings
    below_seconds: float = 0.0
    """What it took to read the sequences through the lower half, which is done once for all runs."""


@dataclass(slots=True)
class Trainings(Work):
    """One method's runs."""

    _kept: Kept | None = field(default=None)
    _below_seconds: float = 0.0
    _below_watt_hours: float = 0.0
    _started: float | None = None
    """Validation loss before training."""

    @property
    def method(self) -> Method:
        """Of all runs here."""
        assert self.cell.method is not None
        return method_named(self.cell.method)

    def run(self) -> None:
        """Grid, seeds, and how fast it serves."""
        comparison, task, method = self.comparison, self.cell.task, self.method
        first, *others = comparison.seeds
        rates = comparison.grid(method.name)
        steps = len(rates) + len(others) + 1
        for number, rate in enumerate(rates):
            self._try(rate, number / steps, steps)
        grid = [self._record(rate) for rate in rates]
        good = [row for row in grid if row["validation_loss"] is not None]
        if not good:
            self._all_failed(grid)
            return
        best = min(good, key=lambda row: row["validation_loss"])
        rate = float(best["learning_rate"])
        told = [{name: row[name] for name in _GRID} for row in grid]
        ready = {first: read_json(self.places.attempt(task, method.name, rate))["document"]}
        for number, seed in enumerate(others):
            place = self.places.unfinished(task, method.name, seed)
            if not place.exists():
                write_json(place, self._one(rate, seed, (len(rates) + number) / steps, 1 / steps))
            ready[seed] = read_json(place)
        self.progress((steps - 1) / steps, "how fast it serves")
        latency = self._latency()
        for seed, made in ready.items():
            made["train_info"]["grid"] = told
            if made["train_info"]["status"] == "success":
                made["test_info"]["latency"] = latency
            write_json(self.places.result(task, method.name, seed), made)
        self.places.clean(task, method.name)
        self.progress(1.0, f"{method.title} done")

    def _record(self, rate: float) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.places.attempt(self.cell.task, self.method.name, rate))
        return found

    def _try(self, rate: float, begin: float, steps: int) -> None:
        """One learning rate of the grid; tested at once if it is the best so far, while the model is there."""
        place = self.places.attempt(self.cell.task, self.method.name, rate)
        if place.exists():
            return
        seed = self.comparison.seeds[0]
        began = time.monotonic()
        row: dict[str, Any] = {
            "learning_rate": rate,
            "status": "success",
            "validation_loss": None,
            "message": "",
        }
        made = None
        try:
            trained = self._train(rate, seed, begin, 1 / steps)
            loss = self.questions.validate(trained.decoder)
            limit = _DIVERGED * (self._started or math.inf)
            if not math.isfinite(loss) or loss > limit:
                row |= {
                    "status": "diverged",
                    "message": f"the validation loss became {loss:.3f}, from {self._started:.3f}",
                }
            else:
                row["validation_loss"] = round(loss, 6)
                if loss < self._best_so_far():
                    made = self._told(trained, rate, seed, began, keep=True)
        except TrainingFailed as error:
            diverged = isinstance(error, TrainingDiverged)
            row |= {"status": "diverged" if diverged else "failed", "message": str(error)}
        write_json(place, {**row, "document": made})

    def _best_so_far(self) -> float:
        found = [
            read_json(self.places.attempt(self.cell.task, self.method.name, rate))
            for rate in self.comparison.grid(self.method.name)
        ]
        return min(
            (row["validation_loss"] for row in found if row and row["validation_loss"] is not None),
            default=math.inf,
        )

    def _all_failed(self, grid: list[dict[str, Any]]) -> None:
        reasons = "; ".join(f"{row['learning_rate']:g}: {row['message']}" for row in grid)
        for seed in self.comparison.seeds:
            info = {"status": "failed", "grid": [{name: row[name] for name in _GRID} for row in grid]}
            made = self.document(
                self.method.name,
                self.method.title,
                seed,
                time.monotonic(),
                info,
                role="method",
                error_msg=f"no learning rate of the grid could be trained with: {reasons}",
            )
            write_json(self.places.result(self.cell.task, self.method.name, seed), made)
        self.places.clean(self.cell.task, self.method.name)

    def _one(self, rate: float, seed: int, begin: float, share: float) -> dict[str, Any]:
        began = time.monotonic()
        try:
            return self._told(self._train(rate, seed, begin, share), rate, seed, began, keep=False)
        except TrainingFailed as error:
            return self.document(
                self.method.name,
                self.method.title,
                seed,
                began,
                {"status": "failed", "learning_rate": rate},
                role="method",
                error_msg=str(error),
            )

    def _train(self, rate: float, seed: int, begin: float, share: float) -> _Trained:
        run = f"{self.method.title}, seed {seed}, learning rate {rate:g}"
        self.progress(begin, run)
        sequences = [*self.questions.material.training, *self.questions.material.anchors]
        anchored = range(len(self.questions.material.training), len(sequences))
        settings = replace(
            USUAL.train,
            **self.questions.task.train,
            learning_rate=rate,
            batch_tokens=_BATCH,
            max_steps=_MOST_STEPS,
            max_epochs=self.questions.material.epochs,
        )
        steps: list[StepReport] = []

        def on_step(step: StepReport) -> None:
            steps.append(step)
            self.progress(
                begin + 0.7 * share * step.fraction,
                f"{run}, step {step.step}, loss {step.loss:.2f}",
            )

        learn = functools.partial(train, seed=seed, on_step=on_step)
        if self.method.parts:
            return self._train_adapter(sequences, anchored, settings, seed, learn, steps)
        whole = WholeModel(self.comparison.model)
        torch.manual_seed(seed)
        self._note_start(whole.decoder)
        anchors = whole.anchors(sequences, anchored)
        with measured_energy() as energy:
            report = learn(whole.model, whole.decoder, sequences, settings, anchors=anchors)
        total = sum(parameter.numel() for parameter in whole.model.base.parameters())
        return _Trained(
            whole.model, whole.decoder, report, steps, energy.watt_hours, whole.trainable, total, settings
        )

    def _train_adapter(
        self,
        sequences: list[TokenSequence],
        anchored: range,
        settings: TrainSettings,
        seed: int,
        learn: Callable[..., TrainReport],
        steps: list[StepReport],
    ) -> _Trained:
        shape = self._shape
        session = Session(
            self.comparison.model,
            None,
            method=self.method,
            shape=shape,
            lower_share=USUAL.lower_share,
            seed=seed,
        )
        settings = replace(settings, first_layer=session.first_layer)
        self._note_start(session.decoder)
        if session.first_layer and self._kept is None:
            self._read_below(session.decoder, sequences)
        parameters = session.model.parameters()
        trainable = sum(p.numel() for p in parameters.values() if p.requires_grad)
        anchors = Anchors(session.decoder, sequences, anchored, session.as_base)
        with measured_energy() as energy:
            report = learn(
                session.model,
                session.decoder,
                sequences,
                settings,
                anchors=anchors,
                allocation=allocation_of(session.model, shape),
                kept=self._kept,
            )
        if self.method.linear:  # as it is saved
            session.put(session.scaled(session.values(), 1.0))
        total = sum(p.numel() for p in session.model.base.parameters()) + sum(
            p.numel() for p in parameters.values() if self.method.whole
        )
        return _Trained(
            session.model,
            session.decoder,
            report,
            steps,
            None if energy.watt_hours is None else round(energy.watt_hours + self._below_watt_hours, 6),
            trainable,
            total,
            settings,
            self._below_seconds,
        )

    @property
    def _shape(self) -> Any:
        return settings_of(self.method, self.comparison.settings.get(self.method.name, {}))

    def _note_start(self, decoder: Decoder) -> None:
        if self._started is None:
            self._started = self.questions.validate(decoder)

    def _read_below(self, decoder: Decoder, sequences: list[TokenSequence]) -> None:
        """What the lower half makes of the sequences, once for all runs; time and energy are counted in each."""
        began = time.monotonic()
        kept = Kept(sequences)
        with measured_energy() as energy:
            for index in range(len(sequences)):
                kept.get(collate(sequences, [index], decoder.device), decoder)
        self._kept, self._below_seconds = kept, time.monotonic() - began
        self._below_watt_hours = energy.watt_hours or 0.0

    def _told(self, trained: _Trained, rate: float, seed: int, began: float, *, keep: bool) -> dict[str, Any]:
        """The run's document, without the grid and without how fast it serves."""
        report = trained.report
        seconds = report.seconds + trained.below_seconds
        size, decoder = self._saved(trained, keep=keep)
        peak = int(peak_rss_mb() * 2**20)
        info = {
            "peak_rss": peak,
            "train_time": round(seconds, 2),
            "file_size": size,
            "num_trainable_params": trained.trainable,
            "num_total_params": trained.total,
            "metrics": [
                {
                    "step": step.step,
                    "train loss": round(step.loss, 5),
                    "train time": round(step.seconds, 2),
                    "train total tokens": step.tokens,
                    "learning rate": rate,
                }
                for step in trained.steps
            ],
            "tokens": report.tokens,
            "tokens_per_second": round(report.tokens / max(seconds, 0.001), 2),
            "steps": report.steps,
            "learning_rate": rate,
            "energy": {
                "watt_hours": trained.watt_hours,
                "estimated": True,
                "source": f"codecarbon {document.version_of('codecarbon')}, offline"
                if trained.watt_hours is not None
                else "not measured: the extra `energy` is not installed, or could not tell",
            },
            "money": document.money(self.comparison.prices, trained.watt_hours, seconds),
        }
        made = self.document(
            self.method.name,
            self.method.title,
            seed,
            began,
            info,
            role="method",
            train_config={
                **trained.settings.as_dict(),
                "sizes": asdict(self.comparison.sizes),
                "method": asdict(self._shape),
            },
            peft_config=json.loads(config_text(trained.model)) if self.method.parts else None,
        )
        made["test_info"] = self.tested(decoder)
        made["run_info"]["total_time"] = round(time.monotonic() - began, 1)
        return made

    def _saved(self, trained: _Trained, *, keep: bool) -> tuple[int, Decoder]:
        """Bytes of the saved adapter, and the model to ask: where training computed on a quantized base, what was
        saved on the base that serves."""
        if not self.method.parts:
            return 4 * trained.trainable, trained.decoder
        folder = self.places.adapter(self.cell.task, self.method.name, keep=keep)
        save_adapter(trained.model, folder)
        describe(self.comparison.model, self.method, folder)
        size = (folder / WEIGHTS_FILE).stat().st_size
        if self.method.quantization is None:
            return size, trained.decoder
        method = replace(self.method, quantization=None)
        return size, load_alone(self.comparison.model, folder, trained.settings.first_layer, method).decoder

    def _latency(self) -> dict[str, Any] | None:
        folder = self.places.adapter(self.cell.task, self.method.name, keep=True)
        if not self.comparison.latency_repeats or not (folder / WEIGHTS_FILE).exists():
            return None
        self._kept = None
        self.questions = self.questions.anew()
        give_back()
        found = measure(self.comparison.model, {self.method.name: folder}, self.comparison.latency_repeats)
        own, base = found[self.method.name], found["base"]
        return {
            **own,
            "decode_ms_per_token_base": base["decode_ms_per_token"],
            "prefill_ms_base": base["prefill_ms"],
            "overhead": own["decode_over_base"],
        }
