"""Where the editors of the tests are."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = [
    "AREAS",
    "CHROMIUM",
    "CODE_SERVER",
    "EDITORS",
    "FAULTY",
    "NEOVIMS",
    "PATIENCE_S",
    "TEXT",
    "VSIX",
    "missing",
    "untested",
]

_ROOT = Path(__file__).parents[3]
EDITORS = Path(os.environ.get("TAILORA_EDITORS") or _ROOT / ".editors").resolve()
NEOVIMS = {"0.11": EDITORS / "nvim11" / "bin" / "nvim", "0.12": EDITORS / "nvim12"}
CODE_SERVER = EDITORS / "code-server" / "node_modules" / ".bin" / "code-server"
CHROMIUM = Path(shutil.which("chromium") or shutil.which("google-chrome") or "chromium")
PATIENCE_S = float(os.environ.get("TAILORA_PATIENCE_S", "60"))
"""Only bounds tests that fail: the first suggestion waits for the model to load."""
VSIX = _ROOT / "out" / "tailora.vsix"

AREAS = '''\
"""Areas of shapes."""

import math


def circle_area(radius):
    """The area of a circle."""
    return math.pi * radius**2


def square_area(side):
    """The area of a square."""
    return side**2


def rectangle_area(width, height):
    """The area of a rectangle."""
    '''
"""What comes next is plain: ``return width * height``."""
TEXT = '''\
"""Sizes of things."""


def perimeter(width: float, height: float) -> float:
    """Around a rectangle."""
    return 2 * (width + height)


def area(width: float, height: float) -> float:
    """Of a rectangle."""
    return '''
FAULTY = TEXT + "breadth * height\n"


def missing(what: str, *paths: Path) -> None:
    """``untested`` where one of ``paths`` is not there."""
    for path in paths:
        if not path.exists():
            untested(what, f"{path} is missing")


def untested(what: str, why: str) -> NoReturn:
    """Skips, loudly; fails where ``$TAILORA_EDITORS_REQUIRED`` is set."""
    message = f"{what.upper()} WAS NOT TESTED: {why}; `make e2e` brings it"
    if os.environ.get("TAILORA_EDITORS_REQUIRED"):
        pytest.fail(message)
    pytest.skip(message)
