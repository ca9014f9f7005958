"""What is said of single paths is what a walk of the whole tree finds."""

from pathlib import Path

import pytest

from tailora_adapters.corpus import rules as module
from tailora_adapters.corpus.rules import PathRules
from tailora_adapters.corpus.select import select_files

PATHS = (
    "a.py", "src/env/config.py", "core/target/select.py", "rust/target/a.rs", "rust/src/out/b.rs", "my_env/lib/a.py",
    "libs/nested/a.py", "out/app.js", "web/out/app.js", "web/keep.out.js", "web/x.out.js", "legacy/a.py",
    "node_modules/x/a.js", "Pods/a.c", "x.egg-info/a.py", "__pycache__/a.py", ".cache/a.py", "api_pb2.py", "notes.txt",
    "deep/er/private.py", "deep/er/b.py", ".env.py",
)  # fmt: skip


def write(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    for path in PATHS:
        write(root, path, "".join(f"{path!r} is line {number}\n" for number in range(9)))
    write(root, ".git/info/exclude", "private.py\n")
    write(root, ".gitignore", "/out/\n*.out.js\n")
    write(root, "web/.gitignore", "!keep.out.js\n")
    write(root, ".tailoraignore", "legacy/\n")
    write(root, "rust/Cargo.toml")
    write(root, "my_env/pyvenv.cfg")
    write(root, "libs/nested/.git")
    return root


def learnable(rules: PathRules, paths: tuple[str, ...] = PATHS) -> set[str]:
    return {path for path in paths if rules.learnable(path)}


@pytest.mark.parametrize("most", [1, 20_000], ids=["forgetful", "remembering"])
def test_agrees_with_the_selection(repo: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "_MOST_KEPT", most)
    selected = {file.path for file in select_files(repo).files}
    assert learnable(PathRules(repo)) == selected
    assert {"src/env/config.py", "core/target/select.py", "web/out/app.js", "web/keep.out.js"} <= selected


def test_files_that_are_gone_are_judged_as_if_they_were_there(repo: Path) -> None:
    rules = PathRules(repo)
    assert learnable(rules, ("gone/a.py", "out/gone.js", "gone/x.out.js")) == {"gone/a.py"}


@pytest.mark.parametrize("path", [".gitignore", ".tailoraignore", "src/.gitignore", ".git/info/exclude"])
def test_rules_are_read_anew_when_told(repo: Path, path: str) -> None:
    rules = PathRules(repo)
    assert rules.learnable("src/env/config.py")
    write(repo, path, "config.py\n")
    rules.changed("a.py")
    assert rules.learnable("src/env/config.py")
    rules.changed(path)
    assert not rules.learnable("src/env/config.py")
    (repo / path).unlink()
    rules.changed(path)
    assert rules.learnable("src/env/config.py")


def test_a_folder_that_becomes_an_environment_is_left_out_until_it_is_made_anew(repo: Path) -> None:
    rules = PathRules(repo)
    assert rules.learnable("src/env/config.py")
    write(repo, "src/env/pyvenv.cfg")
    rules.changed("src/env/pyvenv.cfg")
    assert not rules.learnable("src/env/config.py")
    (repo / "src/env/pyvenv.cfg").unlink()
    rules.changed("src/env/pyvenv.cfg")
    assert not rules.learnable("src/env/config.py")
