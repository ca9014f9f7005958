"""What a run begins with: what may be learned, what serves, and whether to go on from it.

Invariant: a version that learned a file in which a secret was found since is gone before anything is trained.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tailora_adapters import forget, foundation
from tailora_adapters.base.cache import base_info
from tailora_adapters.corpus.learnable import Learnable, read_learnable
from tailora_adapters.manifest import BaseInfo, encode
from tailora_adapters.methods import LORA, Method, Settings
from tailora_adapters.store import IMPORTED, AdapterVersion, ProjectStore
from tailora_adapters.training.schedule import facts_of, full_retrain_reason

__all__ = ["Plan", "make_plan"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """Decided before a model is loaded."""

    found: Learnable
    base: BaseInfo
    served: AdapterVersion | None
    """What the candidate has to beat, beside the base."""
    start: AdapterVersion | None
    """What training goes on from; None: the foundation."""
    full: str | None
    """Why it does not go on from what serves, if so."""


def make_plan(
    project: ProjectStore,
    root: Path,
    model: str,
    *,
    full: bool,
    method: Method = LORA,
    shape: Settings | None = None,
    read_only: bool = False,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> Plan:
    """Reads the repository and the store. Belongs under the training lock.

    ``shape`` are the method's settings; None: its defaults.
    ``read_only``: no version is deleted, whatever was found in what it learned.

    Raises:
        CorpusError: the repository cannot be read.
        StoreError, StoreUnwritable: the project's adapters.
    """
    found = read_learnable(root, forgotten=forget.forgotten(project), progress=progress)
    if not read_only:
        for part in (project, *project.parts().values()):
            if part.directory.exists() and (tainted := forget.tainted(part, found.selection)):
                _log.warning("%s: a secret was found in %s, which was learned", root, ", ".join(tainted))
                forget.unlearn(part, tainted, f"a secret was found in {tainted[0]}")
    base = base_info(model)
    served = project.chosen(base)
    reason = "asked for" if full else project.retrain
    if served is not None and reason is None:
        reason = _no_start(served) or _other_method(served, method, shape) or _worn(served, found)
    return Plan(found, base, served, None if reason else served, reason)


def _worn(served: AdapterVersion, found: Learnable) -> str | None:
    assert served.manifest is not None
    existing = {name for file in found.selection.files for name in (file.path, file.sha256)}
    return full_retrain_reason(facts_of(served.manifest, existing, time.time()))


def _other_method(served: AdapterVersion, method: Method, shape: Settings | None) -> str | None:
    assert served.manifest is not None
    before = served.manifest.method
    if before != method.name:
        return f"version {served.version} was trained with the method {before}"
    trained = served.manifest.settings.get("method")
    wanted = encode(method.defaults if shape is None else shape)
    if isinstance(trained, dict):
        for name, value in wanted.items():
            if trained.get(name, value) != value:
                return f"version {served.version} was trained with {name}={trained[name]}"
    floor = foundation.find(served.manifest.base.name)
    if method.floor == "merged" and served.manifest.below != (floor.sha256 if floor else None):
        return f"version {served.version} stands above another foundation adapter"
    return None if method.resumes else f"{method.title} cannot be trained on"


def _no_start(served: AdapterVersion) -> str | None:
    """Versions that were imported or rolled back by themselves may serve, and nothing is built on them; nor on some
    combined ones."""
    if served.withdrawn is not None:
        return f"version {served.version} was rolled back: {served.withdrawn}"
    if served.manifest is None or IMPORTED in served.manifest.settings:
        return f"version {served.version} was imported"
    combined = served.manifest.combined
    if combined is not None and not (combined.known and combined.resumes):
        return f"version {served.version} was combined of others"
    return None
