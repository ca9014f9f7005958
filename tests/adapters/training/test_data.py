"""What a run is given to learn, and what it must not see."""

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters import languages
from tailora_adapters.corpus.history import Edit, History
from tailora_adapters.corpus.learnable import Learnable, read_learnable
from tailora_adapters.corpus.replay import Reservoir
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import TooLittleData
from tailora_adapters.training.data import DataSettings, RunData, gather, generic_sequences
from tailora_adapters.training.run import _files

SETTINGS = DataSettings(examples=80, held_out=16, min_examples=1, min_held_out=1)
MARKER = "        self.marker_{0} = {0} + len(self.title_list)"


def texts(tokenizer: Any, sequences: Iterable[TokenSequence]) -> str:
    return "\n".join(tokenizer.decode(list(one.ids)) for one in sequences)


def paths(sequences: Iterable[TokenSequence]) -> set[str]:
    return {one.example.path for one in sequences}


def with_edits(root: Path) -> Learnable:
    """Two lines in the midst of every file were written lately, the one with a marker."""
    edits = []
    for number, path in enumerate(sorted(root.iterdir())):
        lines = path.read_text().split("\n")
        lines[10:10] = [MARKER.format(number), f"        {path.stem}.refresh({number})"]
        path.write_text("\n".join(lines))
        edits.append(Edit(path.name, 10, 11, time.time() - number * 3600.0, "commit"))
    return dataclasses.replace(read_learnable(root), history=History(tuple(edits)))


def test_forgotten_files_are_nowhere_in_it(repository: Path, tokenizer: Any) -> None:
    everything = gather(read_learnable(repository), tokenizer, SETTINGS, seed=1)
    assert "book.py" in paths(everything.training + everything.held_out)
    left = gather(read_learnable(repository, forgotten=["book.py"]), tokenizer, SETTINGS, seed=1)
    assert "book.py" not in paths(left.training + left.held_out)
    assert ("book.py", "forgotten by the user") in {(one.path, one.reason) for one in left.rejected}

    def shows(data: RunData) -> bool:
        """Whether a prompt or a middle has a line of it, be it as context."""
        return "class Book:" in texts(tokenizer, data.training + data.held_out)

    assert shows(everything)
    assert not shows(left)


def test_held_out_edits_are_in_no_training_text(repository: Path, tokenizer: Any) -> None:
    found = with_edits(repository)
    seen, held = 0, 0
    for seed in range(6):
        data = gather(found, tokenizer, SETTINGS, seed=seed)
        asked = [data.held_out[place] for place in sorted(data.newest)]
        assert data.newest == frozenset(range(len(asked)))
        training = texts(tokenizer, data.training)
        marked = {one.example.path for one in asked}
        for number, path in enumerate(sorted(repository.iterdir())):
            marker = MARKER.format(number).strip()
            if path.name in marked:
                assert marker not in training
                held += 1
            else:
                seen += marker in training
        for one in asked:
            assert one.example.line in (10, 11)
            assert one.example.path in {file.path for file in data.files}, (
                "a file that is trained on otherwise"
            )
    assert held
    assert seen


def test_new_files_are_asked_about_too(repository: Path, tokenizer: Any) -> None:
    found = read_learnable(repository)
    every = sorted(file.path for file in found.selection.files)
    asked = 0
    for seed in range(6):
        new = every[seed : seed + 6]
        data = gather(
            found, tokenizer, SETTINGS, changed=new, trained=set(every) - set(new), whole=False, seed=seed
        )
        newest = {data.held_out[place].example.path for place in data.newest}
        rest = {one.example.path for place, one in enumerate(data.held_out) if place not in data.newest}
        assert newest <= set(new)
        assert not rest & set(new)
        assert len(data.newest) <= SETTINGS.held_out // 2 or not rest
        assert not newest & paths(data.training)
        asked += len(newest)
    assert asked


def test_where_everything_is_new_there_are_as_many_questions(repository: Path, tokenizer: Any) -> None:
    found = read_learnable(repository)
    every = [file.path for file in found.selection.files]
    data = gather(found, tokenizer, SETTINGS, changed=every, seed=1)
    assert len(data.held_out) == SETTINGS.held_out
    assert data.newest == frozenset(range(len(data.held_out)))


def test_recent_lines_come_up_more_often(repository: Path, tokenizer: Any) -> None:
    found = with_edits(repository)
    few = dataclasses.replace(SETTINGS, examples=12)

    def recent(history: History) -> int:
        """Holes in lines that were written lately."""
        runs = [gather(dataclasses.replace(found, history=history), tokenizer, few, seed=n) for n in range(6)]
        middles = [one.example.middle for data in runs for one in data.training]
        return sum("marker_" in middle or "refresh(" in middle for middle in middles)

    assert recent(found.history) > 1.5 * recent(History())


def test_held_out_files_are_in_no_training_text(repository: Path, tokenizer: Any) -> None:
    data = gather(read_learnable(repository), tokenizer, SETTINGS, seed=1)
    held = paths(data.held_out)
    assert held
    assert not held & paths(data.training)
    assert not held & {file.path for file in (*data.files, *data.shown)}
    training = texts(tokenizer, data.training)
    assert not any(f"class {path[:-3].capitalize()}:" in training for path in held)


def test_files_that_are_only_shown_are_known(repository: Path, tokenizer: Any) -> None:
    settings = dataclasses.replace(SETTINGS, examples=3, context_share=1.0, generic_share=0.0)
    data = gather(read_learnable(repository), tokenizer, settings, seed=1)
    assert {file.path for file in data.files} == paths(data.training)
    assert data.shown
    assert not {file.path for file in data.shown} & {file.path for file in data.files}
    examples = {file.path: file.examples for file in _files(data)}  # as the manifest lists them
    assert {path for path, count in examples.items() if not count} == {file.path for file in data.shown}
    assert sum(examples.values()) == len(data.training)
    everything = {path.name for path in repository.iterdir()} - paths(data.held_out)
    training = texts(tokenizer, data.training)
    named = {name for name in everything if f"{name}\n" in training}
    assert named <= {file.path for file in (*data.files, *data.shown)}


def test_files_that_changed_come_first_and_the_rest_is_replay(
    repository: Path, tokenizer: Any, tmp_path: Path
) -> None:
    found = read_learnable(repository)
    replay = Reservoir(tmp_path / "replay.json")
    settings = dataclasses.replace(SETTINGS, increment=40, replay_files=2, generic_share=0.0)
    learned = gather(found, tokenizer, SETTINGS, seed=1).files
    replay.update(learned, 1.0)
    train = {file.path for file in learned}
    changed = sorted(train)[:1]
    data = gather(
        found, tokenizer, settings, changed=changed, trained=train, whole=False, replay=replay, seed=1
    )
    counts = [one.example.path for one in data.training]
    assert len(set(counts)) == 3
    assert counts.count(changed[0]) >= 10


def test_a_little_generic_code_is_trained_on_and_other_is_asked_for(repository: Path, tokenizer: Any) -> None:
    data = gather(read_learnable(repository), tokenizer, SETTINGS, seed=1)
    assert not any(path.startswith("<library>/") for path in paths(data.training))
    trained = set(paths(data.anchors))
    asked = paths(generic_sequences(tokenizer, SETTINGS))
    assert trained
    assert asked
    assert not trained & asked
    assert not any(path.startswith("<library>/") for path in (file.path for file in data.files))


def test_three_short_files_are_too_little(tmp_path: Path, tokenizer: Any) -> None:
    for name in ("one", "two", "three"):
        lines = [f"def {name}_{n}(value):\n    return value * {n} + {name}_limit" for n in range(3)]
        (tmp_path / f"{name}.py").write_text("\n\n\n".join(lines) + "\n")
    with pytest.raises(TooLittleData) as caught:
        gather(read_learnable(tmp_path), tokenizer, DataSettings(), seed=1)
    assert 0 < caught.value.have < caught.value.need == 48
    assert f"{48 - caught.value.have} more" in str(caught.value)


LANGUAGES = {
    "python": """\
def {0}(items, limit):
    total = {1}
    for item in items:
        total += item.{0}
    return total % limit
""",
    "typescript": """\
export function {0}(items: Item[], limit: number) {{
  let total = {1};
  for (const item of items) {{
    total += item.{0};
  }}
  return total % limit;
}}
""",
    "go": """\
func {0}(items []Item, limit int) int {{
	total := {1}
	for _, item := range items {{
		total += item.{0}
	}}
	return total % limit
}}
""",
    "rust": """\
fn {0}(items: &[Item], limit: u32) -> u32 {{
    let mut total = {1};
    for item in items {{
        total += item.{0};
    }}
    total % limit
}}
""",
    "java": """\
class {0} {{
    int sum(Item[] items, int limit) {{
        int total = {1};
        for (Item item : items) {{
            total += item.{0};
        }}
        return total % limit;
    }}
}}
""",
    "c": """\
int {0}(struct item *items, int limit) {{
    int total = {1};
    for (int i = 0; i < limit; i++) {{
        total += items[i].{0};
    }}
    return total % limit;
}}
""",
}


def test_six_languages(tmp_path: Path, tokenizer: Any) -> None:
    words = ("book", "shelf", "loan", "desk")
    for identifier, template in LANGUAGES.items():
        language = languages.by_id(identifier)
        assert language is not None
        for place, word in enumerate(words):
            parts = [template.format(f"{word}_{other}_{n}", n * 7 + place) for n, other in enumerate(words)]
            (tmp_path / f"{word}{language.suffixes[0]}").write_text("\n".join(parts))
    settings = dataclasses.replace(SETTINGS, examples=200)
    found = read_learnable(tmp_path)
    data = gather(found, tokenizer, settings, seed=1)
    for identifier in LANGUAGES:
        ours = [one.example for one in data.training if one.example.language == identifier]
        assert len(ours) >= 5, identifier
        assert any(example.kind == "block" for example in ours), identifier


def test_most_questions_stay_when_a_file_changes(repository: Path, tokenizer: Any) -> None:
    settings = dataclasses.replace(SETTINGS, context_share=0.0)
    found = read_learnable(repository)
    before = gather(found, tokenizer, settings, seed=1)
    held_out = {one.example.path for one in before.held_out}
    learned = sorted(file.path for file in before.files)
    changed = repository / learned[0]
    changed.write_text(changed.read_text() + "\n\ndef more(shelf):\n    return list(shelf)\n")
    after = gather(
        read_learnable(repository), tokenizer, settings, changed=learned[:1], trained=learned, seed=1
    )
    assert held_out
    questions = {one.ids for one in before.held_out}
    assert len(questions & {one.ids for one in after.held_out}) > len(questions) / 2
