"""Progress where stderr is no terminal: never silent for long, and no line for every step."""

import pytest

from tailora.cli import output


def test_each_new_message_and_one_a_minute_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1_000.0
    monkeypatch.setattr(output.time, "monotonic", lambda: now)
    with output.progress_bar() as progress:
        progress(0.0, "reading")
        for step in range(5):
            now += 20.0
            progress(0.1 * step, f"training, step {step}")
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert lines == ["0% reading", "0% training, step 0", "30% training, step 3"]
