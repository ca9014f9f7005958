"""Forgetting files: what learned from them is deleted, and they are left out from now on.

A file's influence cannot be taken out of weights, so every version that learned from it goes, with all that descend
from one, and the next training begins from the foundation again. Knows nothing of models. Invariant: where a
version's origin is not known for certain, it counts as one that learned from the file.

    PROJECT/forgotten.json       files and folders that the user had forgotten
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tailora_adapters import paths
from tailora_adapters._store_files import writing
from tailora_adapters.corpus.replay import FILE_NAME as REPLAY
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.select import Selection, covers
from tailora_adapters.errors import StoreError
from tailora_adapters.manifest import Manifest
from tailora_adapters.purposes import PurposeName
from tailora_adapters.store import CHECKPOINT, FORGOTTEN, IMPORTED, AdapterVersion, ProjectStore

__all__ = [
    "Forgetting",
    "affected",
    "forget",
    "forgotten",
    "inside",
    "remember",
    "tainted",
    "unlearn",
]

_ORIGINS = (None, "foundation")
"""Parents that hold nothing of the project."""


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What ``forget`` or ``unlearn`` did."""

    deleted: tuple[str, ...]
    """Versions of the adapter that it was asked for."""
    replayed: tuple[str, ...]
    """Files that the replay memory held."""
    parts: Mapping[PurposeName, tuple[str, ...]] = field(default_factory=dict)
    """Versions of the adapters for other purposes than completion, by purpose."""


def inside(root: Path, path: Path) -> str:
    """``path``, which need not exist, as manifests write it: relative to ``root``, with ``/``.

    Relative paths are relative to ``root``.

    Raises:
        StoreError: it is not below ``root``.
    """
    whole = root / path
    # The file itself may be a link, or gone: only its folder is resolved.
    whole = whole.resolve() if whole.name in ("", "..") else whole.parent.resolve() / whole.name
    if whole == root or not whole.is_relative_to(root):
        raise StoreError(f"{path} is not a file or folder inside {root}")
    return whole.relative_to(root).as_posix()


def forgotten(project: ProjectStore) -> tuple[str, ...]:
    """The paths that are to be left out, by name.

    Raises:
        StoreError: the list cannot be read; then nothing may be learned.
    """
    path = project.common / FORGOTTEN
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return tuple(sorted(str(one) for one in content["paths"]))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StoreError(
            f"{path}, the list of what is not to be learned, cannot be read ({error}): mend it or delete it"
        ) from error


def affected(versions: Iterable[AdapterVersion], names: Collection[str]) -> list[str]:
    """The versions that learned from a file that ``names`` cover, or may have, oldest first.

    Without names: those of which it is not known what they learned.
    """
    found: list[str] = []
    manifests: dict[str, Manifest | None] = {version.version: version.manifest for version in versions}
    for version in sorted(manifests, key=int):  # a parent has the lower number
        manifest = manifests[version]
        if manifest is None or _is_affected(manifest, manifests, found, names):
            found.append(version)
    return found


def _is_affected(
    manifest: Manifest, known: Mapping[str, Manifest | None], found: list[str], names: Collection[str]
) -> bool:
    if any(covers(names, file.path) for file in manifest.learned()):
        return True
    if not _origin_is_known(manifest, known):
        return True
    if manifest.combined is not None:
        return any(part.version in found for part in manifest.combined.parts)
    return manifest.parent in found


def _origin_is_known(manifest: Manifest, known: Mapping[str, Manifest | None]) -> bool:
    """Whether all that a version learned is in its manifest, or in that of its parent, which is ``known``."""
    if manifest.combined is not None:
        return manifest.combined.known
    imported = manifest.settings.get(IMPORTED)
    if isinstance(imported, dict):  # from a store whose versions are not known here
        return imported.get("parent", "unknown") in _ORIGINS
    return manifest.parent in _ORIGINS or manifest.parent in known or bool(manifest.ancestry.runs)


def forget(project: ProjectStore, names: Collection[str]) -> Forgetting:
    """Leaves ``names`` (files or folders) out from now on, and unlearns them.

    The list is written first: whatever happens then, nothing learns them again.

    Raises:
        TrainingBusy: a training run would bring them back.
        StoreUnwritable: what was done until then stays done.
    """
    with project.lock():
        _write(project, {*forgotten(project), *names})
        why = f"{_some(names)} to be forgotten"
        parts = {purpose: unlearn(part, names, why).deleted for purpose, part in project.parts().items()}
        return replace(unlearn(project, names, why), parts=parts)


def unlearn(project: ProjectStore, names: Collection[str], why: str) -> Forgetting:
    """Deletes every version that learned from ``names``, and asks for a training from the foundation. A run that was
    cut short does not go on either.

    Raises: as ``forget``.
    """
    with project.lock():
        deleted = affected(project.versions(), names)
        if deleted:
            project.ask_retrain(why)
            project.delete(*deleted)
        checkpoint = project.directory / CHECKPOINT
        with writing(checkpoint):
            checkpoint.unlink(missing_ok=True)
        replay = Reservoir(project.directory / REPLAY)
        kept = {entry.path: entry.sha256 for entry in replay.entries if not covers(names, entry.path)}
        return Forgetting(tuple(deleted), tuple(replay.retain(kept)))


def remember(project: ProjectStore, names: Collection[str]) -> tuple[str, ...]:
    """Takes ``names`` off the list, and returns those that were on it; they may be learned again.

    Raises:
        TrainingBusy: a training run reads the list.
        StoreUnwritable: nothing was changed.
    """
    if not project.directory.exists():
        return ()
    with project.lock():
        listed = forgotten(project)
        found = tuple(name for name in listed if name in names)
        if found:
            _write(project, set(listed) - set(found))
    return found


def tainted(project: ProjectStore, selection: Selection) -> list[str]:
    """Files that a version which serves, or served, learned and in which a secret was found since, by path.

    They are to be treated as forgotten, though they come back when the secret is gone.
    """
    listed = {rejection.path: rejection.reason for rejection in selection.rejected}
    clean = {file.path for file in selection.files}
    # Of very many files with secrets only the first are named: then whatever is not named otherwise counts as one.
    unnamed = any(not one.path and one.reason == "secret" for one in selection.rejected)
    learned = {
        file.path
        for version in project.versions()
        if version.manifest and version.status in ("serving", "retired")
        for file in version.manifest.learned()
    }
    return sorted(
        path
        for path in learned - clean
        if listed.get(path) == "secret"
        or (unnamed and path not in listed and (project.root / path).is_file())
    )


def _write(project: ProjectStore, names: Collection[str]) -> None:
    path = project.common / FORGOTTEN
    content = {"schema": 1, "paths": sorted(names)}
    with writing(path):  # ASCII, because a path may hold bytes that are not UTF-8
        paths.write_atomic(path, (json.dumps(content, indent=2) + "\n").encode())


def _some(names: Collection[str]) -> str:
    return f"{min(names)} is" if len(names) == 1 else f"{min(names)} and {len(names) - 1} more are"
