"""Chance that stays: a number for a seed and what is drawn for, whatever else there is and in whatever order.

So a choice by it changes little where files come, go or change. Knows nothing of what is chosen.
"""

import hashlib

__all__ = ["luck"]


def luck(seed: int, *what: object) -> float:
    """A number in [0, 1), evenly distributed."""
    text = ":".join(map(str, (seed, *what)))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
