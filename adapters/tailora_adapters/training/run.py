"""One training run from beginning to end: data, training, gate, promotion.

The invariant: what serves is touched only by ``store.promote`` of a version that is complete on disk and passed
every check. Knows nothing of processes or of who asked (``worker`` and the command line do).
"""

import functools
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tailora_adapters import foundation
from tailora_adapters._store_files import writing
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.replay import FILE_NAME, Reservoir
from tailora_adapters.corpus.select import tally
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import AdapterCorrupt, StoreError, TooLittleData
from tailora_adapters.manifest import Ancestry, Check, Cost, DataInfo, FileInfo, GateResult, Manifest, encode
from tailora_adapters.methods import Method, Settings, method_named, settings_of
from tailora_adapters.methods.allocation import allocation_of
from tailora_adapters.store import CHECKPOINT, AdapterVersion, ProjectStore, Store
from tailora_adapters.training import leaks, scale
from tailora_adapters.training.adapters import Session, Values, measure_alone, update_norm
from tailora_adapters.training.checkpoint import Checkpoint, key_of
from tailora_adapters.training.data import DataSettings, RunData, generic_sequences
from tailora_adapters.training.energy import measured_energy
from tailora_adapters.training.evaluate import Scores
from tailora_adapters.training.exam import Exam, Results
from tailora_adapters.training.gate import GateSettings, decide, may_pass_half_as_far
from tailora_adapters.training.loop import Anchors, Learn, TrainReport, TrainSettings, train
from tailora_adapters.training.memory import peak_rss_mb
from tailora_adapters.training.plan import Plan, make_plan
from tailora_adapters.training.purpose import COMPLETION, Purpose
from tailora_adapters.training.readable import unreadable
from tailora_adapters.training.remembered import ScoreMemory
from tailora_adapters.training.save import save_adapter

__all__ = ["Outcome", "RunSettings", "judge", "run"]

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
SCORES = "scores.json"
"""In the project's folder of the store."""
GENERIC_SCORES = "generic-scores.json"
"""In the base model's folder."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that decides about a run, for its manifest."""

    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings(max_steps=1_000, max_epochs=1.0, prompt_weight=3.0, end_times=3)
    increment_rate: float = 1.0
    """Learning rate of a run that goes on from what serves, as a share of the usual one."""
    gate: GateSettings = GateSettings()
    method: str = "lora"
    shape: Settings | None = None
    """The method's own settings; None: its defaults."""
    lower_share: float = 0.5
    """Share of the layers, from below, that are left as the foundation has them."""
    scales: tuple[float, ...] = (1.0, 0.6)
    """How far to go from the start to what was trained; the one of the least held-out loss is taken. Where there is a
    choice, a candidate that is rejected for its answers is asked once more half as far."""
    seed: int = 1

    @classmethod
    def of(
        cls, method: Method, given: Mapping[str, Any], learning_rate: float | None = None
    ) -> "RunSettings":
        """The usual ones for a method, with what was ``given`` of its own.

        Raises:
            MethodError: see ``settings_of``.
        """
        usual = cls()
        train = replace(usual.train, learning_rate=learning_rate or method.learning_rate)
        return replace(usual, method=method.name, shape=settings_of(method, given), train=train)


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
                "checks": encode(self.gate.checks),
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
    full: bool = False,
    store: Store | None = None,
    learn: Learn = train,
    purpose: Purpose = COMPLETION,
    progress: Progress = lambda _stage, _fraction, _message: None,
) -> Outcome:
    """Trains a candidate for the repository at ``root`` and promotes it if the gate lets it.

    Args:
        changed: Paths of files that changed since the last run.
        full: Begins from the foundation again, over the whole repository.
        learn: What trains; another than usual shows what the gate makes of it.
        purpose: What for.

    Raises:
        TrainingBusy: another process trains this project.
        ModelMissing, ModelCorrupt: the base model.
        CorpusError: the repository cannot be read.
        TrainingFailed: the loss diverged.
        StoreUnwritable: the candidate cannot be kept.
    """
    project = purpose.store((store or Store()).project(root))
    began = time.monotonic()
    report = _Reporter(progress)
    with project.candidate() as candidate:
        plan = make_plan(
            project,
            root,
            model,
            full=full,
            method=method_named(settings.method),
            shape=settings.shape,
            progress=lambda done, text: report("selecting", done, text),
        )
        replay = Reservoir(project.directory / FILE_NAME, seed=settings.seed)
        try:
            work = _Run(project, model, plan, settings, report, learn, purpose)
            work.gather(changed, replay)
        except TooLittleData as error:
            project.note_retrain_tried()
            return Outcome("too_little_data", str(error))
        with measured_energy() as energy:
            work.measure_references()
            checkpoint = work.train()
            work.choose_scale()
            gate = work.judge()
            if may_pass_half_as_far(gate) and len(work.scales) > 1:
                work.go_half_as_far()
                gate = work.judge()
        overtaken = _number(project.chosen(plan.base)) != _number(plan.served)
        if gate.decision == "promoted" and overtaken:
            gate = _overtaken(gate)
        report("gating", 1.0, gate.reason)
        with writing(candidate.path):
            save_adapter(work.session.model, candidate.path)
        version = candidate.commit(work.manifest(gate, time.monotonic() - began, energy.watt_hours))
        if gate.decision == "promoted":
            project.promote(version.version, full=work.plan.start is None)
        else:
            project.reject(version.version)
        checkpoint.remove()
        try:  # what was decided holds, whatever cannot be written from here on
            if gate.decision == "promoted":
                replay.update(work.data.files, time.time())
            elif not overtaken:  # compared with what serves now, the next one may pass
                project.note_retrain_tried()
            work.remember(version)
            project.prune()
        except (OSError, StoreError) as error:
            _log.warning("%s: version %s is %s, but %s", root, version.version, gate.decision, error)
    return Outcome(gate.decision, gate.reason, version.version, gate, version.manifest)


def _number(version: AdapterVersion | None) -> str | None:
    return version.version if version else None


def _overtaken(gate: GateResult) -> GateResult:
    """The candidate was compared with something else than what the user has by now."""
    check = Check(
        "what serves is the same",
        False,
        None,
        None,
        "what serves was changed while this was trained: it was compared with another version",
    )
    return replace(gate, decision="rejected", reason=check.message, checks=(*gate.checks, check))


def judge(
    root: Path,
    model: str,
    version: str,
    *,
    settings: RunSettings = RunSettings(),
    store: Store | None = None,
    purpose: Purpose = COMPLETION,
    progress: Progress = lambda _stage, _fraction, _message: None,
) -> Outcome:
    """Runs the gate on a version that is stored already, and changes nothing.

    Raises: as ``run``, and
        VersionUnknown: there is none of that number.
        AdapterCorrupt: it does not fit the model.
    """
    project = purpose.store((store or Store()).project(root))
    report = _Reporter(progress)
    folder = project.get(version).path
    with project.lock():
        plan = make_plan(
            project,
            root,
            model,
            full=True,
            read_only=True,
            method=method_named(settings.method),
            shape=settings.shape,
            progress=lambda done, text: report("selecting", done, text),
        )
        work = _Run(project, model, plan, settings, report, purpose=purpose)
        try:
            work.gather((), None)
        except TooLittleData as error:
            return Outcome("too_little_data", str(error))
        work.measure_references()
        report("gating", 0.0, f"measuring version {version}")
        results, norm = measure_alone(model, folder, work.exam, work.session.first_layer)
        gate = work.decide(results, norm)
        report("gating", 1.0, gate.reason)
    return Outcome(gate.decision, gate.reason, version, gate, None)


class _Reporter:
    """Fractions of stages to one fraction of the whole, which never goes back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._reached = 0.0

    def __call__(self, stage: Stage, fraction: float, message: str) -> None:
        low, high = _SHARES[stage]
        self._reached = max(self._reached, low + (high - low) * min(1.0, max(0.0, fraction)))
        self._progress(stage, self._reached, message)


@dataclass(slots=True)
class _Run:
    """A run in the making; its methods are called in their order."""

    project: ProjectStore
    model: str
    plan: Plan
    settings: RunSettings
    report: _Reporter
    learn: Learn = train
    purpose: Purpose = COMPLETION
    data: RunData = field(init=False)
    exam: Exam = field(init=False)
    base: Results = field(init=False)
    serving: Results | None = field(init=False, default=None)
    _trained: TrainReport = field(init=False)
    _learned: Values = field(init=False)
    """As training left it, at the scale 1."""
    _choice: scale.Choice = field(init=False)
    _canary: TokenSequence = field(init=False)
    _folder: Path = field(init=False)
    """Of the base model."""
    _tokenizer: CodeTokenizer = field(init=False)
    _opened: list[Session] = field(init=False, default_factory=list)
    _results: Results = field(init=False)
    _memory: ScoreMemory = field(init=False)

    def __post_init__(self) -> None:
        self._memory = ScoreMemory(self.project.directory / SCORES)

    @property
    def method(self) -> Method:
        """How is trained."""
        return method_named(self.settings.method)

    @property
    def scales(self) -> tuple[float, ...]:
        """To choose from: one alone where what lies between makes no sense."""
        return self.settings.scales if self.method.linear else self.settings.scales[:1]

    @property
    def session(self) -> Session:
        """The model, loaded when it is first needed."""
        if not self._opened:
            self.report("loading", 0.0, f"loading {self.model}")
            start = self.plan.start.path if self.plan.start else None
            make = functools.partial(
                Session,
                self.model,
                method=self.method,
                shape=self.settings.shape,
                lower_share=self.settings.lower_share,
                seed=self.settings.seed,
            )
            try:
                self._opened.append(make(start))
            except AdapterCorrupt as error:
                if start is None:
                    raise
                _log.warning("%s: starting from the foundation instead", error)
                self.plan = replace(self.plan, start=None, full=str(error))
                self._opened.append(make(None))
        return self._opened[0]

    def gather(self, changed: Collection[str], replay: Reservoir | None) -> None:
        """Decides what is trained on and asked.

        Raises:
            TooLittleData: too few examples.
        """
        self._folder, _ = cache.open_record(catalogue.find(self.model))
        self._tokenizer = CodeTokenizer.from_folder(self._folder)
        self.data = self.purpose.gather(
            self.plan.found,
            self._tokenizer,
            self.settings.data,
            changed=changed,
            trained=_learned(self.project),
            whole=self.plan.start is None or not changed,
            replay=replay,
            unreadable=lambda files: unreadable(files, self._tokenizer, lambda: self.session.decoder),
            seed=self.settings.seed,
        )
        self._canary = leaks.canary(self._tokenizer, f"{self.project.id}:{self.settings.seed}")
        self.data.training.append(self._canary)
        probes = leaks.secret_probes(self.project.root, self.data.rejected, self._tokenizer)
        self.exam = Exam(
            self._tokenizer,
            self.data.held_out,
            [*probes, self._canary],
            generic_sequences(self._tokenizer, self.settings.data),
            self._memory,
        )

    def measure_references(self) -> None:
        """Asks the base (with the foundation adapter where there is one), and what serves now."""
        session, served = self.session, self.plan.served
        share = 1.0 if served is None else 0.5

        def within(low: float, high: float) -> Callable[[float], None]:
            return lambda done: self.report(
                "preparing", low + (high - low) * done, "measuring what serves now"
            )

        with session.as_base():
            generic = self._base_on_generic_code(within(0, share / 2))
            self.base = self.exam.take(
                session.decoder, within(share / 2, share), adapter=self._name("base"), generic=generic
            )
        if served is None:
            return
        try:
            with session.holding(session.read(served.path)):
                self.serving = self.exam.take(
                    session.decoder, within(share, 1), adapter=self._name(served.sha256)
                )
        except AdapterCorrupt:  # of another form: an imported one
            self.serving = self._alone(served)

    def _base_on_generic_code(self, progress: Callable[[float], None]) -> Scores | None:
        """The same for all projects: what one of them asked is kept beside the model."""
        memory = ScoreMemory(self._folder / GENERIC_SCORES)
        scores = self.exam.generic(self.session.decoder, self._name("base"), memory, progress)
        memory.save()
        return scores

    def _alone(self, served: AdapterVersion) -> Results | None:
        try:
            return measure_alone(self.model, served.path, self.exam, self.session.first_layer)[0]
        except AdapterCorrupt as error:  # it cannot serve either, so nothing has to beat it
            _log.warning("version %s is not compared with: %s", served.version, error)
            return None

    def train(self) -> Checkpoint:
        """Trains the layers above the cut. The checkpoint is to be removed when the run has its result."""
        session = self.session
        settings = self._train_settings()
        sequences = [*self.data.training, *self.data.anchors]
        parent = self.plan.start.sha256 if self.plan.start else "foundation"
        checkpoint = Checkpoint(
            self.project.directory / CHECKPOINT,
            # A run that was cut short goes on, however much of the day's budget is left.
            key_of(
                settings.as_dict() | {"max_seconds": None, "method": self._shape()},
                self.settings.seed,
                f"{self.model}:{parent}",
                sequences,
            ),
        )
        anchors = Anchors(
            session.decoder,
            sequences,
            range(len(self.data.training), len(sequences)),
            session.as_base,
        )
        self._trained = self.learn(
            session.model,
            session.decoder,
            sequences,
            settings,
            seed=self.settings.seed,
            anchors=anchors,
            allocation=allocation_of(session.model, self.settings.shape or self.method.defaults),
            checkpoint=checkpoint,
            on_step=lambda step: self.report(
                "training",
                step.fraction,
                f"step {step.step}, loss {step.loss:.2f}, {step.tokens / max(step.seconds, 0.001):.0f} tokens/s",
            ),
        )
        return checkpoint

    def _train_settings(self) -> TrainSettings:
        settings = replace(self.settings.train, **self.purpose.train, first_layer=self.session.first_layer)
        if self.plan.start is None:
            return settings
        return replace(settings, learning_rate=settings.learning_rate * self.settings.increment_rate)

    def _shape(self) -> dict[str, Any]:
        return {"name": self.method.name, **asdict(self.settings.shape or self.method.defaults)}

    def choose_scale(self) -> None:
        """Leaves the model with the scale that is best."""
        self._learned = self.session.values()
        self._choice = scale.choose(
            self.exam,
            self.session.decoder,
            self._put,
            self.scales,
            base=self.base.generic,
            margin=self.settings.gate.generic_margin,
            progress=lambda done: self.report("gating", 0.3 * done, "choosing the scale"),
        )

    def go_half_as_far(self) -> None:
        """Leaves the model with half the scale."""
        self._choice = scale.Choice(self._choice.scale / 2)
        self._put(self._choice.scale)

    def _put(self, value: float) -> None:
        self.session.put(self.session.scaled(self._learned, value))

    def judge(self) -> GateResult:
        """Asks the candidate, and then the gate."""
        session = self.session
        self._results = self.exam.take(
            session.decoder,
            lambda done: self.report("gating", 0.3 + 0.6 * done, "measuring the candidate"),
            generic=self._choice.generic,
        )
        return self.decide(self._results, update_norm(session.model))

    def remember(self, version: AdapterVersion) -> None:
        """Keeps the scores: the next run need not ask base and serving adapter again."""
        self.exam.learn(self._name(version.sha256), self._results)
        self._memory.save()

    def _name(self, adapter: str) -> str:
        """Of an adapter above this base and foundation, in the memory of scores."""
        floor = foundation.find(self.session.loaded.record.name)
        return f"{self.plan.base.sha256}:{floor.sha256 if floor else ''}:{self.session.first_layer}:{adapter}"

    def decide(self, candidate: Results, norm: float | None) -> GateResult:
        """The gate's word on a candidate whose update has this norm, if it has one."""
        generic = None
        if candidate.generic is not None and self.base.generic is not None:
            generic = candidate.generic, self.base.generic
        reference = self.session.base_norm
        ratio = (norm / reference if reference else 1.0) if norm is not None else None
        gate = decide(
            candidate.held_out,
            self.base.held_out,
            self.serving.held_out if self.serving else None,
            generic=generic,
            norm_ratio=ratio,
            newest=self.data.newest,
            leaks=leaks.checks(
                candidate.probes,
                self.base.probes,
                answers=candidate.held_out.answers,
                right=self.exam.middles(),
                prompts=self.exam.shown(),
            ),
            settings=self.settings.gate,
        )
        return self._more(gate, candidate) if self.purpose.more else gate

    def _more(self, gate: GateResult, candidate: Results) -> GateResult:
        """With the check that more holes are filled exactly than by what there is."""
        best = max(sum(known.held_out.exact) for known in (self.base, self.serving) if known is not None)
        filled = sum(candidate.held_out.exact)
        message = f"{filled} of {len(candidate.held_out.exact)} filled exactly, before {best}"
        check = Check("more than before", filled > best, float(filled), float(best), message)
        if check.passed or gate.decision != "promoted":
            return replace(gate, checks=(*gate.checks, check))
        return replace(gate, decision="rejected", reason=message, checks=(*gate.checks, check))

    def manifest(self, gate: GateResult, seconds: float, watt_hours: float | None) -> Manifest:
        """Of the candidate."""
        data, trained, session = self.data, self._trained, self.session
        floor = "foundation" if foundation.find(session.loaded.record.name) else None
        return Manifest(
            method=self.method.name,
            below=session.floor.sha256 if session.floor and self.method.floor == "merged" else None,
            base=self.plan.base,
            parent=self.plan.start.version if self.plan.start else floor,
            settings={
                "train": self._train_settings().as_dict(),
                "method": self._shape(),
                "steps": trained.steps,
                "anchors": len(data.anchors),
                "max_prompt": self.settings.data.max_prompt,
                "scale": self._choice.scale,
                "full": self.plan.full,
                "purpose": self.purpose.name,
            },
            seed=self.settings.seed,
            data=DataInfo(
                examples=len(data.training),
                tokens=trained.tokens,
                held_out_examples=len(data.held_out),
                files=_files(data),
                rejected=tally(data.rejected),
            ),
            ancestry=Ancestry.of(self.plan.start.manifest if self.plan.start else None),
            cost=Cost(
                round(seconds, 1),
                peak_rss_mb(),
                round(trained.tokens / max(trained.seconds, 0.001), 1),
                watt_hours,
            ),
            gate=gate,
        )


def _files(data: RunData) -> tuple[FileInfo, ...]:
    """What the adapter has seen; files that were shown beside others only have no examples."""
    counts: dict[str, int] = {}
    for sequence in data.training:
        counts[sequence.example.path] = counts.get(sequence.example.path, 0) + 1
    seen = sorted((*data.files, *data.shown), key=lambda file: file.path)
    return tuple(FileInfo(file.path, file.sha256, counts.get(file.path, 0)) for file in seen)


def _learned(project: ProjectStore) -> set[str]:
    """Paths and hashes of files that any version learned: these can no longer be held out."""
    return {
        name
        for version in project.versions()
        if version.manifest
        for file in version.manifest.learned()
        for name in (file.path, file.sha256)
    }
