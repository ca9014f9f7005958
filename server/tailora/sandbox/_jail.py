"""Started as ``python -I -S _jail.py SPEC COMMAND...``: gives up rights, then runs the command and ends with its code.

Uses nothing but the standard library, as it runs isolated. What a system does not offer is left out; which guards
are in force is written, as a JSON list, to the file descriptor that SPEC names:

- ``processes``: a PID namespace, so that the end of the command ends all that it started;
- ``network``: a network namespace with nothing but its own loopback, else (Linux 6.7) no TCP by Landlock;
- ``files``: Landlock (Linux 5.13): nothing can be written outside the folders that SPEC names, and (Linux 6.12) no
  process outside can be sent a signal. With a mount namespace (Linux 5.12) all else is mounted read-only too, which
  keeps rights, times and attributes of files, of which Landlock knows nothing.

Constants are those of Linux's UAPI headers: sched.h, prctl.h, mount.h, sockios.h, landlock.h.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_PDEATHSIG, _NO_NEW_PRIVS, _SUBREAPER = 1, 38, 36
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 1 << 18
_SET_ATTRIBUTES, _HERE, _RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_WRITE_FILE, _TRUNCATE, _REFER = 1 << 1, 1 << 14, 1 << 13
_CHANGES = sum(1 << bit for bit in range(4, 13))
"""Removing and making entries of all kinds."""
_TCP = 3
_SCOPES = 3
"""Abstract Unix sockets and signals."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm")

_linux = sys.platform == "linux"
_libc: Any = ctypes.CDLL(None, use_errno=True) if _linux else None


def _call(name: str, *arguments: Any) -> bool:
    """A libc function; whether it succeeded."""
    return _libc is not None and getattr(_libc, name)(*arguments) == 0


def _isolate(network: bool) -> list[str]:
    """New namespaces where they are allowed; the guards in force."""
    if not _linux:
        return []
    uid, gid = os.getuid(), os.getgid()
    flags = _NEWUSER | _NEWPID | _NEWNS | _NEWIPC | (0 if network else _NEWNET)
    if not _call("unshare", flags):
        return []
    with contextlib.suppress(OSError):
        _write("/proc/self/setgroups", "deny")
    with contextlib.suppress(OSError):
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    if network:
        return ["processes"]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        import fcntl

        name = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(link, _GET_FLAGS, name))[1]
        fcntl.ioctl(link, _SET_FLAGS, struct.pack("16sH22x", b"lo", flags | _UP))
    return ["processes", "network"]


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 - pathlib takes longer to import than all else here
        file.write(text)


def _mount(writable: list[str]) -> None:
    """A /proc of the new PID namespace and all but ``writable`` read-only, where that is allowed."""
    if _call("mount", b"none", b"/", None, _REC | _PRIVATE, None):
        _call("mount", b"proc", b"/proc", b"proc", 0, None)
        _mount_read_only(writable)


def _mount_read_only(writable: list[str]) -> None:
    """All but ``writable`` and shared memory."""
    folders = [path for path in (*writable, "/dev/shm") if os.path.isdir(path)]  # noqa: PTH112
    if not all(_call("mount", path.encode(), path.encode(), None, _BIND | _REC, None) for path in folders):
        return
    if not _set_read_only("/", _RECURSIVE, on=True):
        return
    for path in folders:
        # Fails as a whole where a mount below was read-only before.
        _ = _set_read_only(path, _RECURSIVE, on=False) or _set_read_only(path, 0, on=False)
    os.chdir(os.getcwd())  # noqa: PTH109  it is still the one below the new mount


def _set_read_only(path: str, flags: int, *, on: bool) -> bool:
    attributes = struct.pack("QQQQ", _READ_ONLY if on else 0, 0 if on else _READ_ONLY, 0, 0)
    return _call("syscall", _SET_ATTRIBUTES, _HERE, path.encode(), flags, attributes, len(attributes))


def _lock_files(writable: list[str], tcp: bool) -> list[str]:
    """Landlock, with ``tcp`` or without; the guards in force."""
    if not _linux:
        return []
    abi = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return []
    handled = _WRITE_FILE | _CHANGES | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)
    handled_net = 0 if tcp or abi < 4 else _TCP
    attributes = struct.pack("QQQ", handled, handled_net, _SCOPES if abi >= 6 else 0)[
        : 8 if abi < 4 else 16 if abi < 6 else 24
    ]
    rules = _libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return []
    for path in (*writable, *_DEVICES):
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        allowed = handled if os.path.isdir(path) else handled & (_WRITE_FILE | _TRUNCATE)  # noqa: PTH112
        _libc.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", allowed, handle), 0)
        os.close(handle)
    if not _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0) or _libc.syscall(_RESTRICT_SELF, rules, 0) != 0:
        return []
    os.close(rules)
    return ["files", "network"] if handled_net else ["files"]


def _limit(limits: dict[str, int]) -> None:
    with contextlib.suppress(ImportError):
        import resource

        for name, value in limits.items():
            with contextlib.suppress(ValueError, OSError, AttributeError):
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def _end_with(status: int) -> NoReturn:
    """Ends as the process whose wait status this is."""
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _reap(main: int) -> int:
    """Waits until ``main`` has ended, and buries all others; its wait status."""
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        if pid == main:
            return status


def _end_children() -> None:
    """Kills what the command left behind, where no namespace does."""
    if not _linux:
        return
    for _ in range(100):
        try:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
                children = [int(pid) for pid in file.read().split()]
        except OSError:
            return
        if not children:
            return
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _become(command: list[str]) -> NoReturn:
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
        os._exit(127)


def main() -> None:
    """See the module's text."""
    spec = json.loads(sys.argv[1])
    command = sys.argv[2:]
    _call("prctl", _PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    guards = _isolate(spec["network"])
    own_processes = "processes" in guards
    if own_processes:
        first = os.fork()  # the first process of the new PID namespace: when it ends, so do all others
        if first:
            os.close(spec["report"])
            _end_with(os.waitpid(first, 0)[1])
        _call("prctl", _PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _mount(spec["writable"])
    else:
        _call("prctl", _SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child:
        os.close(spec["report"])
        status = _reap(child)
        if not own_processes:
            _end_children()
        _end_with(status)
    guards += _lock_files(spec["writable"], tcp=spec["network"] or "network" in guards)
    os.write(spec["report"], json.dumps(sorted(set(guards))).encode())
    os.close(spec["report"])
    _limit(spec["limits"])
    _become(command)


if __name__ == "__main__":
    main()
