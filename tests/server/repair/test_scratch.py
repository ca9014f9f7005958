"""A project's copy: what is in it, and that nothing done in it reaches the user's files or the next candidate."""

import os
import stat
from pathlib import Path

import pytest

from tailora.errors import RepairError
from tailora.repair import scratch
from tailora.repair.scratch import ScratchCopy


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    files = {
        ".gitignore": "*.log\n/data/large/\n_version.py\n",
        "pkg/__init__.py": "",
        "pkg/a.py": "a = 1\n",
        "pkg/_version.py": "version = '1'\n",
        "scripts/_version.py": "",
        "data/small.csv": "1,2\n",
        "data/large/all.bin": "x",
        "noise.log": "",
        ".env": "TOKEN=1",
        "deploy/.env.production": "TOKEN=1",
        "id_rsa": "key",
        "credentials.py": "def load(): ...\n",
        ".coveragerc": "",
        ".git/config": "",
        ".venv/pyvenv.cfg": "",
        "myenv/pyvenv.cfg": "",
        "myenv/lib/x.py": "",
        "pkg/__pycache__/a.pyc": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def look(root: Path) -> dict[str, object]:
    """Everything in a folder: kinds, rights, times and content."""
    seen: dict[str, object] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        seen[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_ino, status.st_nlink, content)
    return seen


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_what_is_copied(project: Path) -> None:
    before = look(project)
    with ScratchCopy(project) as copy:
        assert set(files(copy.root)) == {
            ".gitignore", ".coveragerc", "pkg/__init__.py", "pkg/a.py", "pkg/_version.py", "data/small.csv",
            "credentials.py",
        }  # fmt: skip
        assert copy.root.name == "project"
        source, copied = project / "pkg" / "a.py", copy.root / "pkg" / "a.py"
        assert source.stat().st_ino != copied.stat().st_ino
        assert source.stat().st_mtime_ns == copied.stat().st_mtime_ns
        folder = copy.folder
    assert not folder.exists()
    assert look(project) == before


def test_what_only_tailora_leaves_out_is_there_for_tests(project: Path) -> None:
    (project / ".tailoraignore").write_text("data/\n")
    with ScratchCopy(project) as copy:
        assert (copy.root / "data" / "small.csv").read_text() == "1,2\n"


def test_links_and_special_files(project: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text("secret = 1\n")
    (project / "out.py").symlink_to(tmp_path / "outside.py")
    (project / "up").symlink_to("..")
    (project / "absolute.py").symlink_to(project / "pkg" / "a.py")
    (project / "data" / "folder").symlink_to("../pkg")
    os.mkfifo(project / "pipe")
    with ScratchCopy(project) as copy:
        assert not os.path.lexists(copy.root / "out.py")
        assert not os.path.lexists(copy.root / "up")
        assert not (copy.root / "pipe").exists()
        copy.put("absolute.py", "a = 2\n")
        assert (copy.root / "absolute.py").is_symlink()
        assert (copy.root / "pkg" / "a.py").read_text() == "a = 2\n"
        assert (copy.root / "data" / "folder" / "a.py").read_text() == "a = 2\n"
    assert (project / "pkg" / "a.py").read_text() == "a = 1\n"


@pytest.mark.parametrize("limit", ["MAX_FILES", "MAX_BYTES"])
def test_one_that_is_too_large(project: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(scratch, limit, 5)
    with pytest.raises(RepairError, match="too large to be copied"), ScratchCopy(project):
        pass


def test_one_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RepairError, match="cannot be read"), ScratchCopy(tmp_path / "gone"):
        pass


@pytest.mark.parametrize(
    "before,after",
    [
        (b"a = 1\r\nb = 2\r\n", b"a = 3\r\nb = 2\r\n"),
        (b"a = 1\nb = 2\n", b"a = 3\nb = 2\n"),
        (b"\xef\xbb\xbfa = 1\nb = 2\n", b"\xef\xbb\xbfa = 3\nb = 2\n"),
    ],
)
def test_line_endings_are_kept(project: Path, before: bytes, after: bytes) -> None:
    file = project / "pkg" / "a.py"
    file.write_bytes(before)
    file.chmod(0o755)
    with ScratchCopy(project) as copy:
        copy.put("pkg/a.py", "a = 3\nb = 2\n")
        assert (copy.root / "pkg" / "a.py").read_bytes() == after
        assert stat.S_IMODE((copy.root / "pkg" / "a.py").stat().st_mode) == 0o755
        copy.put("pkg/a.py", "a = 4\n")
        copy.restore("pkg/a.py")
        assert (copy.root / "pkg" / "a.py").read_bytes() == before
    assert file.read_bytes() == before


def test_a_new_file(project: Path) -> None:
    with ScratchCopy(project) as copy:
        before = files(copy.root)
        copy.put("pkg/sub/new.py", "n = 1\n")
        copy.reset()
        assert (copy.root / "pkg" / "sub" / "new.py").read_text() == "n = 1\n"
        copy.restore("pkg/sub/new.py")
        copy.reset()
        assert files(copy.root) == before


@pytest.mark.parametrize("path", ["../other.py", "/etc/passwd", "pkg/../../x.py", "."])
def test_a_path_that_leads_out(project: Path, path: str) -> None:
    with ScratchCopy(project) as copy, pytest.raises(RepairError, match="is not in the project"):
        copy.put(path, "")


def test_a_path_that_cannot_be_written(project: Path) -> None:
    with ScratchCopy(project) as copy, pytest.raises(RepairError, match="cannot be written"):
        copy.put("pkg/a.py/b.py", "")


def test_what_was_left_behind_is_taken_back(project: Path) -> None:
    with ScratchCopy(project) as copy:
        copy.put("pkg/a.py", "a = 2\n")
        before = files(copy.root)
        data = copy.root / "data" / "small.csv"
        status = data.stat()
        data.write_text("3,4\n")
        os.utime(data, ns=(status.st_atime_ns, status.st_mtime_ns))
        (copy.root / "pkg" / "a.py").write_text("a = 9\n")
        (copy.root / "pkg" / "__init__.py").unlink()
        (copy.root / "new" / "deep").mkdir(parents=True)
        (copy.root / "new" / "deep" / "f").touch()
        (copy.root / "new").chmod(0)
        (copy.root / "credentials.py").unlink()
        (copy.root / "credentials.py").mkdir()
        copy.reset()
        assert files(copy.root) == before
        assert not (copy.root / "new").exists()
        copy.restore("pkg/a.py")
        copy.reset()
        assert (copy.root / "pkg" / "a.py").read_text() == "a = 1\n"


def test_links_that_a_test_puts_in_place_are_not_followed(project: Path) -> None:
    """Where a system does not keep tests from the user's files, nor must we lead there ourselves."""
    before = look(project)
    with ScratchCopy(project) as copy:
        (copy.root / "pkg" / "a.py").unlink()
        (copy.root / "pkg" / "a.py").symlink_to(project / "pkg" / "a.py")
        (copy.root / "data" / "small.csv").unlink()
        (copy.root / "data").rmdir()
        (copy.root / "data").symlink_to(project / "data")
        with pytest.raises(RepairError):
            copy.put("pkg/a.py", "a = 2\n")
        copy.reset()
        copy.put("pkg/a.py", "a = 2\n")
        copy.put("data/small.csv", "5,6\n")
        (copy.root / "data").chmod(0o500)
        (copy.root / "pkg" / "to").symlink_to(project)
    assert look(project) == before
