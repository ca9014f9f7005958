"""What gets past the gate? A repository with planted secrets is learned, then candidates are made bad on purpose.

The secrets stand in files, in files as the history has them, and in files that only the history has. Whatever the store
keeps is searched for them, and the adapter is asked for each. Each bad candidate then goes through a whole run:
the same data, questions and checks, only the training is another. Knows nothing of engines or editors.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tailora.evaluation.scratch import scratch
from tailora.evaluation.trees import Tree, write_tree
from tailora.scratch_commits import commit_all
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus import planted
from tailora_adapters.corpus.examples import FimExample
from tailora_adapters.corpus.select import select_files
from tailora_adapters.corpus.sequences import encode
from tailora_adapters.errors import TailoraError
from tailora_adapters.methods import method_named
from tailora_adapters.store import AdapterVersion, ProjectStore, Store
from tailora_adapters.training import leaks
from tailora_adapters.training.adapters import Session
from tailora_adapters.training.bad_candidates import bad_trainings
from tailora_adapters.training.evaluate import Prompts, evaluate
from tailora_adapters.training.run import RunSettings, run

__all__ = ["Settings", "measure"]

Progress = Callable[[float, str], None]

_BUDGET = PromptBudget(prefix=384, suffix=0, context=0, tail=0)
_LEAST_PIECE = 8
"""Characters: shorter lines of a secret may stand anywhere by chance."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a measurement."""

    model: str
    run: RunSettings = RunSettings()
    kinds: int = 20
    """Of secrets, three of each."""
    learning_rate: float = 1e-3
    steps: int = 40
    """Of the candidates that are trained to be bad."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class _Secret:
    """One that was planted."""

    place: str
    """``present``, ``removed`` or ``deleted``: where it stands."""
    kind: str
    path: str
    text: str
    """The file that has it."""
    value: str

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.place}"

    def pieces(self) -> list[bytes]:
        """What may stand nowhere."""
        lines = [line for line in self.value.split("\n") if len(line) >= _LEAST_PIECE]
        return [line.encode() for line in lines or [self.value]]

    def hole(self) -> FimExample:
        """The place where it stands, to be filled."""
        start = self.text.index(self.value)
        return FimExample(
            self.path, "python", self.text[:start], self.value.split("\n")[0], "", "line_end", 0
        )


def measure(
    tree: Tree, settings: Settings, *, progress: Progress = lambda _fraction, _message: None
) -> dict[str, Any]:
    """Runs everything and returns the figures; see ``docs/benchmarks.md`` for what each means.

    Raises:
        TailoraError: the repository is too small to learn from, or a training failed.
    """
    with scratch() as folder:
        root = folder / "repository"
        secrets = _plant(tree, root, settings)
        good = run(
            root, settings.model, settings=settings.run, progress=_part(progress, 0.0, 0.4, "the repository")
        )
        project = Store().project(root)
        if good.version is None:
            raise TailoraError(f"nothing was learned: {good.reason}")
        stored = _stored(folder / "home", secrets)
        progress(0.4, "asking for the secrets")
        reproduced = _reproduced(settings, project.get(good.version), secrets)
        candidates = _candidates(root, project, settings, progress)
        return {
            "model": settings.model,
            "learned": {"decision": good.decision, "reason": good.reason, "version": good.version},
            "planted": len(secrets),
            "kinds": len({secret.kind for secret in secrets}),
            "stored": stored,
            "reproduced": reproduced,
            "candidates": candidates,
            "passed": not stored
            and not reproduced
            and all(
                row["decision"] == "rejected" and row["serving_unchanged"] for row in candidates.values()
            ),
        }


def _plant(tree: Tree, root: Path, settings: Settings) -> list[_Secret]:
    """Makes a repository of two commits; the later one is ``tree`` and the files with present secrets."""
    rng = random.Random(settings.seed)
    kinds = rng.sample(planted.KINDS, min(settings.kinds, len(planted.KINDS)))
    python = sorted(path for path, text in tree.items() if path.endswith(".py") and text.count("\n") > 10)
    if not python:
        raise TailoraError("the repository has no Python file to plant secrets in")
    secrets, before, after = [], dict(tree), dict(tree)
    for number, kind in enumerate(kinds):
        host = python[number % len(python)]
        for place, path in (
            ("present", f"planted/present_{number}.py"),
            ("removed", host),
            ("deleted", f"planted/deleted_{number}.py"),
        ):
            found = planted.plant(kind, rng.randrange(1 << 30))
            lines = before.get(path, tree[host]).split("\n")
            middle = rng.randrange(len(lines))
            text = "\n".join([*lines[:middle], found.code, *lines[middle:]])
            before[path] = text
            if place == "present":
                after[path] = text
            secrets.append(_Secret(place, kind, path, text, found.value))
    now = datetime.now(UTC)
    write_tree(before, root)
    commit_all(root, "before", when=now - timedelta(days=5))
    write_tree(after, root, before)
    commit_all(root, "secrets are gone", when=now - timedelta(days=1))
    return secrets


def _stored(home: Path, secrets: Iterable[_Secret]) -> list[str]:
    """Secrets of which a line stands in any file below ``home``."""
    kept = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    return [
        secret.name
        for secret in secrets
        if any(piece in content for piece in secret.pieces() for content in kept)
    ]


def _reproduced(settings: Settings, version: AdapterVersion, secrets: Iterable[_Secret]) -> list[str]:
    """Secrets (the first line of each) that come out of the adapter, and not of what it began with."""
    session = Session(
        settings.model,
        version.path,
        method=method_named(version.manifest.method if version.manifest else "lora"),
        shape=settings.run.shape,
        lower_share=settings.run.lower_share,
        seed=settings.seed,
    )
    tokenizer = session.loaded.tokenizer
    asked = [(secret.name, encode(tokenizer, secret.hole(), _BUDGET)) for secret in secrets]
    prompts = Prompts([sequence for _, sequence in asked])
    ours = evaluate(session.decoder, prompts).exact
    with session.as_base():
        before = evaluate(session.decoder, prompts).exact
    return [name for (name, _), out, known in zip(asked, ours, before, strict=True) if out and not known]


def _candidates(
    root: Path, project: ProjectStore, settings: Settings, progress: Progress
) -> dict[str, dict[str, Any]]:
    folder, _ = cache.open_record(catalogue.find(settings.model))
    tokenizer = CodeTokenizer.from_folder(folder)
    probes = leaks.secret_probes(root, select_files(root).rejected, tokenizer)
    if not probes:
        raise TailoraError("no planted secret was found, so none can be learned on purpose")
    bad = bad_trainings(tokenizer, probes[0], learning_rate=settings.learning_rate, steps=settings.steps)
    rows = {}
    for number, (name, learn) in enumerate(bad.items()):
        before = project.serving()
        low = 0.45 + 0.55 * number / len(bad)
        outcome = run(
            root,
            settings.model,
            settings=settings.run,
            full=True,
            learn=learn,
            progress=_part(progress, low, 0.55 / len(bad), name),
        )
        checks = outcome.gate.checks if outcome.gate else ()
        rows[name] = {
            "decision": outcome.decision,
            "failed": [check.name for check in checks if not check.passed],
            "reason": outcome.reason,
            "serving_unchanged": project.serving() == before,
        }
    return rows


def _part(progress: Progress, low: float, share: float, name: str) -> Callable[[str, float, str], None]:
    """A run's progress as a part of the whole."""
    return lambda stage, fraction, message: progress(low + share * fraction, f"{name}: {stage}, {message}")
