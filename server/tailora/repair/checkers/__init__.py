"""Asks the static checkers that a developer has installed about a text that is on no disk, and compares answers.

``find`` says which there are, a ``Checker`` is asked, ``compare`` tells what an edit did. Nothing is ever written into
the user's project, and in an untrusted workspace nothing of it is executed.
"""

from tailora.repair.checkers.checker import Checker
from tailora.repair.checkers.compare import Comparison, compare
from tailora.repair.checkers.locate import find

__all__ = ["Checker", "Comparison", "compare", "find"]
