"""Where an evaluation trains and stores, away from the user's own adapters. Knows nothing of what is evaluated."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tailora.environment import environment
from tailora_adapters import paths

__all__ = ["scratch"]


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder, and a ``TAILORA_HOME`` of its own in its ``home``; the models are shared."""
    with tempfile.TemporaryDirectory(prefix="tailora-eval-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        variables = {"TAILORA_MODELS": str(paths.models_dir()), "TAILORA_HOME": str(folder / "home")}
        with environment(variables):
            yield folder
