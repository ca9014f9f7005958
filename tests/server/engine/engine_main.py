"""Run as a script: the real engine process with a scripted generator."""

import os
import shlex
import sys
from pathlib import Path

from engine_fakes import FakeGenerator
from tailora.engine import worker
from tailora.engine.options import EngineOptions, read_options
from tailora.engine.process import Parts, run


def fetch(name: str, progress: object) -> Path:
    assert callable(progress)
    progress(0.3, f"fetching {name}")
    progress(0.8, "writing the weights")
    return Path(name)


def make(_options: EngineOptions) -> FakeGenerator:
    generator = FakeGenerator()
    generator.hold = os.environ.get("FAKE_HOLD") == "1"
    return generator


if __name__ == "__main__":
    options, _ = read_options()
    command = shlex.split(os.environ.get("FAKE_WORKER", "")) or worker.COMMAND
    run(options, Parts(make, fetch, lambda _name: True, command))
    sys.exit(0)
