"""What of a long document goes to the engine: whole lines from a stable line on, with LF line endings."""

import pytest

from tailora.lsp.stream import _PREFIX_CHARS, _PREFIX_STEP, last_part


def test_a_short_prefix_is_sent_whole() -> None:
    assert last_part("a = 1\r\nb") == "a = 1\nb"


@pytest.mark.parametrize("typed", ["x", "x = 12", "x = 12\ny"])
def test_a_long_prefix_begins_where_it_began_before(typed: str) -> None:
    lines = [f"line_{number} = {number}" for number in range(4_000)]
    part = last_part("\n".join(lines) + "\n" + typed)
    first = part.split("\n", 1)[0]
    assert lines.index(first) % _PREFIX_STEP == 0
    assert lines.index(first) == lines.index(last_part("\n".join(lines) + "\nx").split("\n", 1)[0])
    assert len(part) <= _PREFIX_CHARS
    assert part.endswith(typed)


def test_one_endless_line_is_cut() -> None:
    assert len(last_part("x" * 1_000_000)) == _PREFIX_CHARS
