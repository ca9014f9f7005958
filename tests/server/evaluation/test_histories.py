"""Repositories with a past: each small edit of a release is a commit, and the newest ones are asked about."""

from pathlib import Path

import pytest

from tailora.evaluation import histories
from tailora.evaluation.histories import copy_repository, cut, repository_of_releases
from tailora.scratch_commits import commit_all
from tailora_adapters.errors import TailoraError
from tailora_adapters.foundation import registries

LINES = [f"def f{number}(a, b):\n    return a + {number} * b\n" for number in range(8)]
BODY = "\n\n".join(LINES)


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = {
        "1.0": {"p/a.py": BODY, "p/b.py": BODY, "p/gone.py": BODY},
        "1.1": {"p/a.py": BODY.replace("a + 3", "a - 3").replace("a + 6", "a - 6"), "p/b.py": BODY},
        "1.10": {"p/a.py": BODY.replace("a + 3", "a - 3"), "p/b.py": BODY.replace("a + 1", "a / 1")},
    }
    monkeypatch.setattr(registries, "pypi_versions", lambda _name: ["2.0", "1.10", "1.2rc1", "1.1", "1.0"])
    monkeypatch.setattr(histories, "release", lambda _name, version: trees[version])


def test_each_small_edit_of_a_release_is_a_commit(releases: None, tmp_path: Path) -> None:
    root = repository_of_releases("p", "1.0", "1.10", tmp_path)
    assert not (root / "p/gone.py").exists()
    past = cut(root, 2)
    assert [(fix.path, fix.now) for fix in past.later] == [
        ("p/a.py", ("    return a + 6 * b",)),
        ("p/b.py", ("    return a / 1 * b",)),
    ]
    # As it was before them: the release 1.1.
    assert (root / "p/a.py").read_text() == BODY.replace("a + 3", "a - 3").replace("a + 6", "a - 6")
    assert (root / "p/b.py").read_text() == BODY


def test_too_few_releases(releases: None, tmp_path: Path) -> None:
    with pytest.raises(TailoraError, match="fewer than two releases from 1\\.2 to 1\\.9"):
        repository_of_releases("p", "1.2", "1.9", tmp_path)


def test_a_copy_leaves_the_repository_alone(tmp_path: Path) -> None:
    source = tmp_path / "mine"
    source.mkdir()
    text = BODY
    (source / "a.py").write_text(text)
    commit_all(source, "first")
    for number in range(4):
        text = text.replace(f"a + {number}", f"b + {number}")
        (source / "a.py").write_text(text)
        commit_all(source, str(number))
    (tmp_path / "copies").mkdir()
    root = copy_repository(source, tmp_path / "copies")
    past = cut(root, 2)
    assert [fix.now[0].split()[1:4] for fix in past.later] == [["b", "+", "2"], ["b", "+", "3"]]
    assert (source / "a.py").read_text() == text


def test_versions_and_prose_are_nothing_to_ask_about(tmp_path: Path) -> None:
    text = '__version__ = "1"\n# A comment.\n' + BODY
    (tmp_path / "a.py").write_text(text)
    commit_all(tmp_path, "first")
    for old, new in (('"1"', '"2"'), ("A comment", "Another comment")):
        text = text.replace(old, new)
        (tmp_path / "a.py").write_text(text)
        commit_all(tmp_path, new)
    with pytest.raises(TailoraError, match="no small edits"):
        cut(tmp_path, 2)
