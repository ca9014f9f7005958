"""What there is to learn and to learn it with: the repository, this machine, the base model.

Looks only. Knows nothing of candidates or of how figures are shown. No model is loaded.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tailora.evaluation.methods.comparison import Sizes
from tailora.evaluation.methods.tasks import TASKS, gather
from tailora_adapters import foundation
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.processor import cores, processor_name
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.select import tally
from tailora_adapters.errors import CorpusError, TailoraError

__all__ = ["DATA_SEED", "SIZES", "Machine", "Measured", "measure"]

SIZES = Sizes()
"""The same for all repositories, so that a proof of concept can be made again and gives the same figures."""
DATA_SEED = 1

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Machine:
    """This computer."""

    processor: str
    cores: int
    memory: int
    """Bytes."""
    gpu: str
    """Its name; empty where there is none that can be used."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A repository as a proof of concept sees it."""

    name: str
    files: int
    """That may be learned."""
    lines: int
    tokens: int
    languages: Mapping[str, int]
    """Files by language, most first."""
    left_out: Mapping[str, int]
    """Files and folders by reason, most first."""
    secrets: int
    """Files that were left out for a secret."""
    commits: int
    """That were read of the history; 0: there is none, or it cannot be read."""
    parts: Mapping[str, int]
    """Files to train on, to choose by and to test with; empty where ``too_small`` says why."""
    too_small: str
    model: str
    licence: str
    foundation: bool
    """Whether an adapter ships with Tailora for this model, which serves before anything is learned."""
    machine: Machine
    sha256: str
    """Of all files: what was tried on other files is not taken for this."""


def measure(root: Path, model: str, sizes: Sizes = SIZES, progress: Progress = lambda *_: None) -> Measured:
    """Reads ``root``.

    Raises:
        ModelError: the base model is not on this machine.
        CorpusError: ``root`` is missing, not a folder or unreadable.
    """
    entry = catalogue.find(model)
    folder, _ = cache.open_record(entry)
    tokenizer = CodeTokenizer.from_folder(folder)
    found = read_learnable(root, progress=progress)
    files = found.selection.files
    left_out = tally(found.selection.rejected)
    parts, too_small = _parts(root, tokenizer, sizes)
    return Measured(
        name=root.name,
        files=len(files),
        lines=sum(file.text.count("\n") + 1 for file in files),
        tokens=sum(len(tokenizer.encode(file.text)) for file in files),
        languages=dict(Counter(file.language for file in files).most_common()),
        left_out=left_out,
        secrets=left_out.get("secret", 0),
        commits=found.history.commits,
        parts=parts,
        too_small=too_small,
        model=model,
        licence=entry.licence,
        foundation=foundation.find(model) is not None,
        machine=_machine(),
        sha256=_sha(sorted(f"{file.path}:{file.sha256}" for file in files)),
    )


def _parts(root: Path, tokenizer: CodeTokenizer, sizes: Sizes) -> tuple[Mapping[str, int], str]:
    try:
        return gather(root, TASKS["completion"], tokenizer, sizes, DATA_SEED).files, ""
    except CorpusError:
        raise
    except TailoraError as error:
        return {}, str(error)


def _machine() -> Machine:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return Machine(processor_name(), cores(), psutil.virtual_memory().total, gpu)


def _sha(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
