"""What a night found of its fresh items' vectors, as it is kept with the release and shown on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32

from retrieval import metrics
from retrieval.convergence import Curve, Lineage, Quartiles, drifts, follow
from retrieval.convergence_rules import ConvergenceConfig, State, judge
from retrieval.dataset import day_of
from retrieval.domain import Candidates, Ragged

AGES = 8
"""Recall is told of items of 0 to 7 days."""
DIGITS = 6
K = 100


@dataclass(frozen=True, slots=True)
class CohortFindings:
    """One cohort's curve in figures, and what is said of it."""

    first_seen: str
    n_items: int
    n_chosen: int
    n_nights: int
    delta: list[Quartiles]
    """Distance to the settled vectors by nights since the first, the last of them 0."""
    established: list[float]
    """The same median distance of established items between the same nights."""
    steps: list[float]
    """Median movement from each night to the next."""
    drift: list[float]
    """The same of established items."""
    nights_to_half: float | None
    nights_to_nine_tenths: float | None
    state: State
    observed: str
    expected: str
    cure: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AgeFindings:
    """All followed items of a space at one age, their settled night left out."""

    age: int
    n_items: int
    delta: Quartiles


@dataclass(frozen=True, slots=True)
class SpaceFindings:
    """What became of one space's fresh items."""

    space: str
    n_nights: int
    """Nights of its lineage that could be laid over each other, this one included."""
    residuals: list[float]
    """What the rotation from each night to the next left over, oldest first."""
    drift: list[Quartiles]
    """How far established items moved from each night to the next, oldest first."""
    ages: list[AgeFindings]
    cohorts: list[CohortFindings]


@dataclass(frozen=True, slots=True)
class FreshRecall:
    """How many of the day's choices among items of one age a source had found."""

    source: str
    age: int
    n_targets: int
    n_found: int


def findings_of(space: str, lineage: Lineage, chosen: np.ndarray, config: ConvergenceConfig) -> SpaceFindings:
    """Every cohort of a space followed and judged."""
    curves = list(follow(lineage, chosen, config.settled_days))
    return SpaceFindings(
        space=space,
        n_nights=len(lineage.nights),
        residuals=[turn.residual for turn in lineage.turns],
        drift=drifts(lineage, config.settled_days),
        ages=_by_age([curve for curve in curves if curve.n_nights >= config.min_nights]),
        cohorts=[_cohort(curve, config) for curve in curves],
    )


def fresh_recall(
    found: Mapping[str, Candidates], targets: Ragged, first_seen: Int32[np.ndarray, " items"], day: int
) -> list[FreshRecall]:
    """Recall@100 by the age of what was chosen, in days, for each source; ages that nobody chose are left out."""
    ages = day - first_seen[targets.values]
    recalls = []
    for source, candidates in found.items():
        first = candidates.top(K)
        is_found = metrics.places(first, targets, len(first_seen)) < first.items.shape[1]
        for age in range(AGES):
            of_age = ages == age
            if of_age.any():
                recalls.append(FreshRecall(source, age, int(of_age.sum()), int((of_age & is_found).sum())))
    return recalls


def as_plain(findings: SpaceFindings | FreshRecall) -> dict[str, Any]:
    """For JSON, rounded: the last digits of a sum are the processor's own."""
    plain: dict[str, Any] = _rounded(asdict(findings))
    return plain


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _cohort(curve: Curve, config: ConvergenceConfig) -> CohortFindings:
    verdict = judge(curve, config)
    return CohortFindings(
        first_seen=day_of(curve.cohort).isoformat(),
        n_items=curve.n_items,
        n_chosen=curve.n_chosen,
        n_nights=curve.n_nights,
        delta=list(curve.delta),
        established=list(curve.established),
        steps=list(curve.steps),
        drift=list(curve.drift),
        nights_to_half=curve.nights_to(0.5),
        nights_to_nine_tenths=curve.nights_to(0.9),
        **asdict(verdict),
        sentence=verdict.sentence(),
    )


def _by_age(curves: Sequence[Curve]) -> list[AgeFindings]:
    """Items of all cohorts together; the night that a cohort is measured against says nothing of it."""
    longest = max((curve.n_nights for curve in curves), default=0)
    columns = [
        np.concatenate([curve.distances[:, age] for curve in curves if age < curve.n_nights]) for age in range(longest)
    ]
    return [AgeFindings(age, len(column), Quartiles.of(column)) for age, column in enumerate(columns)]
