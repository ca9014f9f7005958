"""Run as a script: the real engine process with a scripted generator.

``FAKE_PROTOCOL`` lets it pretend to be of another version, ``FAKE_WORKER`` is its training worker's command.
"""

import os
import shlex
from pathlib import Path

from tailora.engine import endpoint, worker

endpoint.PROTOCOL = int(os.environ.get("FAKE_PROTOCOL", endpoint.PROTOCOL))

# After the line above, because the app reads the number when it is imported.
from engine_fakes import FakeGenerator  # noqa: E402

from tailora.engine.options import read_options  # noqa: E402
from tailora.engine.process import Parts, run  # noqa: E402


def fetch(name: str, progress: object) -> Path:
    return Path(name)


if __name__ == "__main__":
    command = shlex.split(os.environ.get("FAKE_WORKER", "")) or worker.COMMAND
    run(read_options()[0], Parts(lambda _options: FakeGenerator(), fetch, lambda _name: True, command))
