"""What is shown first: more tests passed, then what the model finds likelier than before, then the smaller edit.

The order is that of APR work with small models (Xia and Zhang, "Less training, more repairing please", ESEC/FSE 2022:
entropy ranks patches). Knows values only.
"""

import difflib
from collections.abc import Sequence

from tailora.repair.edits import common_ends
from tailora.repair.problem import Problem, Repair

__all__ = ["edit_size", "ranked"]


def ranked(repairs: Sequence[Repair], entropy_changes: Sequence[float], problem: Problem) -> list[Repair]:
    """``repairs``, best first; ``entropy_changes`` are theirs, in nats.

    An import that the project knows goes before what rewrites the line that needs it.
    """
    order = sorted(
        zip(repairs, entropy_changes, strict=True),
        key=lambda pair: (
            not pair[0].verified,
            -pair[0].tests_passed,
            pair[0].candidate.round != 0,
            pair[1],
            edit_size(problem.text, pair[0].candidate.text),
        ),
    )
    return [repair for repair, _ in order]


def edit_size(before: str, after: str) -> int:
    """Characters that an edit adds or takes away, line by line."""
    old, new = before.split("\n"), after.split("\n")
    head, tail = common_ends(old, new)
    changed = difflib.ndiff(old[head : len(old) - tail], new[head : len(new) - tail])
    return sum(len(line) - 2 for line in changed if line[:1] in "+-")
