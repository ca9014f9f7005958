"""Where a training run has got to, in one file: a run that was killed or ended with the machine goes on from there.

Parameters and the optimizer's state as safetensors, counters in its header; never pickle, no source text. A file that
belongs to other data, settings or parents is ignored: the key says so. Knows nothing of models.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tailora_adapters.corpus.sequences import TokenSequence

__all__ = ["Checkpoint", "Progress", "key_of"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been done."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    smooth_loss: float = 0.0


def key_of(settings: Mapping[str, Any], seed: int, parent: str, sequences: Sequence[TokenSequence]) -> str:
    """A hash of all that decides how a run goes; ``parent`` stands for the parameters that it starts from."""
    digest = hashlib.sha256(json.dumps([settings, seed, parent], sort_keys=True).encode())
    for sequence in sequences:
        digest.update(json.dumps(sequence.ids).encode())
    return digest.hexdigest()


class Checkpoint:
    """One file. Whatever goes wrong with it costs time and nothing else."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key

    def save(
        self, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, progress: Progress
    ) -> None:
        """Replaces the file. ``optimizer`` is AdamW over exactly these parameters."""
        state: dict[str, Tensor] = {}
        for name, parameter in parameters.items():
            state[f"value:{name}"] = parameter.detach().contiguous()
            for part, value in optimizer.state[parameter].items():
                state[f"{part}:{name}"] = value.detach().contiguous()
        header = {"key": self.key, "progress": json.dumps(asdict(progress))}
        temporary = self.path.with_name(f".{self.path.name}")  # one writer, and nothing left behind by a kill
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(state, temporary, metadata=header)
            temporary.chmod(0o600)
            temporary.replace(self.path)
        except (OSError, SafetensorError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            _log.warning("no checkpoint could be kept in %s: %s", self.path, error)

    def load(self, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> Progress:
        """Puts parameters and optimizer where they were; all as it is, and nothing done, without a file that fits."""
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("key") != self.key:
                    return Progress()
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            progress = Progress(**json.loads(header["progress"]))
            found = _by_parameter(state, parameters)
        except FileNotFoundError:
            return Progress()
        except (OSError, SafetensorError, ValueError, LookupError, TypeError) as error:
            _log.warning("the checkpoint %s is damaged, training starts afresh: %s", self.path, error)
            return Progress()
        with torch.no_grad():
            for name, parts in found.items():
                parameters[name].copy_(parts.pop("value"))
                optimizer.state[parameters[name]] = dict(parts)
        return progress

    def remove(self) -> None:
        """The run came to its end."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def _by_parameter(
    state: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        part, _, name = key.partition(":")
        found.setdefault(name, {})[part] = value
    if found.keys() != parameters.keys():
        raise ValueError("it holds other parameters")
    for name, parts in found.items():
        if parts["value"].shape != parameters[name].shape:
            raise ValueError(f"{name} has another shape")
    return found
