"""What git's files tell; git itself writes them here."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tailora.engine import git
from tailora.engine.git import Head, at_work, git_folder

FRESH_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


class Repository:
    """A work tree with one commit on ``main``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.run("init", "--initial-branch=main")
        self.commit("a.py", "1\n")

    def run(self, *arguments: str, fails: bool = False) -> None:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=FRESH_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert bool(done.returncode) == fails, done.stderr

    def commit(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)
        self.run("add", name)
        self.run("commit", "-m", f"Change {name}")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def folder(repository: Repository) -> Path:
    found = git_folder(repository.root)
    assert found == repository.root / ".git"
    return found


def test_a_commit_is_told_from_a_checkout_and_a_reset(repository: Repository, folder: Path) -> None:
    head = Head()
    assert not head.committed(folder)  # it was there before
    repository.commit("b.py", "1\n")
    assert head.committed(folder)
    assert not head.committed(folder)
    repository.run("checkout", "-b", "side")
    assert not head.committed(folder)
    repository.run("reset", "--hard", "HEAD~1")
    assert not head.committed(folder)
    repository.commit("c.py", "1\n")
    repository.run("checkout", "main")  # right after: the commit still counts
    assert head.committed(folder)
    repository.run("merge", "side", "--ff-only", fails=True)
    repository.run("branch", "another")
    assert not head.committed(folder)


def test_an_amended_commit_and_the_very_first_one_count(tmp_path: Path) -> None:
    repository = tmp_path / "new"
    repository.mkdir()
    (repository / ".git" / "logs").mkdir(parents=True)
    head = Head()
    assert not head.committed(repository / ".git")
    log = repository / ".git" / "logs" / "HEAD"
    log.write_text("0 1 A <a@example.org> 1 +0000\tcommit (initial): First\n")
    assert head.committed(repository / ".git")
    with log.open("a") as file:
        file.write("1 2 A <a@example.org> 2 +0000\tcommit (amend): First\n")
    assert head.committed(repository / ".git")


def test_a_rebase_that_stopped_and_a_merge_are_at_work(repository: Repository, folder: Path) -> None:
    assert at_work(folder) is None
    repository.run("checkout", "-b", "side")
    repository.commit("a.py", "2\n")
    repository.run("checkout", "main")
    repository.commit("a.py", "3\n")
    repository.run("rebase", "side", fails=True)
    assert at_work(folder) == "the rebase"
    repository.run("rebase", "--abort")
    assert at_work(folder) is None
    repository.run("merge", "side", fails=True)
    assert at_work(folder) == "the merge"
    repository.run("merge", "--abort")
    assert at_work(folder) is None


def test_a_lock_is_at_work_until_it_is_clear_that_git_crashed(folder: Path) -> None:
    lock = folder / "index.lock"
    lock.touch()
    assert at_work(folder) == "git (.git/index.lock)"
    os.utime(lock, (0, time.time() - 2 * 3600))
    assert at_work(folder) is None


def test_a_linked_work_tree_has_its_own_head(repository: Repository, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    repository.run("worktree", "add", str(linked))
    folder = git_folder(linked)
    assert folder is not None
    assert folder != repository.root / ".git"
    head = Head()
    head.committed(folder)
    (linked / "d.py").write_text("1\n")
    subprocess.run(["git", "add", "d.py"], cwd=linked, env=FRESH_ENVIRONMENT, check=True)
    subprocess.run(
        ["git", "commit", "-m", "D"], cwd=linked, env=FRESH_ENVIRONMENT, check=True, capture_output=True
    )
    assert head.committed(folder)


@pytest.mark.parametrize("content", [None, "", "gitdir: \0", "gitdir", "x" * 10_000])
def test_no_git_is_nothing_going_on(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".git").write_text(content)
    assert git_folder(tmp_path) is None


def test_files_that_are_no_files_are_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / ".git"
    (folder / "logs").mkdir(parents=True)
    os.mkfifo(folder / "logs" / "HEAD")
    assert git.moves(folder) == ()
    assert not Head().committed(folder)
