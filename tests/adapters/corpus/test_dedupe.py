"""Of nearly equal files the newest is learned, whatever they are called."""

import hashlib
import random

from tailora_adapters.corpus.dedupe import NEAR_DUPLICATE, dedupe
from tailora_adapters.corpus.select import Rejection, Selection, SourceFile


def source(path: str, text: str, mtime: float = 0.0) -> SourceFile:
    return SourceFile(path, "python", text, hashlib.sha256(text.encode()).hexdigest(), mtime)


def text(seed: int) -> str:
    rng = random.Random(seed)
    return "".join(f"name{rng.randrange(10**6)} = {rng.randrange(10**6)} + x\n" for _ in range(60))


def paths(selection: Selection) -> list[str]:
    return [file.path for file in selection.files]


def test_the_newest_is_learned_and_the_others_name_it() -> None:
    files = (
        source("a/old.py", text(1), 1.0),
        source("b/new.py", text(1) + "# copied\n", 3.0),
        source("c/mid.py", text(1).replace("    ", "\t") + "\n\n", 2.0),
        source("d.py", text(2), 0.0),
    )
    before = Rejection("z.bin", "language unknown")
    result = dedupe(Selection(files, (before,)))
    assert paths(result) == ["b/new.py", "d.py"]
    assert result.rejected == (
        before,
        Rejection("a/old.py", NEAR_DUPLICATE, "b/new.py"),
        Rejection("c/mid.py", NEAR_DUPLICATE, "b/new.py"),
    )


def test_equally_old_files_go_by_path_and_order_does_not_matter() -> None:
    files = [source(name, text(1) + f"# {name}\n") for name in ("c.py", "a.py", "b.py")]
    for order in (files, files[::-1]):
        assert paths(dedupe(Selection(tuple(order), ()))) == ["a.py"]


def test_names_do_not_matter() -> None:
    files = (source("a/util.py", text(1)), source("b/util.py", text(2)))
    assert dedupe(Selection(files, ())).files == files


def test_nothing_to_compare() -> None:
    for files in ((), (source("a.py", text(1)),)):
        assert dedupe(Selection(files, ())) == Selection(files, ())


def test_progress_is_told() -> None:
    seen: list[float] = []
    files = tuple(source(f"{seed}.py", text(seed)) for seed in range(120))
    dedupe(Selection(files, ()), progress=lambda fraction, _: seen.append(fraction))
    assert seen == [0.0, 50 / 120, 100 / 120]
