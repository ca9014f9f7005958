"""Commits of scratch repositories are what the corpus reads as history."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tailora.scratch_commits import commit_all
from tailora_adapters.corpus.repository import Repository


def test_each_is_a_commit_with_its_date(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = 1\n")
    long_ago = datetime.now(UTC) - timedelta(days=365)
    assert commit_all(tmp_path, "first", when=long_ago)
    (tmp_path / "a.py").write_text("a = 2\n")
    assert commit_all(tmp_path, "second")
    repository = Repository(tmp_path)
    try:
        head = repository.resolve("HEAD")
        assert head.when == pytest.approx(datetime.now(UTC).timestamp(), abs=600)
        first = repository.commit(head.parents[0])
        assert first.when == pytest.approx(long_ago.timestamp(), abs=600)
    finally:
        repository.close()


def test_another_repository_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users, scratch = tmp_path / "users", tmp_path / "scratch"
    for folder in (users, scratch):
        folder.mkdir()
        (folder / "a.py").write_text("a = 1\n")
    commit_all(users, "the user's")
    head = (users / ".git" / "logs" / "HEAD").read_text()
    monkeypatch.setenv("GIT_DIR", str(users / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(users))
    commit_all(scratch, "ours")
    assert (scratch / ".git").is_dir()
    assert (users / ".git" / "logs" / "HEAD").read_text() == head


def test_without_git_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert not commit_all(tmp_path, "first")
    assert not (tmp_path / ".git").exists()
