"""The measurement of tasks with a tiny model: what is held out is not learned, and all ways are cut alike."""

import json
from pathlib import Path
from typing import Any

import pytest

from tailora.evaluation.docstrings import score
from tailora.evaluation.functions import WAYS, Settings, files_of_package, measure
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.errors import TailoraError

NOUNS = (
    "book",
    "shelf",
    "reader",
    "loan",
    "branch",
    "author",
    "title",
    "copy",
    "page",
    "room",
    "desk",
    "fine",
)


def files() -> list[SourceFile]:
    made = []
    for number, noun in enumerate(NOUNS):
        functions = "".join(
            f"def {noun}_{verb}(count, {NOUNS[number - 1]}):\n"
            f'    """Gives how many {noun}s to {verb} there are.\n\n    Args:\n'
            f"        count: How many {noun}s.\n        {NOUNS[number - 1]}: Of the {verb}.\n    "
            f'"""\n    total_{verb} = count * {number + place}\n    return total_{verb} - {NOUNS[number - 1]}\n\n\n'
            for place, verb in enumerate(("lend", "sort", "find", "mend"))
        )
        made.append(SourceFile(f"lib/{noun}.py", "python", functions, str(number), 0.0))
    return made


@pytest.mark.parametrize("task", ["docstring", "generation"])
def test_the_document(tiny: Any, task: Any, tmp_path: Path) -> None:
    if task == "docstring":
        pytest.importorskip("sacrebleu")
    result = measure({"lib": files()}, Settings(tiny.name, task, functions=6, tokens=4000))
    figure = "chrf" if task == "docstring" else "edit_similarity"
    assert result["functions"] == len(result["packages"]["lib"]["asked"]) <= 6
    assert all(0 <= result[way][figure] <= 100 for way in WAYS)
    low, high = result["adapter_over_base"][figure]["ci95"]
    assert low <= result["adapter_over_base"][figure]["difference"] <= high
    package = result["packages"]["lib"]
    assert package["examples"] > 0
    assert package["tokens"] <= 4000
    for row in package["asked"]:
        assert not any('"""' in row[way]["written"] for way in WAYS)
    path = tmp_path / "earlier.json"
    path.write_text(json.dumps(result))
    again = measure({}, Settings(tiny.name, task, earlier=[path]))
    assert again == result
    with pytest.raises(TailoraError, match="this is about"):
        measure({}, Settings("other", task, earlier=[path]))


def test_a_package_with_too_little(tiny: Any) -> None:
    with pytest.raises(TailoraError, match="too few functions"):
        measure({"lib": files()[:1]}, Settings(tiny.name, "generation"))


def test_score_is_of_words() -> None:
    pytest.importorskip("sacrebleu")
    same = score("Adds two numbers,\n    and more.", "Adds two numbers, and more.")
    assert same["chrf"] == pytest.approx(100)
    assert same["bleu4"] == pytest.approx(100)
    assert score("nothing alike", "Adds two numbers, and more.")["chrf"] < 20


def test_packages_without_their_tests() -> None:
    found = files_of_package("tailora_adapters")
    assert any(file.path == "tailora_adapters/store.py" for file in found)
    with pytest.raises(TailoraError, match="not an installed package"):
        files_of_package("nothing_of_that_name")
