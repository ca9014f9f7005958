"""Snapshots from text with the cursor drawn in it, and models that say what they are told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tailora.completion import Snapshot, StopRule

CURSOR = "¦"


def snapshot_at(marked: str, language: str = "python", path: str = "/repo/file") -> Snapshot:
    """A snapshot of ``marked``, with the cursor where ``¦`` stands."""
    before, _, after = marked.partition(CURSOR)
    return Snapshot(f"file://{path}", Path(path), language, 1, before + after, len(before))


def stream_into(rule: StopRule, text: str, size: int = 3) -> tuple[str, str | None]:
    """Feeds ``text`` in pieces until the rule stops; what it keeps, and why."""
    for start in range(0, len(text), size):
        if rule.feed(text[start : start + size]):
            break
    return rule.text, rule.reason


@pytest.fixture
def at() -> Callable[..., Snapshot]:
    return snapshot_at


@pytest.fixture
def stream() -> Callable[..., tuple[str, str | None]]:
    return stream_into
