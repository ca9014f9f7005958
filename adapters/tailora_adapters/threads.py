"""How torch's threads wait for each other. To be called before torch is imported, which reads it once.

Knows nothing of what the threads compute.
"""

import os

__all__ = ["settle"]


def settle() -> None:
    """Threads that spin while they wait stand still where another process wants the cores: 565 prompt tokens took 55 s
    beside one busy process on 2 cores, and 3.3 s with threads that sleep. What the user has set is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
