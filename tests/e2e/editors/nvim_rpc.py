"""Neovim's own API over its socket: msgpack-rpc, one request at a time.

pynvim runs an event loop of its own, which cannot be used in a test that drives VS Code by Playwright as well. Knows
nothing of the plugin.
"""

import itertools
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack

__all__ = ["Nvim", "NvimError"]

_PATIENCE_S = 60.0
_REQUEST, _RESPONSE = 0, 1


class NvimError(Exception):
    """Neovim refused a request."""


class Nvim:
    """``api.NAME(...)`` is Neovim's ``nvim_NAME``, ``funcs.NAME(...)`` a function of Vim script.

    Raises:
        OSError: nothing listens at ``address``.
    """

    def __init__(self, address: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(address))
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(_PATIENCE_S)
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape")
        self._numbers = itertools.count()
        self.api = _Names(lambda name, arguments: self.request(f"nvim_{name}", *arguments))
        self.funcs = _Names(lambda name, arguments: self.request("nvim_call_function", name, list(arguments)))

    def request(self, method: str, *arguments: Any) -> Any:
        """The answer to a request; notifications that come before it are dropped."""
        number = self.send(method, *arguments)
        while True:
            for message in self._unpacker:
                if message[0] == _RESPONSE and message[1] == number:
                    if message[2]:
                        raise NvimError(f"{method}: {message[2][1]}")
                    return message[3]
            data = self._socket.recv(1 << 16)
            if not data:
                raise EOFError("Neovim has ended")
            self._unpacker.feed(data)

    def send(self, method: str, *arguments: Any) -> int:
        """Sends a request and does not wait for its answer."""
        number = next(self._numbers)
        self._socket.sendall(msgpack.packb([_REQUEST, number, method, list(arguments)]))
        return number

    def command(self, command: str) -> None:
        """An Ex command."""
        self.request("nvim_command", command)

    def command_output(self, command: str) -> str:
        """What an Ex command prints."""
        return str(self.request("nvim_exec2", command, {"output": True})["output"])

    def exec_lua(self, code: str, *arguments: Any) -> Any:
        """What a piece of Lua returns."""
        return self.request("nvim_exec_lua", code, list(arguments))

    def input(self, keys: str) -> None:
        """Presses keys."""
        self.request("nvim_input", keys)

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()


class _Names:
    def __init__(self, call: Callable[[str, tuple[Any, ...]], Any]) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self._call(name, arguments)
