"""How large and how alike functions must be to count as clones. Numbers only, cheap to import."""

__all__ = [
    "FLOOR",
    "LEAST_TOKENS",
    "MIN_LINES",
    "MIN_TOKENS",
    "MOST_TOKENS",
    "SEMANTIC_THRESHOLD",
    "THRESHOLD",
]

THRESHOLD = 0.7
"""Similarity from which two functions are clones of type 3: NiCad's default (Roy and Cordy 2008); measured in
``docs/clones.md``."""
FLOOR = 0.6
"""The least threshold that can be asked for."""
MIN_TOKENS = 50
"""Of a body, below which functions are alike by chance: the usual least size of CCFinder and SourcererCC."""
LEAST_TOKENS = 30
"""The least of it that can be asked for; smaller bodies are not indexed."""
MIN_LINES = 6
"""Of a body, with a token on them: that of BigCloneBench (Svajlenko and Roy 2014)."""
MOST_TOKENS = 10_000
"""Larger bodies are not compared: such functions are tables, or generated."""
SEMANTIC_THRESHOLD = 0.5
"""Cosine of two functions' vectors from which they are called clones of type 4; measured in ``docs/clones.md``."""
