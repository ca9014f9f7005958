"""``tailora clones``: groups for people, one document for programs."""

from pathlib import Path
from typing import Any

import pytest

FUNCTION = """
def largest(entries, limit):
    found = []
    for entry in entries:
        if entry.size > limit and not entry.hidden:
            found.append((entry.name, entry.size))
        elif entry.size == limit:
            found.append((entry.name, 0))
    found.sort(key=lambda one: one[1])
    return found[:limit]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "src").mkdir(parents=True)
    (root / "other").mkdir()
    (root / "src" / "a.py").write_text(FUNCTION)
    (root / "src" / "b.py").write_text(FUNCTION.replace("found", "kept"))
    (root / "other" / "c.py").write_text(FUNCTION.replace("    return", "    check(found)\n    return"))
    return root


def test_groups_name_every_place(tailora: Any, repository: Path) -> None:
    done = tailora("clones", "--root", repository)
    assert done.code == 0
    assert "src/a.py:2  largest  (9 lines)" in done.out
    assert "src/b.py:2" in done.out
    assert "other/c.py:2" in done.out
    assert done.out.startswith("type 3: 3 functions, alike, 9")


def test_one_document_for_programs(tailora: Any, repository: Path) -> None:
    done = tailora("clones", "--root", repository, "--json", "--type", 2)
    (group,) = done.json["groups"]
    assert (group["type"], group["similarity"]) == (2, 1.0)
    assert [(one["path"], one["line"], one["column"]) for one in group["functions"]] == [
        ("src/a.py", 2, 5),
        ("src/b.py", 2, 5),
    ]
    assert done.json["functions"] == 3


def test_only_what_is_asked_for(tailora: Any, repository: Path) -> None:
    done = tailora("clones", repository / "other", "--root", repository, "--json")
    assert len(done.json["pairs"]) == 2
    assert tailora("clones", "--root", repository, "--json", "--min-tokens", 900).json["pairs"] == []
    assert tailora("clones", "--root", repository, "--json", "--threshold", 1).json["groups"][0]["type"] == 2
    none = tailora("clones", "--root", repository, "--min-tokens", 900)
    assert (none.code, none.out, none.err.splitlines()[-1]) == (0, "", "no clones")
    missing = tailora("clones", repository / "nowhere", "--root", repository)
    assert missing.code == 1
    assert "does not exist" in missing.err


def test_a_missing_model_is_named(tailora: Any, repository: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "none"))
    done = tailora("clones", "--root", repository, "--semantic")
    assert done.code == 1
    assert "tailora model pull" in done.err
