"""The folder of a project: where it really is, and why it may not be learned.

Looks at the file system, changes nothing. Knows nothing of clients or of training.
"""

import os
from pathlib import Path

from tailora.engine.wire import BadRequest

__all__ = ["problem_of", "real_root"]


def real_root(root: str) -> Path:
    """The root without symbolic links.

    Raises:
        BadRequest: its links lead in a circle.
    """
    path = Path(os.path.realpath(root))
    if path.is_symlink():
        raise BadRequest(f"{root} is a loop of symbolic links")
    return path


def problem_of(path: Path) -> str | None:
    """Why a folder is not learned, or None."""
    try:
        if not path.is_dir():
            return f"{path} is not a folder" if path.exists() else f"the folder {path} does not exist"
        if path == Path(path.anchor) or path == Path.home().resolve():
            return f"{path} as a whole is not learned; open a project inside it"
    except OSError as error:
        return f"the folder {path} cannot be read: {error.strerror}"
    if not os.access(path, os.R_OK | os.X_OK):
        return f"the folder {path} cannot be read"
    return None
