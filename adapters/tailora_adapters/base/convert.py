"""Once for each base model: from a GGUF file or a hub folder to ``model.safetensors`` and ``tokenizer.json``.

Everything is written under a temporary folder and moved, the record last. Dense weights are bfloat16.
"""

import hashlib
import os
import shutil
from pathlib import Path

from tailora_adapters.base import cache
from tailora_adapters.base.fetch import Progress
from tailora_adapters.errors import FetchFailed

__all__ = ["convert"]


def convert(
    source: Path,
    folder: Path,
    *,
    name: str,
    source_sha256: str | None,
    revision: str | None,
    progress: Progress,
) -> None:
    """Converts ``source`` (a ``.gguf`` file or a transformers folder) into ``folder``.

    Raises:
        FetchFailed: the source is not a model that transformers knows, or the disk is full.
    """
    work = folder / ".converting"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        _save(source, work, progress)
        progress(0.9, f"checking {name}")
        files = {path.name: cache.hash_file(path) for path in sorted(work.iterdir())}
        for file in files:
            (work / file).replace(folder / file)
    except OSError as error:
        raise FetchFailed(f"{name} cannot be converted: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if source_sha256 is None:
        source_sha256 = hashlib.sha256("".join(sorted(files.values())).encode()).hexdigest()
    cache.write_record(
        folder,
        cache.Record(cache.FORMAT, name, source_sha256, revision, files["tokenizer.json"], files),
    )


def _save(source: Path, target: Path, progress: Progress) -> None:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ["TQDM_DISABLE"] = "1"  # progress is told to the caller
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    progress(0.0, "reading the weights (once)")
    try:
        if source.is_dir():
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
        else:
            place, file = str(source.parent), source.name
            model = AutoModelForCausalLM.from_pretrained(
                place,
                gguf_file=file,
                quantization_config=GgufConfig(gguf_file=file, dequantize=True),
                dtype=torch.bfloat16,
                local_files_only=True,
            )
            progress(0.5, "reading the tokenizer (once)")
            tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=file, local_files_only=True)
    except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise FetchFailed(f"{source} is not a model that can be used: {error}") from error
    progress(0.7, "writing the weights")
    model.config.name_or_path = ""
    model.save_pretrained(target, max_shard_size="100GB")
    tokenizer.save_pretrained(target)
