"""The command line. Results go to stdout (one JSON document with ``--json``), everything else to stderr.

``tailora lsp`` is told apart before anything else is imported, since an editor waits for it.
"""

import sys

__all__ = ["main"]


def main() -> int:
    """Entry point of the ``tailora`` command; returns the exit code."""
    if sys.argv[1:2] == ["lsp"]:
        from tailora.lsp.server import main as serve

        return serve(sys.argv[2:])
    from tailora.cli.app import run
    from tailora_adapters import threads

    threads.settle()
    return run()
