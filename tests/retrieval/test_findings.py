"""What is kept and shown of fresh items: figures as they were measured, rounded, told in one way."""

import json

import numpy as np
from lineages import CONFIG, frozen, lineage_of, planted, settling
from markup import assert_fetches_nothing

from retrieval.convergence_page import cohort_rows, recall_rows, settling_charts
from retrieval.domain import UNKNOWN, Candidates, Ragged
from retrieval.findings import FreshRecall, as_plain, findings_of, fresh_recall

NIGHTS = planted(settling)
FOUND = findings_of("towers/relevance", lineage_of(NIGHTS), NIGHTS[-1].ids, CONFIG)


def test_the_curve_of_all_leaves_out_the_night_that_it_is_measured_against() -> None:
    (cohort,) = FOUND.cohorts
    assert (cohort.n_nights, [found.age for found in FOUND.ages]) == (7, list(range(7)))
    assert [found.delta.median for found in FOUND.ages] == [found.median for found in cohort.delta[:-1]]
    assert all(found.n_items == 30 for found in FOUND.ages)
    assert len(FOUND.residuals) == len(FOUND.drift) == 7
    assert all(drift.low <= drift.median <= drift.high for drift in FOUND.drift)


def test_plain_values_are_rounded_and_go_through_json() -> None:
    plain = as_plain(FOUND)
    assert json.loads(json.dumps(plain)) == plain
    assert plain["cohorts"][0]["delta"][0]["median"] == round(FOUND.cohorts[0].delta[0].median, 6)


def test_recall_by_age_is_that_of_a_loop_over_choices() -> None:
    rng = np.random.default_rng(0)
    first_seen = rng.integers(90, 101, 40).astype(np.int32)
    rankings = np.stack([rng.permutation(40)[:12] for _ in range(9)]).astype(np.int32)
    rankings[0, 5:] = UNKNOWN
    targets = Ragged.from_owners(np.repeat(np.arange(9), 4), rng.integers(0, 40, 36), 9)
    expected: dict[int, list[int]] = {}
    for owner, item in zip(targets.owners(), targets.values, strict=True):
        if (age := 100 - first_seen[item]) < 8:
            expected.setdefault(int(age), []).append(int(item in rankings[owner]))
    found = fresh_recall({"towers": Candidates(rankings, np.zeros((9, 12), np.float32))}, targets, first_seen, 100)
    assert found == [FreshRecall("towers", age, len(hits), sum(hits)) for age, hits in sorted(expected.items())]


def test_the_page_puts_what_fails_first_and_draws_a_chart_a_space() -> None:
    still = planted(frozen)
    failing = findings_of("towers/engagement", lineage_of(still), still[-1].ids, CONFIG)
    found = {"spaces": [as_plain(FOUND), as_plain(failing)], "recall": [as_plain(FreshRecall("towers", 2, 8, 2))]}
    rows = cohort_rows(found)
    assert [(row.space, row.tone, row.sign) for row in rows] == [
        ("towers/engagement", "bad", "✗ failing"),
        ("towers/relevance", "good", "✓ converging"),
    ]
    assert rows[1].pace.endswith("×") and float(rows[1].half) > 0
    recalls = recall_rows(found)
    assert recalls is not None and recalls.ages == [2] and recalls.sources[0][1][0].recall == 0.25
    charts = dict(settling_charts(found))
    assert set(charts) == {"towers/relevance", "towers/engagement"}
    assert (
        charts["towers/relevance"].count("<svg") == 1 and "established items, one night" in charts["towers/relevance"]
    )
    assert charts == dict(settling_charts(found))
    assert_fetches_nothing(f"<style></style>{charts['towers/relevance']}")


def test_a_night_that_followed_nothing_shows_nothing() -> None:
    assert (cohort_rows({}), recall_rows({}), settling_charts({})) == ([], None, [])
