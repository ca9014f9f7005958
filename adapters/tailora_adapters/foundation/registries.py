"""Brings a package's archive here with the registries' own clients, pip and npm, as they are set up on this machine.

No code of a package is run: wheels and tarballs are only stored, and a source distribution is brought by
``tailora_adapters.foundation._pip_sdist`` because ``pip download`` would run its build backend. The hash is for the
caller to check.
"""

import subprocess
import sys
from pathlib import Path

from tailora_adapters.errors import FetchFailed

__all__ = ["npm_tarball", "pypi_sdist", "pypi_versions", "pypi_wheel"]

_SECONDS = 600


def pypi_wheel(requirement: str, folder: Path) -> None:
    """Stores the wheel of ``name==version``. Raises ``FetchFailed``."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    # Whether this Python could run it does not matter: it is only read.
    options = ("--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--dest", str(folder))
    _run((*pip, *options, requirement), requirement)


def pypi_sdist(name: str, file: str, folder: Path) -> None:
    """Stores the source distribution of that file name. Raises ``FetchFailed``."""
    module = "tailora_adapters.foundation._pip_sdist"
    _run((sys.executable, "-m", module, name, file, str(folder)), file)


def pypi_versions(name: str) -> list[str]:
    """All versions of a package that there are. Raises ``FetchFailed``."""
    pip = (sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", name)
    for line in _run(pip, name).splitlines():
        label, _, versions = line.partition(":")
        if label.strip() == "Available versions":
            return [version.strip() for version in versions.split(",")]
    raise FetchFailed(f"pip does not say which versions {name} has")


def npm_tarball(specifier: str, folder: Path) -> None:
    """Stores the tarball of ``name@version``. Raises ``FetchFailed``, also where there is no npm."""
    npm = ("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder))
    _run((*npm, specifier), specifier)


def _run(command: tuple[str, ...], what: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except FileNotFoundError:
        raise FetchFailed(f"{what} needs {command[0]}, which is not installed here: install it") from None
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"{what} did not arrive within {_SECONDS} s: try again") from None
    if done.returncode != 0:
        reason = done.stderr.strip() or done.stdout.strip() or "no reason was given"
        raise FetchFailed(f"{what} could not be fetched: {reason[-300:]}")
    return done.stdout
