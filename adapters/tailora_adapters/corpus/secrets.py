"""Finds secrets in source text, so that no file with one is ever learned.

The detectors are those of ``detect-secrets``, used as objects: its settings are global to the process and its
verification calls servers, so neither is touched. What it lacks (newer token formats, typed assignments) is a
table here. Fails closed: a scan that breaks counts as a finding. Values are never kept or logged; only ``values``
hands them out, for comparison in memory.
"""

import functools
import logging
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from tailora_adapters import languages
from tailora_adapters.corpus import secret_patterns as patterns

__all__ = ["SCAN_FAILED", "SecretFinding", "is_secret_file", "looks_generated", "scan", "values"]

_log = logging.getLogger(__name__)

SCAN_FAILED = "secret scan failed"
"""``kind`` of the finding that stands for a scan that broke."""


@dataclass(frozen=True, slots=True)
class SecretFinding:
    """Something that looks like a secret; what it is stays in the file."""

    kind: str
    line: int
    """From 1; 0 where the whole file is meant."""


def is_secret_file(path: str) -> bool:
    """Whether a file is a secret by its name alone. ``path`` is relative, with ``/``."""
    name = PurePosixPath(path).name.lower()
    if languages.by_path(name) is not None and not name.startswith(".env"):
        return False  # such as ``credentials.py``, which is code
    return any(fnmatchcase(name, pattern) for pattern in patterns.FILES)


def scan(text: str, path: str) -> tuple[SecretFinding, ...]:
    """Everything in ``text`` that looks like a secret, at most one finding for each kind; never raises.

    Safe to call from several threads. A file with a finding should be left out as a whole.
    """
    try:
        if is_secret_file(path):
            return (SecretFinding("secret file name", 0),)
        findings: dict[str, int] = {}
        for kind, position, _ in _in_text(text):
            findings.setdefault(kind, text.count("\n", 0, position) + 1)
        for number, line in enumerate(text.split("\n"), start=1):
            for kind, _ in _in_line(line, path.endswith(_SHELL)):
                findings.setdefault(kind, number)
        return tuple(SecretFinding(kind, line) for kind, line in findings.items())
    except Exception as error:  # noqa: BLE001  whatever breaks in a detector, the file must not be learned
        _log.warning("%s is left out, its scan for secrets failed: %s", path, type(error).__name__)
        return (SecretFinding(SCAN_FAILED, 0),)


def values(text: str, path: str) -> Iterator[str]:
    """What ``scan`` finds in ``text``, and what a file that is a secret by its name holds: to compare, never to keep.

    Raises whatever a detector raises: a caller who cannot know all secrets must not learn.
    """
    named = is_secret_file(path)
    for _, _, value in _in_text(text):
        yield value
    for line in text.split("\n"):
        for _, value in _in_line(line, named or path.endswith(_SHELL)):
            yield value
    if named:
        yield from patterns.LONG_WORD.findall(text)


def _in_text(text: str) -> Iterator[tuple[str, int, str]]:
    """Kinds, character offsets and values found by patterns over the whole text, the fast way."""
    yield from _in_piece(text)
    for match in patterns.JOINED.finditer(text):
        line = text.rfind("\n", 0, match.start()) + 1
        piece = text[line : match.start()] + patterns.JOINT.sub("", match[0])
        found = [(kind, value) for kind, _, value in _in_piece(piece)]
        for kind, value in (*found, *_in_line(piece, False)):
            yield kind, match.start(), value


def _in_piece(text: str) -> Iterator[tuple[str, int, str]]:
    detectors = _detectors()
    for kind, pattern in (*patterns.TOKENS, *detectors.specific):
        for match in pattern.finditer(text):
            whole = patterns.KEY_BODY.match(text, match.start()) or match
            yield kind, match.start(), whole[0]
    for match in detectors.jwt.denylist[0].finditer(text):
        if detectors.jwt.is_formally_valid(match[0]):
            yield detectors.jwt.secret_type, match.start(), match[0]
    yield from _credentials(text)
    yield from _random_strings(text)
    for match in patterns.BASE64_LINES.finditer(text):
        if _entropy(match[0]) > 5.0 and not patterns.PUBLIC.search(text[: match.start()][-200:]):
            yield "Base64 Lines", match.start(), match[0]


def _in_line(line: str, unquoted: bool) -> Iterator[tuple[str, str]]:
    """Kinds and values found in a line by what is around a value: its name, its length.

    ``unquoted``: values need no quotes, as in shell scripts.
    """
    detectors = _detectors()
    if patterns.LONG_WORD.search(line):
        for kind, pattern in detectors.vague:
            for match in pattern.finditer(line):
                if not _wordy(match[0]):
                    yield kind, match[0]
    lower = line.lower()
    if not any(part in lower for part in patterns.NAME_PARTS):
        return
    line = patterns.PREFIX.sub("", line)
    for match in patterns.ASSIGNED.finditer(line):
        value = match["value"]
        if looks_generated(value) and not (_harmless(value) or patterns.PLACEHOLDER.fullmatch(value)):
            yield "Assigned Secret", value
    for match in patterns.BARE.finditer(line):
        value = match["value"]
        if _looks_random(value) and not (_harmless(value) or patterns.PLACEHOLDER.fullmatch(value)):
            yield "Bare Secret", value
    plain = patterns.TYPED.sub("=", line)
    found = list(detectors.keyword.analyze_string(plain))
    if unquoted:
        found += [value.split()[0] for value in detectors.keyword.analyze_string(plain, detectors.unquoted)]
    for value in found:
        if _looks_chosen(value):
            yield detectors.keyword.secret_type, value


def _credentials(text: str) -> Iterator[tuple[str, int, str]]:
    """In addresses, headers and commands."""
    for match in patterns.BASIC_AUTH.finditer(text):
        user, value, host = match["user"], match["value"], match["host"]
        harmless = patterns.PLACEHOLDER.fullmatch(value) or value == user or value[0] == "%"
        if not (harmless or patterns.NO_HOST.fullmatch(host)):
            yield "Basic Auth Credentials", match.start(), value
    for kind, pattern in patterns.CREDENTIALS:
        for match in pattern.finditer(text):
            if looks_generated(match["value"]) and not patterns.PLACEHOLDER.fullmatch(match["value"]):
                yield kind, match.start(), match["value"]


def _random_strings(text: str) -> Iterator[tuple[str, int, str]]:
    detectors = _detectors()
    for match in detectors.base64.regex.finditer(text):
        value = match[2]
        if len(value) < 20 or value.startswith(("sha256-", "sha384-", "sha512-")) or set(value) <= _HEX:
            continue
        if _entropy(value) > detectors.base64.entropy_limit and not (_wordy(value) or _harmless(value)):
            yield detectors.base64.secret_type, match.start(), value
    for match in detectors.hex.regex.finditer(text):
        value = match[2]
        if len(value) < 24 or _entropy(value) <= detectors.hex.entropy_limit or _harmless(value):
            continue
        # Most are digests and commits: only a name like that of a key before it makes one a secret.
        before = text[max(0, match.start() - 48) : match.start()].rpartition("\n")[2]
        if patterns.HINT.search(before) and not patterns.DIGEST.search(before):
            yield detectors.hex.secret_type, match.start(), value


def looks_generated(value: str, bits: float = 3.0) -> bool:
    """Whether a string reads like a generated token. ``bits``: least entropy a character where it has digits."""
    if " " in value or _wordy(value, 0.75) or patterns.FILE_NAME.fullmatch(value):
        return False
    digit = any(character.isdigit() for character in value)
    mixed = any(character.isupper() for character in value) and any(
        character.islower() for character in value
    )
    return (digit and _entropy(value) > bits) or (mixed and len(value) >= 16 and _entropy(value) > 3.5)


def _looks_random(value: str) -> bool:
    """Whether a string without quotes reads like a generated token and not like a name, number or expression."""
    if patterns.EXPRESSION.search(value) or not looks_generated(value):
        return False
    # Characters of one kind come in runs in names of every case style, even with numbers in them.
    return not _wordy(value, 0.4) or len(patterns.SEAMS.findall(value)) > 0.4 * len(value)


def _looks_chosen(value: str) -> bool:
    """Whether the value of something called a password could be one that is used."""
    if (
        patterns.PLACEHOLDER.fullmatch(value)
        or _harmless(value)
        or (" " in value and patterns.PROSE.search(value))
    ):
        return False
    if re.search(r"\d", value) or re.search(r"[!#$%^&*+~]", value):
        return not re.fullmatch(r"[%$]\w.*|.*[({\[<].*", value)  # a format, a call, a type
    if re.search(r"[\s_./:-]", value):  # a name, a path, a label
        return " " in value and value.islower() and len(value.split()) > 2
    return len(value) >= 8 and not re.search(patterns.NAMES, value, re.IGNORECASE)


def _harmless(value: str) -> bool:
    return any(check(value) for check in _detectors().harmless)


def _wordy(value: str, share: float = 0.6) -> bool:
    """Whether more than ``share`` of a string is made of words, as in names and paths."""
    return sum(len(word) for word in patterns.WORDS.findall(value)) > share * len(value)


def _entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    counts = [value.count(character) / len(value) for character in set(value)]
    return -sum(share * math.log2(share) for share in counts)


_HEX = frozenset("0123456789abcdefABCDEF")
_SHELL = tuple(
    suffix for language in languages.LANGUAGES if language.id == "shellscript" for suffix in language.suffixes
)


@dataclass(frozen=True, slots=True)
class _Detectors:
    """Objects of ``detect-secrets``; all are used read-only."""

    specific: tuple[tuple[str, re.Pattern[str]], ...]
    vague: tuple[tuple[str, re.Pattern[str]], ...]
    jwt: Any
    base64: Any
    hex: Any
    keyword: Any
    unquoted: dict[re.Pattern[str], int]
    harmless: tuple[Callable[[str], bool], ...]


@functools.cache
def _detectors() -> _Detectors:
    """Imported on first use: 0.2 s, mostly for an HTTP client that is never called."""

    def plugin(name: str) -> Any:
        module, _, cls = name.rpartition(".")
        return getattr(import_module(f"detect_secrets.plugins.{module}"), cls)()

    def regexes(names: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
        return tuple((one.secret_type, pattern) for one in map(plugin, names) for pattern in one.denylist)

    keyword = import_module("detect_secrets.plugins.keyword")
    heuristic = import_module("detect_secrets.filters.heuristic")
    return _Detectors(
        specific=regexes(patterns.SPECIFIC),
        vague=regexes(patterns.VAGUE),
        jwt=plugin("jwt.JwtTokenDetector"),
        base64=plugin("high_entropy_strings.Base64HighEntropyString"),
        hex=plugin("high_entropy_strings.HexHighEntropyString"),
        keyword=plugin("keyword.KeywordDetector"),
        unquoted={keyword.FOLLOWED_BY_EQUAL_SIGNS_REGEX: 5},
        harmless=(
            heuristic.is_sequential_string,
            heuristic.is_potential_uuid,
            heuristic.is_templated_secret,
            heuristic.is_prefixed_with_dollar_sign,
            heuristic.is_not_alphanumeric_string,
        ),
    )
