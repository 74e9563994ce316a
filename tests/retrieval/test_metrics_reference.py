"""Our metrics are those of trec_eval, asked through ir_measures, on rankings with ties, short ones and without targets."""

from collections.abc import Callable

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG

from retrieval import metrics
from retrieval.domain import UNKNOWN, Candidates, Ragged

N_ITEMS = 60
WIDTH = 30
CUTOFFS = (1, 3, 10, 25, 100)
OURS: dict[str, Callable[..., np.ndarray]] = {
    "R": metrics.recall,
    "nDCG": metrics.ndcg,
    "RR": metrics.reciprocal_rank,
    "Success": metrics.hit_rate,
}
Scored = dict[int, float]
"""An item's score; equal ones are ties."""
Case = tuple[Scored, set[int]]

ITEM = st.integers(0, N_ITEMS - 1)
CASES = st.lists(
    st.tuples(st.dictionaries(ITEM, st.integers(0, 5).map(float), max_size=WIDTH), st.sets(ITEM, max_size=12)),
    min_size=1,
    max_size=8,
)


def name_of(item: int) -> str:
    return f"{item:03d}"


def ranked(scored: Scored) -> list[int]:
    """The order of trec_eval: by score, of equal scores the greater name first."""
    return sorted(scored, key=lambda item: (-scored[item], -item))


def by_reference(cases: list[Case], k: int) -> dict[str, dict[int, float]]:
    """Each metric of each query that trec_eval counts: those with targets."""
    qrels = {str(row): {name_of(item): 1 for item in wanted} for row, (_, wanted) in enumerate(cases) if wanted}
    run = {
        # RR takes no cutoff there, so the run itself is cut off.
        str(row): {name_of(item): scored[item] for item in ranked(scored)[:k]}
        for row, (scored, _) in enumerate(cases)
    }
    asked = {R @ k: "R", nDCG @ k: "nDCG", RR: "RR", Success @ k: "Success"}
    found: dict[str, dict[int, float]] = {name: {} for name in OURS}
    for measured in ir_measures.pytrec_eval.iter_calc(list(asked), qrels, run):
        found[asked[measured.measure]][int(measured.query_id)] = measured.value
    return found


def arrays(cases: list[Case]) -> tuple[Candidates, Ragged]:
    items = np.full((len(cases), WIDTH), UNKNOWN, np.int32)
    for row, (scored, _) in enumerate(cases):
        items[row, : len(scored)] = ranked(scored)
    owners = np.array([row for row, (_, wanted) in enumerate(cases) for _ in wanted], np.int64)
    values = np.array([item for _, wanted in cases for item in sorted(wanted)], np.int32)
    return Candidates(items, np.zeros(items.shape, np.float32)), Ragged.from_owners(owners, values, len(cases))


def check(cases: list[Case], k: int) -> None:
    found, targets = arrays(cases)
    hit = metrics.hits(found, targets, N_ITEMS)
    reference = by_reference(cases, k)
    for name, metric in OURS.items():
        ours = metric(hit, targets, k) if name in ("R", "nDCG") else metric(hit, k)
        assert set(reference[name]) == {row for row, (_, wanted) in enumerate(cases) if wanted}
        for row, value in reference[name].items():
            assert ours[row] == pytest.approx(value, abs=1e-9), f"{name}@{k} of {cases[row]}"
        assert all(ours[row] == 0 for row, (_, wanted) in enumerate(cases) if not wanted)


@settings(max_examples=60, deadline=None)
@given(CASES, st.sampled_from(CUTOFFS))
def test_metrics_equal_trec_eval_on_any_ranking(cases: list[Case], k: int) -> None:
    check(cases, k)


@pytest.mark.parametrize("k", CUTOFFS)
def test_metrics_equal_trec_eval_on_many_users(k: int) -> None:
    rng = np.random.default_rng(k)
    cases: list[Case] = []
    for _ in range(300):
        scored = {int(item): float(rng.integers(0, 9)) for item in rng.permutation(N_ITEMS)[: rng.integers(0, WIDTH)]}
        cases.append((scored, {int(item) for item in rng.permutation(N_ITEMS)[: rng.integers(0, 15)]}))
    assert any(not scored for scored, _ in cases) and any(not wanted for _, wanted in cases)
    check(cases, k)
