"""Secrets that a repository's history gives away, to recognize in present files what looks harmless there.

Invariant: of a secret only a hash is kept, salted anew in every object, in memory; neither a value nor a hash can be
read from an object or gets into a log, a message or a file.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterator

from tailora_adapters.corpus import secrets

__all__ = ["KnownSecrets"]

_log = logging.getLogger(__name__)

_MOST = 20_000
"""Tokens that are remembered."""
_TOKEN = re.compile(r"(?=[\w-]*\d)[\w-]{8,}")


class KnownSecrets:
    """A set of secret tokens, to which texts can be compared."""

    __slots__ = ("_failed", "_hashes", "_salt")

    def __init__(self) -> None:
        self._salt = os.urandom(16)
        self._hashes: set[bytes] = set()
        self._failed: set[str] = set()

    def learn(self, text: str, path: str) -> None:
        """Remembers the secrets in ``text``, which ``path`` held once; never raises."""
        try:
            for value in secrets.values(text, path):
                self._hashes.update(self._hash(token) for token in _tokens(value))
                if len(self._hashes) > _MOST:
                    return
        except Exception as error:  # noqa: BLE001  whatever breaks in a detector: the file must not be learned
            _log.warning("the history of %s cannot be scanned: %s", path, type(error).__name__)
            self._failed.add(path)

    def failed(self, path: str) -> bool:
        """Whether an earlier text of ``path`` could not be scanned, so that its secrets are not known."""
        return path in self._failed

    def line_in(self, text: str) -> int | None:
        """The line of ``text``, from 1, that holds a known secret; None where there is none."""
        if not self._hashes:
            return None
        seen: set[str] = set()
        for number, line in enumerate(text.split("\n"), start=1):
            for token in _TOKEN.findall(line):
                if token not in seen and self._hash(token) in self._hashes:
                    return number
                seen.add(token)
        return None

    def _hash(self, token: str) -> bytes:
        return hashlib.blake2b(
            token.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=16
        ).digest()


def _tokens(value: str) -> Iterator[str]:
    """The parts of a secret that are found again by themselves: no words, no names of things."""
    return (token for token in _TOKEN.findall(value) if secrets.looks_generated(token, 2.5))
