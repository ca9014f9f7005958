"""Some of the newest edits are kept from training, the same ones for as long as they are among the newest."""

import dataclasses

import pytest

from tailora_adapters.corpus.held_edits import HeldEdits, hold_out_edits
from tailora_adapters.corpus.history import Edit
from tailora_adapters.corpus.select import SourceFile

LINES = 60


def source(number: int) -> SourceFile:
    text = "\n".join(f"line_{number}_{line} = compute({line})" for line in range(LINES))
    return SourceFile(f"f{number}.py", "python", text, f"sha {number}", 0.0)


FILES = [source(number) for number in range(20)]


def edit(number: int, first: int = 10, size: int = 3, when: float = 0.0) -> Edit:
    return Edit(f"f{number}.py", first, first + size - 1, when, "commit")


def newest_first(count: int = 20, **more: int) -> list[Edit]:
    """One edit in every file."""
    return [edit(number, when=float(count - number), **more) for number in range(count)]


def hold_out(
    edits: list[Edit], *, share: float = 1.0, files: list[SourceFile] = FILES, **more: object
) -> HeldEdits:
    return hold_out_edits(files, edits, seed=1, share=share, **more)  # type: ignore[arg-type]


def test_lines_are_cut_out_and_nothing_else() -> None:
    held = hold_out(newest_first())
    assert held.lines == {f"f{number}.py": frozenset({10, 11, 12}) for number in range(7)}  # the newest third
    assert [file.path for file in held.train] == [file.path for file in FILES]
    for before, after in zip(FILES, held.train, strict=True):
        gone = held.lines.get(before.path, frozenset())
        lines = before.text.split("\n")
        assert after.text.split("\n") == [line for number, line in enumerate(lines) if number not in gone]
        assert dataclasses.replace(after, text="") == dataclasses.replace(before, text="")


def test_a_share_of_the_newest() -> None:
    many = [source(number) for number in range(600)]
    held = hold_out(newest_first(600), files=many, share=0.2, most=1_000)
    assert 20 <= len(held.lines) <= 60
    assert all(int(path[1:-3]) < 200 for path in held.lines)
    assert len(hold_out(newest_first(600), files=many, most=5).lines) == 5


def test_the_same_edit_gives_the_same_decision() -> None:
    edits = newest_first()
    first = hold_out(edits, share=0.5)
    assert first == hold_out(edits, share=0.5)
    assert first != hold_out_edits(FILES, edits, seed=2, share=0.5)
    # Lines before it, another commit and another time: still the same edit.
    moved = [dataclasses.replace(file, text=f"import os\n\n{file.text}") for file in FILES]
    later = [
        dataclasses.replace(
            one,
            first_line=one.first_line + 2,
            last_line=one.last_line + 2,
            commit="rebased",
            when=one.when + 9,
        )
        for one in edits
    ]
    again = hold_out(later, share=0.5, files=moved)
    assert again.lines.keys() == first.lines.keys()
    assert 0 < len(first.lines) < 7


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(edit(0, first=0, size=41), id="too long to be missed"),
        pytest.param(edit(0, first=0, size=31), id="more than half of its file"),
        pytest.param(Edit("gone.py", 0, 1, 0.0, ""), id="of a file that is not learned"),
    ],
)
def test_not_held_out(one: Edit) -> None:
    assert hold_out([one]) == HeldEdits(tuple(FILES), {})


def test_files_that_are_trained_on_whole() -> None:
    held = hold_out(newest_first(), keep=["f0.py"])
    assert "f0.py" not in held.lines
    assert held.train[0] == FILES[0]


def test_several_edits_of_a_file() -> None:
    edits = [edit(3, first) for first in (5, 20, 40)] + [edit(number) for number in range(4, 10)]
    held = hold_out(edits)
    assert held.lines["f3.py"] == frozenset({5, 6, 7, 20, 21, 22, 40, 41, 42})
    assert held.train[3].text.count("\n") == LINES - 1 - 9


def test_no_history() -> None:
    assert hold_out([]) == HeldEdits(tuple(FILES), {})
    assert hold_out_edits([], newest_first(), seed=1) == HeldEdits((), {})
