"""Training and those who ask see one repository: selected, cleared by its history, without near-duplicates."""

from typing import Any

from tailora_adapters.corpus.history import HistoryLimits
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.select import FORGOTTEN

LIMITS = HistoryLimits(seconds=60.0)
SECRET = "zq7" + "Rw2xKp9Lm4"


def code(name: str) -> str:
    return "".join(f"def {name}_{number}(value):\n    return {name} * {number}\n\n" for number in range(20))


def test_every_file_is_learned_or_left_out_for_a_reason(git: Any) -> None:
    git.commit({"old.env": f"API_KEY={SECRET}\n", "a.py": code("first"), "b.py": code("second")}, days_ago=30)
    files = {
        "a.py": code("first"),
        "b.py": code("second") + "def added(value):\n    return value\n",
        "copy.py": code("first") + "# copied\n",
        "uses.py": code("third") + f'connect("{SECRET}")\n',
        "tiny.py": "x = 1\n",
    }
    git.commit(files, days_ago=1)
    git.write(files | {"note.txt": "text\n"})
    (git.root / "a.py").touch()
    messages: list[str] = []
    found = read_learnable(git.root, limits=LIMITS, progress=lambda _, message: messages.append(message))
    assert [file.path for file in found.selection.files] == ["a.py", "b.py"]
    assert {item.path: item.reason for item in found.selection.rejected} == {
        "copy.py": "near-duplicate",
        "note.txt": "language unknown",
        "tiny.py": "too small",
        "uses.py": "secret",
    }
    assert [item.path for item in found.selection.rejected] == ["copy.py", "note.txt", "tiny.py", "uses.py"]
    assert {edit.path for edit in found.history.edits} == {"a.py", "b.py"}
    assert "reading the history" in messages


def test_what_is_forgotten_is_in_no_part(git: Any) -> None:
    files = {"a.py": code("first"), "b.py": code("second"), "c/d.py": code("third")}
    git.commit(files, days_ago=1)
    git.write(files)
    found = read_learnable(git.root, forgotten=("a.py", "c"), limits=LIMITS)
    assert [file.path for file in found.selection.files] == ["b.py"]
    assert {item.path: item.reason for item in found.selection.rejected} == {
        "a.py": FORGOTTEN,
        "c/": FORGOTTEN,
    }
    assert {edit.path for edit in found.history.edits} == {"b.py"}


def test_without_a_history(tmp_path: Any) -> None:
    (tmp_path / "a.py").write_text(code("only"))
    found = read_learnable(tmp_path)
    assert [file.path for file in found.selection.files] == ["a.py"]
    assert found.history.reason == "no git repository"
    assert found.history.edits == ()
