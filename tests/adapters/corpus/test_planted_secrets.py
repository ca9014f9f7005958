"""Secrets of every kind, in files and in the history: none gets into anything that is kept.

Secrets that are encoded a second time (base64 of base64, hex of a password) are out of scope.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.corpus.history import HistoryLimits
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.secrets import scan
from tailora_adapters.corpus.select import select_files
from tailora_adapters.corpus.split import split

LIMITS = HistoryLimits(seconds=60.0)
FILLER = "import os\n\n\ndef work_{0}(items):\n    total = len(items) + {0}\n    print('{0}', total)\n    return 1\n"


def pieces(value: str) -> list[str]:
    """Parts of a secret that must not turn up either."""
    return [part for part in value.split("\n") if len(part) >= 8] or [value]


def enclosing_quote(code: str, value: str) -> str:
    before = code[: code.index(value)]
    return next((character for character in reversed(before) if character in "\"'`"), "")


def in_comment(code: str, value: str) -> str:
    return "".join(f"# {line}\n" for line in code.split("\n"))


def in_string_of_lines(code: str, value: str) -> str:
    return f"TEXT = '''\n{code}\n'''\n"


def in_formatted_string(code: str, value: str) -> str:
    quote = enclosing_quote(code, value)
    start = code.rindex(quote * 3 if quote * 3 in code else quote, 0, code.index(value))
    return f"{code[:start]}f{code[start:]}\n"


def in_two_strings(code: str, value: str) -> str:
    quote, half = enclosing_quote(code, value), len(value) // 2
    return f"call(\n{code.replace(value, f'{value[:half]}{quote}{chr(10)}    {quote}{value[half:]}')}\n)\n"


def in_a_sum(code: str, value: str) -> str:
    quote, half = enclosing_quote(code, value), len(value) // 2
    return code.replace(value, f"{value[:half]}{quote} +\n    {quote}{value[half:]}") + "\n"


Wrapper = Callable[[str, str], str]


@pytest.mark.parametrize("wrap", [in_comment, in_string_of_lines, in_formatted_string])
def test_wherever_it_stands(secret_kind: str, wrap: Wrapper, plant: Any) -> None:
    planted = plant(secret_kind, 1)
    if enclosing_quote(planted.code, planted.value) or wrap is not in_formatted_string:
        assert scan(FILLER.format(1) + wrap(planted.code, planted.value), "a.py")


@pytest.mark.parametrize("wrap", [in_two_strings, in_a_sum])
def test_in_two_parts_on_two_lines(secret_kind: str, wrap: Wrapper, plant: Any) -> None:
    planted = plant(secret_kind, 1)
    quote = enclosing_quote(planted.code, planted.value)
    if quote and quote * 3 not in planted.code and "\n" not in planted.value:
        assert scan(FILLER.format(1) + wrap(planted.code, planted.value), "a.py")


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.encode("utf-16"),
    ],
    ids=["mark", "CRLF", "CR", "UTF-16"],
)
def test_however_the_file_is_written(encode: Any, tmp_path: Path, plant: Any, secret_kinds: Any) -> None:
    for number, kind in enumerate(secret_kinds):
        (tmp_path / f"f{number}.py").write_bytes(encode(FILLER.format(number) + plant(kind, 2).code + "\n"))
    selection = select_files(tmp_path)
    assert selection.files == ()
    assert len(selection.rejected) == len(secret_kinds)


def test_nothing_that_is_kept_holds_a_secret(
    git: Any, plant: Any, secret_kinds: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    secrets: dict[str, str] = {}
    old: dict[str, str] = {}
    now: dict[str, str] = {}
    for number, kind in enumerate(secret_kinds):
        present, removed, deleted = (plant(kind, seed) for seed in (10, 11, 12))
        name = kind.replace(" ", "_").replace("#", "")
        now[f"present/{name}.py"] = FILLER.format(number) + present.code + "\n"
        old[f"removed/{name}.py"] = FILLER.format(100 + number) + removed.code + "\n"
        now[f"removed/{name}.py"] = FILLER.format(100 + number) + f"use(os.environ['{name.upper()}'])\n"
        old[f"deleted/{name}.py"] = FILLER.format(200 + number) + deleted.code + "\n"
        old[f"deleted/{name}.yml"] = deleted.code + "\n"
        for planted, place in ((present, "present"), (removed, "removed"), (deleted, "deleted")):
            secrets.update(dict.fromkeys(pieces(planted.value), f"{place} {kind}"))
    old[".env"] = "".join(f"SECRET_{n}={plant('aws key', 20 + n).value}\n" for n in range(3))
    secrets.update({plant("aws key", 20 + n).value: ".env" for n in range(3)})
    git.commit(old, days_ago=5)
    git.commit(now, days_ago=1)
    git.write(now)

    found = read_learnable(git.root, limits=LIMITS)
    reservoir = Reservoir(tmp_path / "store" / "replay.json")
    reservoir.update(found.selection.files, 1_800_000_000.0)
    parts = split(found.selection.files, seed=1)

    learned = {file.path for file in found.selection.files}
    reasons = {rejection.path: rejection.reason for rejection in found.selection.rejected}
    for path in now:
        assert (path in learned) != (path in reasons)
        if path.startswith("present/"):
            assert reasons[path] == "secret"
    assert len([path for path in learned if path.startswith("removed/")]) > 0.9 * len(secret_kinds)
    assert found.history.edits
    kept = repr((found, reservoir.entries, parts)) + caplog.text
    kept += "".join(path.read_text() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert {place for secret, place in secrets.items() if secret in kept} == set()
