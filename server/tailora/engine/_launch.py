"""Run as a script: becomes the training worker, after arranging that it is modest and dies with the engine.

    python -I -S _launch.py ENGINE_PID PROGRAM [ARGUMENT...]

A program of its own, because code between fork and exec (``preexec_fn``) can deadlock in a process with
threads. Imports nothing of Tailora: it must start in milliseconds.
"""

import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_NICENESS = 10


def main() -> None:
    engine, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        # Kept across exec. SIGKILL, because nothing else reaches a worker that is stopped for a completion.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != engine:  # the engine died before the line above
        sys.exit(1)
    os.nice(_NICENESS)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
