"""What is shown first: more tests passed, then what is likeliest to have been meant.

Entropy ranks patches of small models (Xia and Zhang, "Less training, more repairing please", ESEC/FSE 2022), but a sum
over tokens also likes whatever is short. So it is the noisy channel's (Brill and Moore, "An improved error model for
noisy channel spelling correction", ACL 2000): how likely the code is, and how likely somebody who meant it wrote what
stands there, each changed word costing the same. Knows values only.
"""

import difflib
import re
from collections.abc import Sequence

from tailora.repair.edits import common_ends
from tailora.repair.problem import Problem, Repair

__all__ = ["changed_words", "ranked"]

_NATS_A_WORD = 1.0
_WORD = re.compile(r"\w+|[^\w\s]")


def ranked(repairs: Sequence[Repair], entropy_changes: Sequence[float], problem: Problem) -> list[Repair]:
    """``repairs``, best first; ``entropy_changes`` are theirs, in nats.

    An import that the project knows goes before what rewrites the line that needs it.
    """

    def order(pair: tuple[Repair, float]) -> tuple[bool, int, int, bool, float]:
        repair, change = pair
        cost = change + _NATS_A_WORD * changed_words(problem.text, repair.candidate.text)
        doubts = len(repair.notes)
        return not repair.verified, -repair.tests_passed, doubts, repair.candidate.round != 0, cost

    pairs = zip(repairs, entropy_changes, strict=True)
    return [repair for repair, _ in sorted(pairs, key=order)]


def changed_words(before: str, after: str) -> int:
    """Words and signs that an edit adds or takes away."""
    old, new = before.split("\n"), after.split("\n")
    head, tail = common_ends(old, new)
    was = _WORD.findall("\n".join(old[head : len(old) - tail]))
    now = _WORD.findall("\n".join(new[head : len(new) - tail]))
    same = sum(
        block.size for block in difflib.SequenceMatcher(None, was, now, autojunk=False).get_matching_blocks()
    )
    return len(was) + len(now) - 2 * same
