"""The promotion gate: pure decisions from scores, every check with its number and its limit.

Candidate, base (with the foundation adapter where there is one) and what serves now are scored on the same
held-out holes, and compared hole by hole: the loss must be lower beyond chance (paired bootstrap, Efron and
Tibshirani 1993), also on the newest edits; exact match and stopping must not be worse beyond chance (exact sign test on
the holes that changed, Dixon and Mood 1946), nor similarity (paired bootstrap). Knows nothing of models, files or
training; what comes out of a model that must not is found by ``leaks``.
"""

import math
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tailora_adapters.manifest import Check, GateResult
from tailora_adapters.training.evaluate import Scores

__all__ = [
    "GateSettings",
    "decide",
    "may_pass_half_as_far",
    "probability_better",
    "probability_by_chance",
]

_DRAWS = 2_000
_AGAINST = " against "
"""In the names of the checks that compare answers."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Limits of the checks."""

    confidence: float = 0.9
    """Bootstrap probability that the candidate's loss is lower than the base's, at least."""
    serving_confidence: float = 0.5
    """The same against what serves. An increment has seen a few files more: on the questions about all the others it
    cannot be surely better, and it must not be worse."""
    significance: float = 0.1
    """Exact match, similarity and stopping count as worse if chance alone gives so much with less than this
    probability."""
    newest_least: int = 8
    """Holes in the newest edits from which these are judged by themselves."""
    generic_margin: float = 0.05
    """Relative loss on generic code by which the candidate may be worse than the base."""
    norm_limit: float = 4.0
    """Norm of the adapter's update, relative to the foundation's, or to that of the first version."""


def decide(
    candidate: Scores,
    base: Scores,
    serving: Scores | None,
    *,
    generic: tuple[Scores, Scores] | None,
    norm_ratio: float | None,
    newest: Collection[int] = (),
    leaks: Sequence[Check] = (),
    settings: GateSettings = GateSettings(),
) -> GateResult:
    """Promotes only if every check passes.

    Args:
        serving: None where the base serves.
        generic: Candidate and base on generic code.
        norm_ratio: See ``GateSettings.norm_limit``; None for a method that changes no matrices.
        newest: Places of the holes in the newest edits.
        leaks: Checks of what comes out that must not.
    """
    newest = newest if len(newest) >= settings.newest_least else ()
    checks = [*_better("base", candidate, base, newest, settings.confidence, settings.significance)]
    if serving is not None:
        checks += _better(
            "serving", candidate, serving, newest, settings.serving_confidence, settings.significance
        )
    if generic is not None:
        ours, theirs = generic
        limit = theirs.nll * (1 + settings.generic_margin)
        checks.append(
            Check(
                "generic code",
                ours.nll <= limit,
                round(ours.nll, 4),
                round(limit, 4),
                f"loss on generic code {ours.nll:.3f}, base {theirs.nll:.3f}",
            )
        )
    if norm_ratio is not None:
        checks.append(
            Check(
                "adapter norm",
                norm_ratio <= settings.norm_limit,
                round(norm_ratio, 3),
                settings.norm_limit,
                f"the update's norm is {norm_ratio:.2f} times that of its start",
            )
        )
    checks += leaks
    failed = [check for check in checks if not check.passed]
    gain = 1 - candidate.nll / base.nll if base.nll else 0.0
    reason = (
        "; ".join(f"{check.name}: {check.message}" for check in failed)
        if failed
        else f"held-out loss {gain:.1%} below the base, {len(checks)} checks passed"
    )
    return GateResult(
        "rejected" if failed else "promoted",
        reason,
        tuple(checks),
        _figures(candidate, base, serving, generic),
    )


def may_pass_half_as_far(result: GateResult) -> bool:
    """Whether a rejected candidate failed in comparisons alone: then half as far from its start it may be better. What
    came out that must not come out, and what is forgotten or too large, is wrong at any scale."""
    failed = [check.name for check in result.checks if not check.passed]
    return bool(failed) and all(_AGAINST in name for name in failed)


def probability_better(candidate: Scores, reference: Scores, *, draws: int = _DRAWS, seed: int = 0) -> float:
    """Share of bootstrap samples of the holes in which the candidate's mean loss a token is lower."""
    differences = [c - r for c, r in zip(candidate.nll_sums, reference.nll_sums, strict=True)]
    return _share_below_zero(differences, draws, seed)


def probability_by_chance(candidate: Sequence[bool], reference: Sequence[bool]) -> float:
    """How probable so many losses, or more, are among the holes that changed, if either way is equally likely."""
    lost = sum(r and not c for c, r in zip(candidate, reference, strict=True))
    changed = sum(r != c for c, r in zip(candidate, reference, strict=True))
    ways: int = sum(math.comb(changed, k) for k in range(lost, changed + 1))
    return ways / math.pow(2, changed)


def _share_below_zero(differences: Sequence[float], draws: int = _DRAWS, seed: int = 0) -> float:
    rng = random.Random(seed)
    size = len(differences)
    return sum(sum(rng.choices(differences, k=size)) < 0 for _ in range(draws)) / draws


def _better(
    name: str,
    candidate: Scores,
    reference: Scores,
    newest: Collection[int],
    confidence: float,
    significance: float,
) -> Iterator[Check]:
    probability = probability_better(candidate, reference)
    yield Check(
        f"loss{_AGAINST}{name}",
        candidate.nll < reference.nll and probability >= confidence,
        round(probability, 4),
        confidence,
        f"held-out loss {candidate.nll:.3f}, {name} {reference.nll:.3f}, lower with probability {probability:.2f}",
    )
    if newest:
        yield _newest(name, candidate, reference, newest)
    for what, ours, theirs, text in (
        ("exact match", candidate.exact, reference.exact, "of the holes filled exactly"),
        ("stopping", candidate.stops, reference.stops, "of the holes stopped behind"),
    ):
        chance = probability_by_chance(ours, theirs)
        yield Check(
            f"{what}{_AGAINST}{name}",
            chance >= significance,
            round(chance, 4),
            significance,
            f"{sum(ours) / len(ours):.1%} {text}, {name} {sum(theirs) / len(theirs):.1%}",
        )
    if candidate.similarity and reference.similarity:
        differences = [c - r for c, r in zip(candidate.similarity, reference.similarity, strict=True)]
        chance = 1 - _share_below_zero(differences)
        yield Check(
            f"similarity{_AGAINST}{name}",
            chance >= significance,
            round(chance, 4),
            significance,
            f"answers {candidate.edit_similarity:.1%} alike, {name} {reference.edit_similarity:.1%}",
        )


def _newest(name: str, candidate: Scores, reference: Scores, newest: Collection[int]) -> Check:
    def loss(scores: Scores) -> float:
        return sum(scores.nll_sums[i] for i in newest) / max(1, sum(scores.tokens[i] for i in newest))

    ours, theirs = loss(candidate), loss(reference)
    return Check(
        f"newest edits{_AGAINST}{name}",
        ours < theirs,
        round(ours, 4),
        round(theirs, 4),
        f"loss on {len(newest)} holes in the newest edits {ours:.3f}, {name} {theirs:.3f}",
    )


def _figures(
    candidate: Scores, base: Scores, serving: Scores | None, generic: tuple[Scores, Scores] | None
) -> dict[str, float]:
    rows = {"candidate": candidate, "base": base}
    if serving is not None:
        rows["serving"] = serving
    if generic is not None:
        rows["generic_candidate"], rows["generic_base"] = generic
    figures: dict[str, float] = {"held_out": float(len(candidate.exact))}
    for name, scores in rows.items():
        figures[f"{name}_nll"] = round(scores.nll, 4)
        figures[f"{name}_exact_match"] = round(scores.exact_match, 6)
        figures[f"{name}_stop_rate"] = round(scores.stop_rate, 6)
        if scores.similarity:
            figures[f"{name}_edit_similarity"] = round(scores.edit_similarity, 6)
    return figures
