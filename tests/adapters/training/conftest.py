"""A small repository that can be learned."""

from pathlib import Path

import pytest

NOUNS = (
    "book",
    "shelf",
    "reader",
    "loan",
    "branch",
    "author",
    "title",
    "copy",
    "fine",
    "desk",
    "queue",
    "label",
)


def write_repository(root: Path, files: int = 12) -> Path:
    """Files alike in style, and different enough that none counts as a copy of another."""
    for number, noun in enumerate(NOUNS[:files]):
        other, third = NOUNS[(number * 5 + 3) % 12], NOUNS[(number * 7 + 1) % 12]
        name, more = noun.capitalize(), other.capitalize()
        lines = [f'"""{name}s, and how a {other} finds them."""', "", "", f"class {name}:"]
        for step in range(number % 4 + 4):
            field = f"{third}_{other}_{step * (number + 3)}"
            lines += [
                f"    def {field}(self, {other}: {more}) -> int:",
                f"        {noun}_{step} = {other}.count({number} + {step}) * {number * 13 + step}",
                f"        self.{third}_list.append({noun}_{step} - {other}.{field})",
                f"        return {noun}_{step} % {number + 2}",
                "",
            ]
        root.mkdir(parents=True, exist_ok=True)
        (root / f"{noun}.py").write_text("\n".join(lines), encoding="utf-8")
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Twelve files."""
    return write_repository(tmp_path / "library")
