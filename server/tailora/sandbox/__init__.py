"""Runs programs that nobody has read (model output, a repository's own tests) under limits.

``run`` and its limits are the public side; ``_jail`` is the small program that takes rights away from itself and then
becomes the command.
"""

from tailora.sandbox.run import Limits, Outcome, passes, run

__all__ = ["Limits", "Outcome", "passes", "run"]
