"""How torch's threads wait for each other. To be called before torch is imported, which reads it once.

Knows nothing of what the threads compute.
"""

import os

__all__ = ["settle"]


_SPINS = 10_000


def settle() -> None:
    """Threads wait for each other awake for a moment, then asleep.

    libgomp's own choice depends on how many threads there are: 300,000 spins or 100. Milliseconds a token in the
    engine on 2 cores, by spins: 1,000 29 to 38, 10,000 to 300,000 25 to 27; beside a busy process 62 (1,000), 73
    (10,000), 130 (30,000) and 600 (100,000), until the engine goes down to one thread (``tailora.engine.cores``).
    What the user has set is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))
