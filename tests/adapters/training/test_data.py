"""What a run is given to learn."""

from pathlib import Path
from typing import Any

from tailora_adapters.training.data import DataSettings, RunData, gather


def test_forgotten_files_are_nowhere_in_it(repository: Path, tokenizer: Any) -> None:
    settings = DataSettings(examples=80, held_out=16, min_examples=1, min_held_out=1)
    everything = gather(repository, tokenizer, settings, seed=1)
    assert "book.py" in {one.example.path for one in everything.training + everything.held_out}
    left = gather(repository, tokenizer, settings, forgotten=["book.py"], seed=1)
    assert "book.py" not in {one.example.path for one in left.training + left.held_out}
    assert ("book.py", "forgotten by the user") in {(one.path, one.reason) for one in left.rejected}

    def shows(data: RunData) -> bool:
        """Whether a prompt or a middle has a line of it, be it as context."""
        return any("class Book:" in tokenizer.decode(list(one.ids)) for one in data.training + data.held_out)

    assert shows(everything)
    assert not shows(left)
