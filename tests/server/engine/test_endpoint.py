"""Where the engine is, and that only its user can reach it."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from tailora.engine import endpoint
from tailora.engine.endpoint import Endpoint, acquire_lock, listen, publish, read, withdraw
from tailora.errors import EngineError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_only_the_user_can_reach_the_socket(home: Path) -> None:
    listener, address = listen()
    publish(address)
    assert address.socket == str(home / "run" / "engine.sock")
    assert (mode(home / "run"), mode(home / "run/engine.sock"), mode(home / "run/engine.json")) == (
        0o700,
        0o600,
        0o600,
    )
    assert read() == address
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address.socket)
    listener.close()
    withdraw(address)
    assert list((home / "run").iterdir()) == []


def test_the_mode_is_right_from_the_first_moment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "run").mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    before = os.umask(0)
    try:
        listener, _ = listen()
        listener.close()
        assert mode(home / "run/engine.sock") == 0o600
    finally:
        assert os.umask(before) == 0  # put back as it was


def test_a_long_path_means_a_short_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORA_HOME", str(tmp_path / ("x" * 100)))
    listener, address = listen()
    publish(address)
    assert address.socket is not None
    path = Path(address.socket)
    assert len(address.socket) < 100
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)
    listener.close()
    again, same = listen()
    assert same.socket == address.socket
    again.close()
    withdraw(same)
    assert not path.exists()


def test_a_short_folder_that_somebody_took_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILORA_HOME", str(tmp_path / ("x" * 100)))
    listener, address = listen()
    listener.close()
    withdraw(address)
    assert address.socket is not None
    taken = Path(address.socket).parent
    taken.symlink_to(tmp_path)
    try:
        listener, other = listen()
        listener.close()
        assert other.socket is not None
        assert Path(other.socket).parent != taken
        withdraw(other)
    finally:
        taken.unlink()


def test_what_a_killed_engine_left_is_replaced(home: Path) -> None:
    listener, old = listen()
    publish(old)
    listener.close()  # no withdraw: the files stay, as after a kill
    listener, new = listen()
    assert read() is None
    publish(new)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(new.socket))
    listener.close()


def test_tcp_is_loopback_with_a_token(home: Path) -> None:
    listener, address = listen(tcp=True)
    listener.close()
    assert (address.socket, address.host) == (None, "127.0.0.1")
    assert len(str(address.token)) >= 32
    other, again = listen(tcp=True)
    other.close()
    assert again.token != address.token


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1, "version": "1", "protocol": 1}', "\0"])
def test_a_damaged_file_is_no_engine(home: Path, text: str) -> None:
    (home / "run").mkdir(parents=True)
    (home / "run/engine.json").write_text(text)
    assert read() is None


def test_withdrawing_leaves_another_engines_files(home: Path) -> None:
    listener, address = listen()
    publish(address)
    withdraw(Endpoint(1, "0", 1, host="127.0.0.1", port=1, token="t"))
    assert read() == address
    listener.close()


def test_the_lock_has_one_holder(home: Path) -> None:
    with acquire_lock() as mine:
        assert mine
        with acquire_lock(wait_s=0) as second:
            assert not second
    with acquire_lock() as mine:
        assert mine


def test_a_folder_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_uid", lambda: 4711)
    with pytest.raises(EngineError, match="another user"), acquire_lock():
        pass
