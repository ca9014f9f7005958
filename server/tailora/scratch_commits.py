"""Commits in scratch repositories, which the demo and the evaluations make. Never in a user's repository.

A recent edit is learned more often and asked for by the gate, so what is learned needs a history as a user's has.
"""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["commit_all"]


def commit_all(root: Path, message: str, *, when: datetime | None = None) -> bool:
    """Commits whatever is in ``root``, and makes it a repository before if it is none. False without git.

    Args:
        when: The date of the commit, now by default.

    Raises:
        subprocess.CalledProcessError: git refuses.
    """
    git = shutil.which("git")
    if git is None:
        return False
    date = (when or datetime.now(UTC)).isoformat()
    # As git itself sets them where a hook runs, GIT_DIR and its like would lead to another repository.
    others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = others | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    values = ("user.name=Tailora", "user.email=tailora@localhost", "commit.gpgsign=false", "gc.auto=0")
    settings = [part for value in values for part in ("-c", value)]
    commands = [("add", "-A"), (*settings, "commit", "-q", "--allow-empty", "--no-verify", "-m", message)]
    if not (root / ".git").exists():
        commands.insert(0, ("init", "-q"))
    for command in commands:
        subprocess.run([git, *command], cwd=root, check=True, capture_output=True, env=environment)
    return True
