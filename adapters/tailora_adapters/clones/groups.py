"""Pairs of clones, and the groups that they make. Knows nothing of how they are found."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Clone", "Group", "Place", "grouped"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a function stands. Lines and columns from 0, columns in characters."""

    path: str
    """Relative to the root, with ``/``."""
    line: int
    """Of its name, which stands from ``column`` to ``end_column``."""
    column: int
    end_column: int
    name: str
    first: int
    last: int
    tokens: int
    """Of its body."""


@dataclass(frozen=True, slots=True)
class Clone:
    """Two functions that repeat each other."""

    left: Place
    """The first of the two by place."""
    right: Place
    kind: int
    """1 to 4, see ``docs/clones.md``."""
    similarity: float


@dataclass(frozen=True, slots=True)
class Group:
    """Functions that repeat each other, directly or by others of the group."""

    places: tuple[Place, ...]
    kind: int
    """The highest of its pairs."""
    similarity: float
    """The least of its pairs."""


def grouped(clones: Sequence[Clone]) -> list[Group]:
    """The groups, those with most to repeat first: by tokens that one function alone would save."""
    above: dict[Place, Place] = {}

    def top(place: Place) -> Place:
        while (higher := above.setdefault(place, place)) != place:
            above[place] = place = above[higher] = above.setdefault(higher, higher)
        return place

    for clone in clones:
        one, other = sorted((top(clone.left), top(clone.right)))
        above[other] = one
    members: dict[Place, list[Place]] = {}
    for place in sorted(above):
        members.setdefault(top(place), []).append(place)
    pairs: dict[Place, list[Clone]] = {}
    for clone in clones:
        pairs.setdefault(top(clone.left), []).append(clone)
    groups = [
        Group(
            tuple(places),
            max(clone.kind for clone in pairs[first]),
            min(clone.similarity for clone in pairs[first]),
        )
        for first, places in members.items()
    ]
    return sorted(groups, key=lambda group: (-_saved(group), group.places))


def _saved(group: Group) -> int:
    sizes = [place.tokens for place in group.places]
    return sum(sizes) - max(sizes)
