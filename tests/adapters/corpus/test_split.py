"""What is held out is never trained on, not even nearly; a file keeps its side as the repository grows."""

import dataclasses
import hashlib
import random
import subprocess
import sys

import pytest

from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.corpus.split import NEAR_DUPLICATE, Split, split


def source(path: str, text: str | None = None, mtime: float = 0.0) -> SourceFile:
    if text is None:
        rng = random.Random(path)
        text = "".join(
            f"{rng.choice('abcdefgh')}{rng.randrange(10**6)} = {rng.randrange(10**6)}\n" for _ in range(30)
        )
    return SourceFile(path, "python", text, hashlib.sha256(text.encode()).hexdigest(), mtime)


def repository(count: int) -> list[SourceFile]:
    return [source(f"src/m{number % 9}/f{number}.py", mtime=float(number)) for number in range(count)]


def held_out(result: Split) -> set[str]:
    return {file.path for file in result.held_out}


class TestSides:
    @pytest.mark.parametrize("count", [2, 3, 5, 10, 40, 400])
    @pytest.mark.parametrize("seed", range(4))
    def test_disjoint_complete_and_bounded(self, count: int, seed: int) -> None:
        files = repository(count)
        result = split(files, seed=seed)
        train = {file.path for file in result.train}
        dropped = {rejection.path for rejection in result.dropped}
        assert not train & held_out(result)
        assert train | held_out(result) | dropped == {file.path for file in files}
        assert 1 <= len(result.held_out) <= count // 2

    def test_share_is_about_what_was_asked(self) -> None:
        held = len(split(repository(2_000), seed=3).held_out)
        assert 0.13 * 2_000 < held < 0.17 * 2_000

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_to_hold_out(self, count: int) -> None:
        result = split(repository(count), seed=0)
        assert result.held_out == ()
        assert len(result.train) == count

    def test_never_more_than_half(self) -> None:
        files = repository(30)
        result = split(files, seed=0, share=0.5, changed=[file.path for file in files])
        assert len(result.held_out) == 15

    @pytest.mark.parametrize("share", [0.0, -1.0, 0.6])
    def test_a_share_that_makes_no_sense(self, share: float) -> None:
        with pytest.raises(ValueError, match="share"):
            split(repository(3), seed=0, share=share)

    def test_seeds_differ(self) -> None:
        files = repository(200)
        assert held_out(split(files, seed=0)) != held_out(split(files, seed=1))


class TestStability:
    def test_order_of_the_files_does_not_matter(self) -> None:
        files = repository(100)
        shuffled = random.Random(0).sample(files, len(files))
        assert split(files, seed=1) == split(shuffled, seed=1)

    def test_same_in_another_process(self) -> None:
        code = (
            "from tailora_adapters.corpus.select import SourceFile\n"
            "from tailora_adapters.corpus.similarity import shingles\n"
            "from tailora_adapters.corpus.split import split\n"
            "files = [SourceFile(f'f{n}.py', 'python', f'a = {n}', '', n) for n in range(50)]\n"
            "print([f.path for f in split(files, seed=5).held_out], shingles('a b c d e f').tolist())"
        )
        runs = {
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in "ab"
        }
        assert len(runs) == 1

    def test_growth_moves_next_to_nothing(self) -> None:
        before = split(repository(300), seed=2)
        after = split(repository(315), seed=2)
        old = {file.path for file in repository(300)}
        assert not (held_out(after) & old) - held_out(before)  # nothing that was trained on becomes held out
        assert len(held_out(before) - held_out(after)) <= 3

    def test_content_does_not_matter(self) -> None:
        files = repository(100)
        edited = [dataclasses.replace(file, text=file.text + "# edited\n") for file in files]
        assert held_out(split(files, seed=0)) == held_out(split(edited, seed=0))


class TestTime:
    def test_recent_files_are_held_out_more_often(self) -> None:
        files = repository(900)
        held = held_out(split(files, seed=0))
        recent = [file.path in held for file in files[600:]]
        rest = [file.path in held for file in files[:600]]
        assert sum(recent) / 300 > 2 * sum(rest) / 600 > 0

    def test_changed_files_count_as_recent(self) -> None:
        files = repository(300)
        changed = [file.path for file in files[:60]]
        more = held_out(split(files, seed=0, changed=changed)) - held_out(split(files, seed=0))
        assert more
        assert more <= set(changed)

    def test_what_was_learned_is_not_held_out_for_being_recent(self) -> None:
        files = repository(300)
        first = split(files, seed=0)
        learned = {file.path for file in first.train}
        touched = [
            dataclasses.replace(file, mtime=10_000.0 + file.mtime) if file.path in learned else file
            for file in files
        ]
        assert held_out(split(touched, seed=0, changed=learned)) & learned
        assert not held_out(split(touched, seed=0, changed=learned, trained=learned)) & learned

    def test_what_was_learned_is_not_held_out_under_another_name(self) -> None:
        files = [dataclasses.replace(file, sha256=f"hash of {file.path}") for file in repository(300)]
        first = split(files, seed=0)
        learned = {name for file in first.train for name in (file.path, file.sha256)}
        moved = [dataclasses.replace(file, path=f"lib/{file.path}") for file in files]
        after = split(moved, seed=0, trained=learned)
        assert after.held_out
        assert not {file.sha256 for file in after.held_out} & learned


class TestNearDuplicates:
    def pair(self, edit: float, seed: int = 0) -> Split:
        """A held-out file and a copy with a share of its lines changed, among others."""
        files = repository(40)
        original = split(files, seed=seed).held_out[0]
        rng = random.Random(1)
        lines = original.text.splitlines(keepends=True)
        changed = set(rng.sample(range(len(lines)), round(edit * len(lines))))
        copy = "".join(f"other{n} = [{n}]\n" if n in changed else f"  {line}" for n, line in enumerate(lines))
        name = next(f"copy{n}.py" for n in range(99) if f"copy{n}.py" not in held_out(
            split([*files, source(f"copy{n}.py", copy)], seed=seed)
        ))  # fmt: skip
        return split([*files, source(name, copy)], seed=seed)

    def test_a_near_copy_is_not_trained_on(self) -> None:
        result = self.pair(edit=0.03)
        (rejection,) = result.dropped
        assert rejection.path.startswith("copy")
        assert rejection.reason == NEAR_DUPLICATE
        assert rejection.detail in held_out(result)
        assert rejection.path not in {file.path for file in result.train}

    def test_something_similar_is(self) -> None:
        assert self.pair(edit=0.5).dropped == ()
