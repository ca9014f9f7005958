"""Whole functions from their docstring, their signature or a comment, written on request."""

from tailora.generation.place import Place, find_place
from tailora.generation.write import Written, write_function

__all__ = ["Place", "Written", "find_place", "write_function"]
