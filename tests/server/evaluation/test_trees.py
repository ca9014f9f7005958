"""Trees between releases and commits, and what one adds to another."""

import itertools
import zipfile
from pathlib import Path

import pytest
from dulwich import porcelain

from tailora.evaluation import trees
from tailora.evaluation.trees import added_lines, between_commits, between_releases, write_tree
from tailora_adapters.errors import HistoryUnreadable, TailoraError

BODY = "\n".join(f"value_{number} = compute({number})" for number in range(8)) + "\n"


def test_added_lines_are_those_that_are_new() -> None:
    old = {"a.py": "one = 1\ntwo = 2\nthree = 3\n", "gone.py": "moved = everything\n"}
    new = {
        "a.py": "three = 3\none = 1\nfresh = 4\n\ntwo = 2\n",
        "b.py": "moved = everything\nbrand = new\n",
        "c.py": "",
    }
    assert added_lines(old, new) == {"a.py": {2: 1.0}, "b.py": {1: 1.0}}
    assert added_lines(new, new) == {}


def test_releases_in_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAILORA_HOME", str(tmp_path / "home"))
    contents = {
        "1": {f"p/{name}.py": BODY for name in "abcd"} | {"p/data.txt": "no source"},
        "2": {f"p/{name}.py": BODY + f"more_{name} = 1\n" for name in "abc"} | {"p/new.py": BODY + "x = 1\n"},
    }
    fetched: list[str] = []

    def fetch(requirement: str, folder: Path) -> None:
        fetched.append(requirement)
        version = requirement.split("==")[1]
        with zipfile.ZipFile(folder / f"p-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in contents[version].items():
                wheel.writestr(path, text)

    monkeypatch.setattr(trees.registries, "pypi_wheel", fetch)
    found = between_releases("p", "1", "2", 3, seed=1)
    assert len(found) == 4
    assert found[0] == {path: text for path, text in contents["1"].items() if path.endswith(".py")}
    assert found[-1] == contents["2"]
    changed = [sum(a.get(path) != b[path] for path in b) for a, b in itertools.pairwise(found)]
    assert sum(changed) == 4
    assert max(changed) <= 2
    assert between_releases("p", "1", "2", 3, seed=1) == found
    assert fetched == ["p==1", "p==2"], "kept"


def test_commits_in_steps(tmp_path: Path) -> None:
    repository = porcelain.init(tmp_path)
    for number in range(5):
        (tmp_path / "a.py").write_text(BODY + f"commit_{number} = {number}\n")
        porcelain.add(repository, [str(tmp_path / "a.py")])
        porcelain.commit(repository, message=b"m", author=b"a <a@a>", committer=b"a <a@a>")
    found = between_commits(tmp_path, "HEAD~4", "HEAD", 2)
    assert [tree["a.py"].split("\n")[-2] for tree in found] == [f"commit_{n} = {n}" for n in (0, 2, 4)]
    with pytest.raises(TailoraError, match="first parents"):
        between_commits(tmp_path, "HEAD", "HEAD~2", 2)
    with pytest.raises(HistoryUnreadable, match="no-such"):
        between_commits(tmp_path, "no-such", "HEAD", 2)


def test_written_trees_follow_each_other(tmp_path: Path) -> None:
    old, new = {"a.py": "1", "sub/b.py": "2", "c.py": "3"}, {"a.py": "1", "sub/b.py": "4", "d.py": "5"}
    assert write_tree(old, tmp_path) == ["a.py", "c.py", "sub/b.py"]
    assert write_tree(new, tmp_path, old) == ["c.py", "d.py", "sub/b.py"]
    on_disk = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.py")}
    assert on_disk == new
