"""Versions of one project as one: a weighted sum of their LoRAs, stored as a candidate that serves only if the gate
lets it.

What its parts learned is in its manifest, so that forgetting finds it when they are gone. Knows nothing of how the
gate judges (``importing.admit`` has it do so). Invariant: what ``combine`` raised on left nothing behind, and what it
returned has not served.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file

from tailora_adapters import foundation
from tailora_adapters._store_files import CONFIG, WEIGHTS, writing
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.cache import base_info
from tailora_adapters.errors import MethodError, StoreError
from tailora_adapters.forget import affected
from tailora_adapters.manifest import Ancestry, Combination, Cost, DataInfo, Manifest, Share
from tailora_adapters.methods.growth import factor_of
from tailora_adapters.methods.weighted_sum import COMBINATIONS, Sum, weighted_sum
from tailora_adapters.store import IMPORTED, AdapterVersion, ProjectStore
from tailora_adapters.training.memory import peak_rss_mb
from tailora_adapters.training.save import as_saved
from tailora_adapters.training.weights import check_weights

__all__ = ["combine", "read_shares"]

_METHODS = ("lora", "qlora", "rslora")
"""Their updates are matrices that can be added. DoRA's lengths and AdaLoRA's ranks are not."""
_MOST_WEIGHT = 10.0
_MOST_RANK = 256
_SEED = 1


def read_shares(given: Sequence[str]) -> tuple[Share, ...]:
    """``VERSION=WEIGHT`` each.

    Raises:
        MethodError: not of that form, fewer than two, or one twice; says which.
    """
    found: dict[str, Share] = {}
    for one in given:
        version, equals, text = one.partition("=")
        try:
            weight = float(text) if equals else math.nan
        except ValueError:
            weight = math.nan
        if not version or not (math.isfinite(weight) and 0 < abs(weight) <= _MOST_WEIGHT):
            raise MethodError(
                f"{one!r} is not VERSION=WEIGHT with a number from -{_MOST_WEIGHT:g} to {_MOST_WEIGHT:g} other than 0,"
                " such as 3=0.7"
            )
        if version in found:
            raise MethodError(f"version {version} is named twice: give it one weight")
        found[version] = Share(version, weight)
    if len(found) < 2:
        raise MethodError("at least two versions are combined, such as 3=0.7 5=0.3")
    return tuple(found.values())


def combine(
    project: ProjectStore, shares: Sequence[Share], model: str, how: str = "svd", *, density: float = 0.5
) -> AdapterVersion:
    """Stores the weighted sum of versions of the base ``model`` as a candidate.

    Args:
        how: One of ``COMBINATIONS``.
        density: Share of the values that is kept where the combination prunes.

    Raises:
        MethodError: an unknown combination, or versions that cannot be combined; says why.
        VersionUnknown, AdapterCorrupt: a version is not there, or damaged.
        StoreError: a version was rejected, or belongs to another base model.
        ModelMissing, ModelCorrupt, ModelError: the base model.
        TrainingBusy, StoreUnwritable: the project.
    """
    if how not in COMBINATIONS:
        raise MethodError(f"there is no combination '{how}'; there are: {', '.join(COMBINATIONS)}")
    if not 0 < density <= 1:
        raise MethodError(f"the density is {density:g}; more than 0 and at most 1 is possible")
    began = time.monotonic()
    folder, _ = cache.open_record(catalogue.find(model))
    with project.candidate() as candidate:
        parts = [_part(project, share.version, model) for share in shares]
        manifests = _manifests(parts)
        weights = [share.weight for share in shares]
        found = weighted_sum(folder, [part.path for part in parts], weights, how, density, _SEED)
        if found.config["r"] > _MOST_RANK:
            raise MethodError(
                f"the combination would have the rank {found.config['r']}; at most {_MOST_RANK} is possible: use svd"
            )
        with writing(candidate.path):
            save_file(
                {name: as_saved(value) for name, value in found.tensors.items()},
                candidate.path / WEIGHTS,
                metadata={"format": "pt"},
            )
            (candidate.path / CONFIG).write_text(json.dumps(found.config, indent=2) + "\n", encoding="utf-8")
        below = manifests[0].below
        floor = foundation.find(manifests[0].base.name) if below is None else None
        check_weights(candidate.path, floor.path if floor else None)
        combination = Combination(
            how,
            tuple(shares),
            density if how not in ("svd", "cat", "linear") else None,
            known=not {part.version for part in parts} & set(affected(project.versions(), ())),
            resumes=math.isclose(sum(weights), 1.0, abs_tol=1e-6)
            and len({_form(part.path) for part in parts}) == 1
            and not any(IMPORTED in manifest.settings for manifest in manifests),
        )
        return candidate.commit(_manifest(manifests, found, combination, time.monotonic() - began))


def _part(project: ProjectStore, version: str, model: str) -> AdapterVersion:
    found = project.get(version)
    project.verify(version)
    manifest = found.manifest
    assert manifest is not None  # verified
    if found.status == "rejected":
        reason = f": {manifest.gate.reason}" if manifest.gate else ""
        raise StoreError(f"version {version} was rejected and is not combined{reason}")
    if manifest.method not in _METHODS:
        raise MethodError(
            f"version {version} was trained with the method {manifest.method}; only versions of "
            f"{', '.join(_METHODS)} can be combined"
        )
    base = base_info(model)
    if not manifest.base.fits(base):
        raise StoreError(
            f"version {version} belongs to the base model {manifest.base.name} ({manifest.base.sha256[:12]}), not to "
            f"{base.name} ({base.sha256[:12]}): name its own with --model"
        )
    return found


def _manifests(parts: Sequence[AdapterVersion]) -> list[Manifest]:
    """Of parts that stand above the same.

    Raises:
        MethodError: they do not.
    """
    found = [part.manifest for part in parts if part.manifest is not None]
    first = found[0]
    for part, manifest in zip(parts, found, strict=True):
        if manifest.below != first.below:
            raise MethodError(
                f"version {part.version} ({manifest.method}) and version {parts[0].version} ({first.method}) cannot be "
                "combined: one goes on from the foundation adapter, the other stands above it"
            )
    return found


def _form(folder: Path) -> tuple[int, float]:
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return int(config["r"]), factor_of(config)


def _manifest(parts: Sequence[Manifest], found: Sum, combined: Combination, seconds: float) -> Manifest:
    first = parts[0]
    method = "lora" if first.below is None else "rslora"
    return Manifest(
        method=method,
        below=first.below,
        base=first.base,
        settings={
            "method": {
                "name": method,
                "rank": found.config["r"],
                "alpha": found.config["lora_alpha"],
                "target_modules": _modules(parts, found),
            },
            **({"purpose": first.settings["purpose"]} if "purpose" in first.settings else {}),
        },
        seed=_SEED,
        data=DataInfo(examples=0, tokens=0, held_out_examples=0),
        ancestry=Ancestry.of_all(parts),
        cost=Cost(round(seconds, 1), peak_rss_mb(), 0.0),
        combined=combined,
    )


def _modules(parts: Sequence[Manifest], found: Sum) -> list[str]:
    """As the parts' own settings have them, if these say it; so that training can go on from the combination."""
    settings = parts[0].settings.get("method")
    if isinstance(settings, dict) and set(settings.get("target_modules", ())) == set(
        found.config["target_modules"]
    ):
        return list(settings["target_modules"])
    return list(found.config["target_modules"])
