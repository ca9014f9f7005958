"""Recent lines are found in a history of any shape and state, and nothing else comes out of it."""

import dataclasses
import itertools
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.corpus import secrets
from tailora_adapters.corpus.history import UNCOMMITTED, Edit, History, HistoryLimits, recent_edits
from tailora_adapters.corpus.select import select_files

DAY = 24 * 3600
NOW = 1_790_000_000
LIMITS = HistoryLimits(seconds=60.0)


def body(*names: str) -> str:
    """A text with two telling lines and a short one for each name."""
    return "".join(f"def {name}(value):\n    return {name}_of(value)\n\n" for name in names)


BASE = body("alpha", "beta", "gamma", "delta")


def read(root: Path, limits: HistoryLimits = LIMITS) -> History:
    return recent_edits(root, select_files(root).files, limits=limits)


def told(history: History) -> list[tuple[str, int, int, float]]:
    """Paths, lines and days before ``NOW``."""
    return [(e.path, e.first_line, e.last_line, round((NOW - e.when) / DAY, 2)) for e in history.edits]


class TestCommits:
    def test_lines_get_the_commit_that_added_them_newest_first(self, git: Any) -> None:
        first = git.commit({"a.py": BASE, "b.py": BASE + "# b is here\n"}, days_ago=200)
        grown = BASE + body("epsilon")
        second = git.commit({"a.py": grown, "b.py": BASE + "# b is here\n"}, days_ago=10)
        changed = grown.replace("beta_of(value)", "beta_of(value + 1)")
        third = git.commit({"a.py": changed, "b.py": BASE + "# b is here\n"}, days_ago=2)
        git.write({"a.py": changed, "b.py": BASE + "# b is here\n"})
        history = read(git.root)
        assert history.edits == (
            Edit("a.py", 4, 4, NOW - 2 * DAY, third),
            Edit("a.py", 12, 13, NOW - 10 * DAY, second),
        )
        assert first not in {edit.commit for edit in history.edits}
        assert (history.commits, history.reason, history.lines) == (2, "", 3)
        assert history.by_path() == {"a.py": history.edits}
        assert read(git.root) == history

    def test_a_new_repository_is_recent_as_a_whole(self, git: Any) -> None:
        git.commit({"a.py": BASE})
        git.write({"a.py": BASE})
        assert told(read(git.root)) == [("a.py", 0, 10, 0.0)]

    def test_places_are_those_of_the_present_text(self, git: Any) -> None:
        git.commit({"a.py": BASE}, days_ago=100)
        git.commit({"a.py": BASE + body("epsilon", "zeta")}, days_ago=5)
        now = body("first") + BASE + body("epsilon", "between", "zeta").replace("epsilon_of", "other_of")
        git.commit({"a.py": now}, days_ago=1)
        git.write({"a.py": now})
        assert told(read(git.root)) == [
            ("a.py", 0, 1, 1.0),
            ("a.py", 16, 19, 1.0),  # ``other_of`` and ``between``
            ("a.py", 15, 15, 5.0),
            ("a.py", 21, 22, 5.0),
        ]

    @pytest.mark.parametrize(
        "before, now",
        [
            ({"a.py": body("alpha", "beta")}, {"a.py": body("beta", "alpha")}),
            ({"a.py": BASE}, {"a.py": BASE.replace("    return", "  return")}),
            ({"old.py": BASE}, {"new.py": BASE}),
            ({"a.py": BASE + body("moved")}, {"a.py": BASE, "b.py": body("moved") * 3}),
            ({"a.py": BASE}, {"a.py": BASE + "    }\n)\nelse:\n\n"}),
        ],
        ids=["moved", "indented", "renamed", "to another file", "short"],
    )
    def test_lines_that_are_not_new(self, git: Any, before: Any, now: Any) -> None:
        git.commit(before, days_ago=100)
        git.commit(now, days_ago=1)
        git.write(now)
        assert told(read(git.root)) == []

    def test_lines_that_are_gone(self, git: Any) -> None:
        git.commit({"a.py": BASE}, days_ago=100)
        git.commit({"a.py": BASE + body("gone")}, days_ago=5)
        git.commit({"a.py": BASE}, days_ago=4)
        git.write({"a.py": BASE})
        assert read(git.root).edits == ()

    def test_merged_commits_count_and_merges_do_not(self, git: Any) -> None:
        root = git.commit({"a.py": BASE, "b.py": BASE * 2}, days_ago=100)
        side = git.commit({"a.py": BASE + body("side"), "b.py": BASE * 2}, days_ago=6, parents=[root])
        main = git.commit({"a.py": BASE, "b.py": BASE * 2 + body("main")}, days_ago=5, parents=[root])
        both = {"a.py": BASE + body("side"), "b.py": BASE * 2 + body("main", "evil")}
        git.commit(both, days_ago=1, parents=[main, side])
        git.write(both)
        assert told(read(git.root)) == [("b.py", 24, 25, 5.0), ("a.py", 12, 13, 6.0)]

    def test_other_line_endings_and_marks_are_no_change(self, git: Any) -> None:
        git.commit({"a.py": BASE, "b.py": BASE.replace("\n", "\r\n") + "#\r\n"}, days_ago=100)
        git.commit({"a.py": BASE, "b.py": BASE.replace("\n", "\r\n") + "# changed\r\n"}, days_ago=9)
        git.write(
            {"a.py": b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode(), "b.py": BASE + "# changed\n"}
        )
        assert told(read(git.root)) == [("b.py", 12, 12, 9.0)]

    def test_a_folder_of_the_repository(self, git: Any) -> None:
        git.commit({"lib/a.py": BASE, "b.py": BASE}, days_ago=100)
        now = {"lib/a.py": BASE + body("new"), "b.py": BASE + body("other")}
        git.commit(now, days_ago=1)
        git.write(now)
        assert told(read(git.root / "lib")) == [("a.py", 12, 13, 1.0)]

    def test_clocks_that_are_wrong(self, git: Any) -> None:
        git.commit({"a.py": BASE}, days_ago=-50)
        git.commit({"a.py": BASE + body("new")}, days_ago=3)
        git.write({"a.py": BASE + body("new")})
        first, new = read(git.root).edits
        assert (first.first_line, new.first_line) == (0, 12)
        assert first.when == new.when == NOW - 3 * DAY  # not newer than what came after it


class TestWorkingTree:
    def test_what_is_not_committed_is_newest(self, git: Any) -> None:
        git.commit({"a.py": BASE}, days_ago=100)
        git.commit({"a.py": BASE + body("committed")}, days_ago=1)
        git.write(
            {"a.py": BASE + body("committed", "edited"), "new.py": body("untracked", "another", "third")}
        )
        os.utime(git.root / "a.py", (NOW + 60, NOW + 60))
        os.utime(
            git.root / "new.py", (0, 0)
        )  # as unpacked from an archive: newer than the last commit all the same
        assert [
            (e.path, e.first_line, e.last_line, e.when, e.commit == UNCOMMITTED) for e in read(git.root).edits
        ] == [
            ("a.py", 15, 16, NOW + 60, True),
            ("a.py", 12, 13, NOW - DAY, False),
            ("new.py", 0, 7, NOW - DAY, True),
        ]

    def test_a_file_from_the_future_is_as_new_as_now(self, git: Any) -> None:
        git.commit({"a.py": BASE})
        git.write({"a.py": BASE + body("new")})
        os.utime(git.root / "a.py", (2**33, 2**33))
        assert read(git.root).edits[0].when <= time.time()

    def test_a_rename_that_is_not_committed(self, git: Any) -> None:
        git.commit({"a.py": BASE, "z.py": BASE * 2}, days_ago=100)
        git.commit({"a.py": BASE, "z.py": BASE * 2 + "# a line of today\n"})
        git.write({"b.py": BASE, "z.py": BASE * 2 + "# a line of today\n"})
        assert told(read(git.root)) == [("z.py", 24, 24, 0.0)]

    def test_files_kept_elsewhere_are_not_changed(self, git: Any) -> None:
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
        git.commit({"a.py": pointer})
        git.write({"a.py": BASE})
        assert read(git.root).edits == ()


class TestLimits:
    def history(self, git: Any) -> None:
        text = BASE
        for number in range(6):
            text += body(f"step{number}")
            git.commit({"a.py": text}, days_ago=100 - 10 * number)
        git.write({"a.py": text})

    def test_commits(self, git: Any) -> None:
        self.history(git)
        history = read(git.root, dataclasses.replace(LIMITS, commits=2))
        assert (history.commits, len(history.edits)) == (2, 2)
        assert history.reason == "the newest 2 commits were read"

    def test_days_before_the_newest_commit(self, git: Any) -> None:
        self.history(git)
        history = read(git.root, dataclasses.replace(LIMITS, days=25))
        assert (history.commits, history.reason) == (3, "")

    def test_blobs(self, git: Any) -> None:
        self.history(git)
        history = read(git.root, dataclasses.replace(LIMITS, blobs=5))
        assert history.commits == 2
        assert "4 versions of files were read" in history.reason

    def test_size(self, git: Any) -> None:
        self.history(git)
        assert read(git.root, dataclasses.replace(LIMITS, blob_bytes=10)).edits == ()

    def test_time(self, git: Any) -> None:
        self.history(git)
        history = read(git.root, dataclasses.replace(LIMITS, seconds=0.0))
        assert history.edits == ()
        assert history.reason == "0 s were spent reading"

    def test_time_in_which_it_was_suspended_does_not_count(
        self, git: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A completion suspends training for seconds; what is not read is not searched for secrets."""
        self.history(git)
        hours = itertools.count(time.monotonic(), 3_600.0)
        monkeypatch.setattr(time, "monotonic", lambda: next(hours))
        assert not read(git.root, HistoryLimits()).reason


class TestStates:
    """A healthy repository with one recent edit, put into every state that is met in practice."""

    @pytest.fixture
    def repository(self, git: Any) -> Any:
        git.commit({"a.py": BASE}, days_ago=100)
        git.commit({"a.py": BASE + body("new")}, days_ago=1)
        git.write({"a.py": BASE + body("new")})
        return git

    EXPECTED = [("a.py", 12, 13, 1.0)]  # noqa: RUF012

    def test_packed(self, repository: Any) -> None:
        repository.pack()
        assert not repository.loose(repository.head).exists()
        assert told(read(repository.root)) == self.EXPECTED

    def test_a_worktree(self, repository: Any, tmp_path: Path) -> None:
        own = repository.root / ".git" / "worktrees" / "w"
        own.mkdir(parents=True)
        (own / "commondir").write_text("../..\n")
        (own / "HEAD").write_text(repository.head + "\n")
        tree = tmp_path / "tree"
        tree.mkdir()
        (tree / ".git").write_text(f"gitdir: {own}\n")
        (tree / "a.py").write_text(BASE + body("new"))
        assert told(read(tree)) == self.EXPECTED

    def test_a_shallow_clone(self, repository: Any) -> None:
        parent = repository.store[repository.head.encode()].parents[0].decode()
        git_folder = repository.root / ".git"
        (git_folder / "shallow").write_text(f"{repository.head}\n")
        repository.loose(parent).unlink()
        history = read(repository.root)
        assert history.edits == ()  # not the whole file, as if it were new
        assert "cannot be read" in history.reason

    def test_one_branch_that_is_damaged_leaves_the_other(self, repository: Any) -> None:
        main = repository.head
        base = repository.store[main.encode()].parents[0].decode()
        side = repository.commit({"a.py": BASE, "b.py": BASE}, days_ago=0.5, parents=[base])
        repository.commit({"a.py": BASE + body("new"), "b.py": BASE}, days_ago=0, parents=[side, main])
        tree = repository.store[side.encode()].tree.decode()
        repository.loose(tree).chmod(0o644)
        repository.loose(tree).write_bytes(b"damaged")
        history = read(repository.root)
        assert told(history) == self.EXPECTED
        assert "a tree cannot be read" in history.reason
        repository.loose(side).unlink()
        history = read(repository.root)
        assert told(history) == self.EXPECTED
        assert f"commit {side[:10]} cannot be read" in history.reason

    @pytest.mark.parametrize(
        "damage",
        [
            lambda git: shutil.rmtree(git.root / ".git"),
            lambda git: shutil.rmtree(git.root / ".git" / "objects"),
            lambda git: (git.root / ".git" / "HEAD").unlink(),
            lambda git: (git.root / ".git" / "HEAD").write_bytes(b"\xff\x00"),
            lambda git: (git.root / ".git" / "HEAD").write_text("ref: refs/heads/none\n"),
            lambda git: (git.root / ".git" / "HEAD").write_text("ref: HEAD\n"),
            lambda git: (git.root / ".git" / "HEAD").write_text("ref: ../../../../etc/passwd\n"),
            lambda git: (git.root / ".git" / "HEAD").write_text("0" * 40),
            lambda git: (git.root / ".git" / "HEAD").write_text("0" * 64),
            lambda git: (git.root / ".git" / "reftable").mkdir(),
            lambda git: git.loose(git.head).write_bytes(b""),
            lambda git: git.loose(git.head).write_bytes(zlib.compress(b"commit 3\0abc")),
            lambda git: git.loose(git.head).write_bytes(zlib.compress(b"blob 3\0abc")),
            lambda git: git.loose(git.head).write_bytes(zlib.compress(b"commit 99999999\0" + bytes(2**24))),
        ],
    )
    def test_what_cannot_be_read_is_told(self, repository: Any, damage: Callable[[Any], None]) -> None:
        head = repository.loose(repository.head)
        head.chmod(0o644)
        damage(repository)
        history = read(repository.root)
        assert history.edits == ()
        assert history.reason

    def test_a_pack_that_is_damaged(self, repository: Any) -> None:
        repository.pack()
        (pack,) = (repository.root / ".git" / "objects" / "pack").glob("*.pack")
        pack.chmod(0o644)
        data = bytearray(pack.read_bytes())
        data[20:-20] = bytes(len(data) - 40)
        repository.close()
        pack.write_bytes(data)
        history = read(repository.root)
        assert history.edits == ()
        assert history.reason

    def test_a_pointer_to_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text(BASE)
        (tmp_path / ".git").write_text("gitdir: /no/such/folder\n")
        assert read(tmp_path).reason

    def test_alternates_that_go_round(self, repository: Any) -> None:
        objects = repository.root / ".git" / "objects"
        (objects / "info").mkdir(exist_ok=True)
        (objects / "info" / "alternates").write_text(f"{objects}\n")
        assert "ValueError" in read(repository.root).reason

    def test_objects_that_are_borrowed(self, repository: Any, tmp_path: Path) -> None:
        objects = repository.root / ".git" / "objects"
        shutil.move(objects, tmp_path / "lender")
        (objects / "info").mkdir(parents=True)
        (objects / "info" / "alternates").write_text(f"# from\n{tmp_path / 'lender'}\n")
        assert told(read(repository.root)) == self.EXPECTED

    def test_no_repository(self, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text(BASE)
        assert read(tmp_path) == History(reason="no git repository")

    def test_no_commit_yet(self, git: Any) -> None:
        git.write({"a.py": BASE})
        history = read(git.root)
        assert history.edits == ()
        assert history.reason

    def test_texts_that_are_none(self, git: Any) -> None:
        git.commit({"a.py": b"\0\1", "b.py": b"\xff\xfe"}, days_ago=2)
        git.commit({"a.py": BASE, "b.py": b"\xff\xfe" + BASE.encode()}, days_ago=1)
        git.write({"a.py": BASE, "b.py": BASE * 2})
        assert read(git.root).edits == ()

    @pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
    @pytest.mark.parametrize("packed", [False, True])
    def test_sha256(self, tmp_path: Path, packed: bool) -> None:
        environment = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "PATH": os.environ["PATH"],
        }

        def git(*words: str, when: float = NOW) -> None:
            dates = {"GIT_COMMITTER_DATE": f"@{int(when)} +0000", "GIT_AUTHOR_DATE": f"@{int(when)} +0000"}
            identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
            subprocess.run(["git", *identity, *words], cwd=tmp_path, env=environment | dates, check=True)

        git("init", "-q", "--object-format=sha256")
        for text, days in ((BASE, 100), (BASE + body("new"), 1)):
            (tmp_path / "a.py").write_text(text)
            git("add", "a.py")
            git("commit", "-q", "-m", "x", when=NOW - days * DAY)
        if packed:
            git("gc", "-q")
        history = read(tmp_path)
        assert told(history) == self.EXPECTED
        assert len(history.edits[0].commit) == 64

    def test_no_program_runs_and_no_setting_counts(
        self, repository: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        folder = repository.root / ".git"
        mark = tmp_path / "ran"
        (folder / "config").write_text(
            f'[core]\nrepositoryformatversion = 7\nworktree = /nowhere\nfsmonitor = "touch {mark}"\n'
            f'[filter "x"]\nsmudge = touch {mark}\nclean = touch {mark}\n[diff "x"]\ntextconv = touch {mark}\n'
            "[include]\npath = /dev/zero\n["
        )
        (repository.root / ".gitattributes").write_text("*.py filter=x diff=x\n")
        monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was run"))
        monkeypatch.setattr(os, "system", lambda *_: pytest.fail("a program was run"))
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        assert told(read(repository.root)) == self.EXPECTED
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
        assert not mark.exists()


class TestSecrets:
    VALUE = "zq7" + "Rw2xKp9Lm4"

    def test_a_secret_that_was_removed_stays_in_the_past(self, git: Any) -> None:
        git.commit({"a.py": f'{BASE}password = "{self.VALUE}"\n'}, days_ago=3)
        now = f"{BASE}password = read_password()\n"
        git.commit({"a.py": now}, days_ago=2)
        git.write({"a.py": now})
        history = read(git.root)
        assert told(history) == [("a.py", 12, 12, 2.0), ("a.py", 0, 10, 3.0)]
        assert history.rejected == ()
        assert self.VALUE not in repr(history)

    @pytest.mark.parametrize(
        "path, old",
        [
            (".env", "DB_PASSWORD={}\n"),
            ("deploy/prod.env", "export API_TOKEN='{}'\n"),
            ("config/settings.yml", 'db:\n  password: "{}"\n'),
            ("old.py", 'password = "{}"\n'),
            ("old.go", 'engine("postgres://app:{}@db.internal/main")\n'),
        ],
    )
    def test_what_only_the_history_shows_to_be_a_secret(
        self, git: Any, path: str, old: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(0)
        git.commit({path: old.format(self.VALUE), "b.py": BASE}, days_ago=3)
        now = {"a.py": f'{BASE}connect("main", "{self.VALUE}")\n', "b.py": BASE}
        git.commit(now, days_ago=1)
        git.write(now)
        assert {file.path for file in select_files(git.root).files} == {"a.py", "b.py"}
        history = read(git.root)
        (rejection,) = history.rejected
        assert (rejection.path, rejection.reason) == ("a.py", "secret")
        assert rejection.detail == "known from history, line 13"
        assert self.VALUE not in repr(history) + caplog.text

    def test_a_secret_file_that_is_still_committed_or_was_removed_today(self, git: Any) -> None:
        git.commit({".env": f"API_KEY={self.VALUE}\n", "old.py": f'token = "{self.VALUE}5"\n'}, days_ago=300)
        now = {"a.py": f'{BASE}f("{self.VALUE}")\n', "b.py": f'{BASE}g("{self.VALUE}5")\n'}
        git.write(now)
        assert [rejection.path for rejection in read(git.root).rejected] == ["a.py", "b.py"]

    def test_ordinary_values_of_a_secret_file_are_none(self, git: Any) -> None:
        env = "DB_HOST=localhost\nAWS_REGION=us-east-1\nDB_NAME=postgres14\nDEBUG=1\nDB_PASSWORD=password\n"
        git.commit({".env": env}, days_ago=3)
        git.commit({})
        git.write({"a.py": f'{BASE}connect("localhost", "us-east-1", "postgres14", "password")\n'})
        assert read(git.root).rejected == ()

    def test_a_scan_that_breaks_leaves_the_file_out(self, git: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        git.commit({"a.py": f"{BASE}x = first_value\n", "b.py": BASE * 2}, days_ago=3)
        git.commit({"a.py": f"{BASE}x = other_value\n", "b.py": BASE * 2}, days_ago=1)
        git.write({"a.py": f"{BASE}x = other_value\n", "b.py": BASE * 2})
        files = select_files(git.root).files

        def fail() -> None:
            raise RuntimeError

        monkeypatch.setattr(secrets, "_detectors", fail)
        history = recent_edits(git.root, files, limits=LIMITS)
        assert {(r.path, r.reason) for r in history.rejected} == {("a.py", secrets.SCAN_FAILED)}


def test_six_languages_and_one_of_three_files(git: Any) -> None:
    now = {
        "a.py": BASE,
        "web/b.ts": "export function total(values: number[]): number {\n  let sum = 0;\n"
        "  for (const value of values) sum += value;\n  return sum;\n}\n",
        "c.go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("hello")\n}\n// the end\n',
        "src/d.rs": "pub fn double(x: i32) -> i32 {\n    let y = x * 2;\n    y\n}\n\n// doubles\n// a number\n",
        "E.java": "package a;\n\nclass E {\n  int one() {\n    return 1;\n  }\n}\n",
        "f.sh": '#!/bin/sh\nset -eu\nfor name in *; do\n  echo "$name"\ndone\nexit 0\n',
    }
    git.commit(now, days_ago=100)
    changed = now | {"src/d.rs": now["src/d.rs"].replace("x * 2;", "x * 2 + 0;")}
    git.commit(changed, days_ago=1)
    git.write(changed)
    assert len(select_files(git.root).files) == 6
    assert told(read(git.root)) == [("src/d.rs", 1, 1, 1.0)]
    for path in ("web/b.ts", "c.go", "E.java"):
        (git.root / path).unlink()
    assert told(read(git.root)) == [("src/d.rs", 1, 1, 1.0)]
