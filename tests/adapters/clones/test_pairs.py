"""What is asked about clones can be answered from the question, and nothing but the functions gives it away."""

import ast
import random
from dataclasses import dataclass

from tailora_adapters.clones.alike import alike
from tailora_adapters.clones.functions import functions_of
from tailora_adapters.clones.pairs import NO, YES, pair_examples
from tailora_adapters.clones.plant import at_margin
from tailora_adapters.corpus.examples import FimExample

STATEMENTS = (
    "for {a} in self.{b}:\n            if {a}.{c} > {n}:\n                self.{c}.append({a})",
    "while self.{a}.{b}({n}):\n            self.{c} -= {n}\n            self.log(self.{c}, '{a}')",
    "try:\n            {a} = self.{b}[{n}]\n        except KeyError:\n            raise ValueError('no {c}') from None",
    "with self.{a}({b}={n}) as {c}:\n            {c}.write(self.{b}.encode())",
    "if self.{a} is None or not self.{b}:\n            return [{n}, *self.{c}]",
    "{a} = {{{b}: {n} for {b} in self.{c} if {b}}}\n        self.{a}.update({a})",
    "assert isinstance(self.{a}, int), '{b} {c}'\n        self.{b} = self.{a} // {n} % 7",
    "{a}, *{b} = sorted(self.{c}, key=lambda one: one[{n}], reverse=True)\n        del self.{c}[:]",
)
NAMES = [f"{first}{second}" for first in ("book", "loan", "shelf") for second in ("er", "s", "ing", "ed")]


@dataclass(frozen=True)
class File:
    path: str
    text: str
    language: str = "python"


def files(count: int, seed: int = 0) -> list[File]:
    """Files of four methods each, all of other statements."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        lines = [f"class {rng.choice(NAMES).capitalize()}{number}:"]
        for method in range(4):
            names = dict(zip("abc", rng.sample(NAMES, 3), strict=True))
            lines.append(f"    def {names['a']}_{number}_{method}(self, {names['b']}):")
            for statement in rng.sample(STATEMENTS, 4):
                lines.append("        " + statement.format(**names, n=rng.randrange(90)))
                names = dict(zip("abc", rng.sample(NAMES, 3), strict=True))
            lines += [f"        return self.{names['c']}", ""]
        found.append(File(f"part_{seed}_{number}.py", "\n".join(lines)))
    return found


def halves(example: FimExample) -> tuple[str, str]:
    _, first, second, question = example.prefix.replace("# Two functions\n", "\n\n\n").split("\n\n\n")
    assert question.startswith("# Is the second one a copy")
    return first, second


def test_half_are_copies_and_all_can_be_told() -> None:
    found = pair_examples(files(12), 40, seed=1)
    assert len(found) == 40
    assert sum(one.middle == YES for one in found) == sum(one.middle == NO for one in found) == 20
    assert {one.kind for one in found} == {"clones none", *(f"clones type {kind}" for kind in (1, 2, 3))}
    for one in found:
        first, second = halves(one)
        ast.parse(first)
        ast.parse(second)
        left, right = (functions_of(text, "python")[0].body for text in (first, second))
        assert (alike(left, right) > 0.6) == (one.middle == YES), one.prefix


def test_the_second_one_never_stands_there_as_it_is() -> None:
    everything = files(12)
    known = set()
    for file in everything:
        lines = file.text.split("\n")
        known |= {at_margin(lines[one.first : one.last + 1]) for one in functions_of(file.text, "python")}
    for one in pair_examples(everything, 40, seed=1):
        first, second = halves(one)
        assert first in known
        assert second not in known, "others are changed as copies are"


def test_held_out_functions_are_not_asked_about() -> None:
    everything = files(12)
    held = everything[:6]
    names = {line.strip() for file in held for line in file.text.split("\n") if line.startswith("    def ")}
    found = pair_examples(everything, 200, seed=1, without=held)
    assert found
    assert not any(name in one.prefix for one in found for name in names)


def test_a_seed_gives_the_same_and_another_one_others() -> None:
    everything = files(8)
    assert pair_examples(everything, 20, seed=1) == pair_examples(everything, 20, seed=1)
    assert pair_examples(everything, 20, seed=1) != pair_examples(everything, 20, seed=2)


def test_where_there_are_no_functions_nothing_is_asked() -> None:
    assert pair_examples([], 20, seed=1) == []
    assert pair_examples([File("a.py", "x = 1\n"), File("b.lua", "return 1", "lua")], 20, seed=1) == []
    (alone,) = files(1)
    one_function = File("a.py", "\n".join(alone.text.split("\n")[:9]))
    assert pair_examples([one_function], 20, seed=1) == [], "there is no other one"
