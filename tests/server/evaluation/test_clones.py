"""The figures of planted clones: what counts as found, false and set aside; and what vectors tell of pairs."""

from types import SimpleNamespace

import numpy as np
import pytest

from tailora.evaluation import clones as experiment
from tailora_adapters.clones.groups import Clone, Place
from tailora_adapters.clones.plant import Planted


def _place(path: str, line: int) -> Place:
    return Place(path, line, 4, 8, "name", line, line + 9, 60)


def _clone(left: tuple[str, int], right: tuple[str, int], kind: int = 2) -> Clone:
    one, other = sorted((_place(*left), _place(*right)))
    return Clone(one, other, kind, 1.0)


def test_a_pair_with_a_clone_of_the_source_is_set_aside_and_any_other_is_false() -> None:
    source, twin, stranger, planted = ("a.py", 1), ("b.py", 1), ("c.py", 1), ("d.py", 50)
    existing = [_clone(source, twin)]
    reported = [
        *existing,
        _clone(source, planted),
        _clone(twin, planted),
        _clone(stranger, planted),
    ]
    outcomes = experiment._judge([Planted(2, *planted, *source, 0.0)], existing, reported)
    (row,) = outcomes
    assert (row.found, row.right_kind, row.false, row.aside) == (True, True, 1, 1)
    figures = experiment._figures(outcomes, seed=1)["all"]
    assert figures["precision"]["value"] == 0.5
    assert figures["strict_precision"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["recall"]["value"] == 1.0


def test_what_is_not_reported_is_missed() -> None:
    outcomes = experiment._judge([Planted(3, "d.py", 50, "a.py", 1, 0.2)], [], [])
    figures = experiment._figures(outcomes, seed=1)["3"]
    assert (figures["found"], figures["false"], figures["recall"]["value"]) == (0, 0, 0.0)


def test_planted_clones_of_a_real_package_are_found() -> None:
    result = experiment.measure(experiment.Settings(("pathspec",), count=3, seed=5))
    assert result["types"]["all"]["planted"] == 9
    assert result["types"]["1"]["f1"]["value"] == 1.0
    assert result["packages"]["pathspec"]["functions"] > 20


def test_vectors_that_tell_pairs_apart_score_full(monkeypatch: pytest.MonkeyPatch) -> None:
    from tailora.evaluation import clones_semantic

    pairs = clones_semantic.written_pairs()
    assert len(pairs) > 20
    rng = np.random.default_rng(1)
    meanings = rng.normal(size=(len(pairs), 64)).repeat(2, axis=0)
    vectors = np.concatenate((meanings, rng.normal(size=(40, 64)))).astype(np.float32)
    result = SimpleNamespace(**clones_semantic.figures(vectors, len(pairs)))
    assert result.area_under_roc == 1.0
    assert result.chosen_on_half["f1"] == 1.0
    noise = rng.normal(size=vectors.shape).astype(np.float32)
    assert clones_semantic.figures(noise, len(pairs))["area_under_roc"] < 0.8
