"""``tailora demo``: the main job on a real repository, through the real language server.

``editor`` is a small LSP client, ``repository`` makes the repository, ``run`` tells the story.
"""

from tailora.demo.run import run_demo

__all__ = ["run_demo"]
