"""Docstrings that are written or updated in the repository's own style, and agree with their function."""

from tailora.docstrings.repository import Styles
from tailora.docstrings.target import Target, find_target, targets
from tailora.docstrings.write import Written, make_docstring

__all__ = ["Styles", "Target", "Written", "find_target", "make_docstring", "targets"]
