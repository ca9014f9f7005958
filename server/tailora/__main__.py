"""``python -m tailora``."""

import sys

from tailora.cli import main

sys.exit(main())
