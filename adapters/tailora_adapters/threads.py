"""How torch's threads wait for each other. To be called before torch is imported, which reads it once.

Knows nothing of what the threads compute.
"""

import os

__all__ = ["settle"]


def settle() -> None:
    """Threads wait for each other awake for a moment only (a thousand spins), then asleep.

    On 2 cores, prompt tokens a second and milliseconds a token to write: libgomp's own choice gives 344 and 27 on quiet
    cores but 83 and 114 beside one busy process; sleeping at once 266 and 50, 173 and 46; this 322 and 31, 156 and 58.
    What the user has set is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
