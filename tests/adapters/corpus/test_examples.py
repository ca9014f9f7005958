"""Holes are pieces of their file, of the kind that they say, and the same every time."""

import random
from dataclasses import dataclass

import pytest

from tailora_adapters.corpus.examples import KINDS, FimExample, SpanMix, make_examples


@dataclass(frozen=True)
class File:
    path: str
    text: str
    language: str = "python"


PYTHON = '''\
"""Shelves.

Prose over several lines, which nobody wants to have completed as code.
"""


class Shelf:
    # A comment of its own.
    def __init__(self, books: list[str]) -> None:
        self.books = books

    def add(self, book: str) -> None:
        if book not in self.books:
            self.books.append(book)
        else:
            raise ValueError(
                f"twice: {book}"
            )

    def count(self) -> int:
        return len(self.books)


def main() -> None:
    shelf = Shelf([])
    for name in ("Ödön", "日本語", "🙂 smile"):
        shelf.add(name)
    print(shelf.count())
'''

FILES = [File("shelf.py", PYTHON), File("other.py", PYTHON.replace("shelf", "board") * 3)]


def only(kind: str) -> SpanMix:
    return SpanMix(**{name: float(name == kind) for name in KINDS}, from_margin=0.0, with_newline=0.0)


def make(
    mix: SpanMix = SpanMix(), files: list[File] = FILES, seed: int = 1, count: int = 500
) -> list[FimExample]:
    return make_examples(files, count, seed=seed, mix=mix, max_per_file=200)


def whole(file: File, example: FimExample) -> bool:
    return example.prefix + example.middle + example.suffix == file.text


@pytest.mark.parametrize("seed", range(8))
def test_piece_of_the_file(seed: int) -> None:
    files = {file.path: file for file in FILES}
    examples = make(seed=seed)
    assert len(examples) > 20
    for example in examples:
        file = files[example.path]
        assert example.prefix + example.middle + example.suffix in file.text
        assert example.middle.strip()
        if file is FILES[0]:
            assert whole(file, example)
            assert example.prefix.count("\n") == example.line


@pytest.mark.parametrize("seed", range(8))
def test_no_two_begin_on_a_line(seed: int) -> None:
    begins = [(example.path, example.line) for example in make(seed=seed)]
    assert len(begins) == len(set(begins))


def test_whole_lines() -> None:
    lines = {line.strip() for line in PYTHON.splitlines()}
    for example in make(only("line"), [FILES[0]]):
        assert example.kind == "line"
        assert example.middle in lines
        assert example.suffix.startswith("\n")
        assert not example.prefix.rpartition("\n")[2].strip()


def test_rest_of_a_line() -> None:
    for example in make(only("line_end"), [FILES[0]]):
        assert "\n" not in example.middle
        assert example.suffix.startswith("\n")
        assert len(example.prefix.rpartition("\n")[2].strip()) >= 1


def test_blocks_follow_syntax() -> None:
    mix = SpanMix(line_end=1e-9, line=0, block=1, random=0, from_margin=0, with_newline=0)
    blocks = [example for example in make(mix, [FILES[0]]) if example.kind == "block"]
    assert blocks
    for example in blocks:
        assert "\n" in example.middle
        assert not example.prefix.rpartition("\n")[2].strip()
        assert example.suffix[:1] in ("\n", "")
        assert example.middle.split("\n")[-1].strip()


def test_from_the_margin() -> None:
    mix = SpanMix(line_end=0, line=1, block=0, random=0, from_margin=1.0, with_newline=0.0)
    for example in make(mix, [FILES[0]]):
        if example.kind == "line":  # too short for a block
            assert example.prefix == "" or example.prefix.endswith("\n")


def test_with_the_newline() -> None:
    mix = SpanMix(line_end=0, line=1, block=0, random=0, with_newline=1.0)
    examples = make(mix, [FILES[0]])
    assert all(
        example.middle.endswith("\n") and not example.suffix.startswith("\n\n\n\n") for example in examples
    )
    assert all(whole(FILES[0], example) for example in examples)


def test_no_prose() -> None:
    for example in make():
        assert "Prose" not in example.middle
        assert "Prose over" in example.prefix or "Prose" not in example.prefix + example.middle
        assert not example.middle.lstrip().startswith("# A comment")


def test_deterministic() -> None:
    assert make(seed=3) == make(seed=3)
    assert make(seed=3) != make(seed=4)
    # A file's holes do not hang on the files beside it.
    alone = set(make(files=[FILES[0]]))
    assert len(alone & set(make())) > 5


def test_spread_over_files() -> None:
    files = [File(f"{n}.py", PYTHON) for n in range(10)]
    examples = make(files=files, count=20)
    assert len(examples) == 20
    assert len({example.path for example in examples}) == 10


def test_shuffled_from_the_state_of_nobody() -> None:
    random.seed(1)
    first = make()
    random.seed(2)
    assert make() == first


@pytest.mark.parametrize("language", ["haskell", "kotlin", "no-such-language"])
def test_language_without_a_grammar(language: str) -> None:
    file = File("a", "module Main where\n\nmain = do\n    putStrLn greeting\n" * 5, language)
    examples = make(files=[file])
    assert len(examples) > 5
    assert all(whole(file, example) and example.kind != "block" for example in examples)


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", "x", "   \n", "# only a comment", "}\n", "\ufeff"])
def test_hardly_anything(text: str) -> None:
    assert make(files=[File("a.py", text)]) == []


def test_one_line_without_a_newline() -> None:
    file = File("a.py", "value = compute(1, 2)")
    for seed in range(10):
        (example,) = make(files=[file], seed=seed)
        assert whole(file, example)


def test_broken_syntax() -> None:
    file = File("a.py", "def f(:\n    return ((\n'''\nopen string\nclass ]\n  x = 1 +\n")
    assert all(whole(file, example) for example in make(files=[file]))


def test_long_files_are_windows() -> None:
    file = File("a.py", "".join(f"value_{n} = compute({n}, {n})\n" for n in range(2000)))
    for example in make(files=[file], count=100):
        assert len(example.prefix) <= 6000
        assert len(example.suffix) <= 2000
        assert example.prefix + example.middle + example.suffix in file.text
        assert f"\n{example.prefix}" in f"\n{file.text}"  # begins where a line does
