"""``python -m tailora.engine``: what a client starts when no engine runs."""

import sys

from tailora.engine.process import run
from tailora_adapters.errors import TailoraError


def main() -> None:
    """Runs the engine; what keeps it from starting is one line on stderr."""
    try:
        run()
    except (TailoraError, OSError) as error:
        sys.exit(f"the engine cannot start: {error}")


if __name__ == "__main__":
    main()
