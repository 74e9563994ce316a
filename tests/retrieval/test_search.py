"""Exhaustive ranking is a sort, ties to the lower row, without what may not be shown."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from retrieval.domain import UNKNOWN, Candidates, Histories, Queries, Ragged
from retrieval.search import BLOCK, concatenate, keep_allowed, rank_alike, rank_all, rank_sparse, top_k

Ranking = list[tuple[int, float]]
SCORES = st.sampled_from([-np.inf, 0.0, 1.0, 2.0, 3.0])


def queries_of(excluded: list[set[int]], eligible: list[bool]) -> Queries:
    n = len(excluded)
    owners = np.array([query for query, items in enumerate(excluded) for _ in items], np.int64)
    values = np.array([item for items in excluded for item in sorted(items)], np.int64)
    empty = Ragged.empty(n)
    barred = Ragged.from_owners(owners, values, n)
    return Queries(np.arange(n, dtype=np.int32), Histories.empty(n), empty, 1, np.array(eligible, bool), barred)


def sorted_by_hand(row: list[float], barred: set[int], eligible: list[bool], k: int) -> Ranking:
    allowed = [(i, s) for i, s in enumerate(row) if s > -np.inf and eligible[i] and i not in barred]
    best = sorted(allowed, key=lambda entry: (-entry[1], entry[0]))[:k]
    return best + [(UNKNOWN, -np.inf)] * (k - len(best))


def as_lists(found: Candidates) -> list[Ranking]:
    return [list(zip(i.tolist(), s.tolist(), strict=True)) for i, s in zip(found.items, found.scores, strict=True)]


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[list[float]], list[set[int]], list[bool], int]:
    n_items, n_queries = draw(st.integers(1, 12)), draw(st.integers(0, 4))
    rows = draw(st.lists(st.lists(SCORES, min_size=n_items, max_size=n_items), min_size=n_queries, max_size=n_queries))
    barred = draw(st.lists(st.sets(st.integers(0, n_items - 1)), min_size=n_queries, max_size=n_queries))
    eligible = draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items))
    return rows, barred, eligible, draw(st.integers(1, 15))


@given(questions())
def test_rank_all_is_a_sort_of_what_is_allowed(
    question: tuple[list[list[float]], list[set[int]], list[bool], int],
) -> None:
    rows, barred, eligible, k = question
    scores = np.array(rows, np.float32).reshape(len(rows), len(eligible))
    found = rank_all(queries_of(barred, eligible), k, lambda _, part: scores[part].copy())
    assert found.items.shape == found.scores.shape == (len(rows), k)
    assert as_lists(found) == [sorted_by_hand(row, b, eligible, k) for row, b in zip(rows, barred, strict=True)]


@given(st.lists(st.lists(SCORES, min_size=9, max_size=9), min_size=1, max_size=4), st.integers(1, 12))
def test_top_k_gives_ties_to_the_lower_row(rows: list[list[float]], k: int) -> None:
    found = top_k(np.array(rows, np.float32), k)
    assert as_lists(found) == [sorted_by_hand(row, set(), [True] * 9, k) for row in rows]


@pytest.mark.parametrize("k", [1, 7, 100])
@pytest.mark.parametrize("kind", ["any", "few values", "mostly missing", "negative", "none"])
def test_top_k_of_many_items_is_a_sort(k: int, kind: str) -> None:
    rng = np.random.default_rng(k)
    scores = rng.standard_normal((6, 4999)).astype(np.float32)
    if kind == "few values":
        scores = np.round(scores)
    if kind == "mostly missing":
        scores[rng.random(scores.shape) < 0.99] = -np.inf
    if kind == "negative":
        scores = -np.abs(scores)
    if kind == "none":
        scores[:] = -np.inf
    found = top_k(scores, k)
    assert as_lists(found) == [sorted_by_hand(row, set(), [True] * 4999, k) for row in scores.tolist()]


@given(questions())
def test_one_ranking_for_everybody_is_the_same_score_for_everybody(
    question: tuple[list[list[float]], list[set[int]], list[bool], int],
) -> None:
    rows, barred, eligible, k = question
    scores = np.array(rows[0] if rows else [0.0] * len(eligible), np.float32)
    queries = queries_of(barred, eligible)
    wanted = rank_all(queries, k, lambda block, _: np.tile(scores, (len(block), 1)))
    assert as_lists(rank_alike(scores, queries, k)) == as_lists(wanted)


def test_one_ranking_is_cut_into_blocks_that_exclude_their_own() -> None:
    n, n_items = BLOCK + 3, 9
    queries = queries_of([{query % n_items} if query % 3 else set() for query in range(n)], [True] * n_items)
    scores = np.arange(n_items, dtype=np.float32)
    wanted = rank_all(queries, 4, lambda block, _: np.tile(scores, (len(block), 1)))
    assert as_lists(rank_alike(scores, queries, 4)) == as_lists(wanted)


@given(questions())
def test_sparse_scores_rank_like_dense_ones(
    question: tuple[list[list[float]], list[set[int]], list[bool], int],
) -> None:
    rows, barred, eligible, k = question
    scores = np.maximum(np.array(rows, np.float32).reshape(len(rows), len(eligible)), 0)
    queries = queries_of(barred, eligible)
    dense = rank_all(queries, k, lambda _, part: np.where(scores[part] > 0, scores[part], -np.inf).astype(np.float32))
    assert as_lists(rank_sparse(sp.csr_array(scores), queries, k)) == as_lists(dense)


@pytest.mark.parametrize("marks", [1, 20, 1 << 24])
def test_exclusions_are_marked_a_few_queries_at_a_time(marks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.search.MARKS", marks)
    found = Candidates(np.tile(np.arange(8, dtype=np.int32), (5, 1)), np.zeros((5, 8), np.float32))
    barred = [{0, 3}, set(), {7}, set(range(8)), {1}]
    kept = keep_allowed(found, queries_of(barred, [True] * 8), 8)
    assert [[item for item in row if item >= 0] for row in kept.items.tolist()] == [
        [item for item in range(8) if item not in row] for row in barred
    ]


def test_ties_at_the_last_place_go_to_the_lowest_rows_of_many() -> None:
    scores = np.zeros((3, 5000), np.float32)
    scores[1, 4000] = scores[2, [7, 4999]] = 1
    found = top_k(scores, 3)
    assert found.items.tolist() == [[0, 1, 2], [4000, 0, 1], [7, 4999, 0]]


def test_blocks_are_ranked_with_their_own_queries() -> None:
    n, n_items = BLOCK + 3, 7
    scores = np.random.default_rng(0).random((n, n_items), np.float32)
    queries = queries_of([{query % n_items} for query in range(n)], [True] * n_items)
    seen_users = []

    def score(block: Queries, part: slice) -> np.ndarray:
        seen_users.extend(block.users.tolist())
        return scores[part].copy()

    found = rank_all(queries, 2, score)
    assert seen_users == list(range(n))
    wanted = [sorted_by_hand(row.tolist(), {query % n_items}, [True] * n_items, 2) for query, row in enumerate(scores)]
    assert as_lists(found) == wanted


@given(st.data())
def test_keep_allowed_is_a_filter_that_keeps_the_order(data: st.DataObject) -> None:
    n_items, width = 8, 6
    rankings = [
        data.draw(st.lists(st.integers(0, n_items - 1), unique=True, max_size=width))
        for _ in range(data.draw(st.integers(0, 4)))
    ]
    barred = [data.draw(st.sets(st.integers(0, n_items - 1))) for _ in rankings]
    eligible = data.draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items))
    k = data.draw(st.integers(1, 9))
    items = np.full((len(rankings), width), UNKNOWN, np.int32)
    scores = np.full((len(rankings), width), -np.inf, np.float32)
    for row, ranking in enumerate(rankings):
        items[row, : len(ranking)] = ranking
        scores[row, : len(ranking)] = -np.arange(len(ranking))
    found = keep_allowed(Candidates(items, scores), queries_of(barred, eligible), k)
    assert found.items.shape == (len(rankings), k)
    for row, ranking in enumerate(rankings):
        kept = [(i, -place) for place, i in enumerate(ranking) if eligible[i] and i not in barred[row]][:k]
        assert as_lists(found)[row] == kept + [(UNKNOWN, -np.inf)] * (k - len(kept))


def test_no_queries_give_no_candidates() -> None:
    assert concatenate([], 3).items.shape == (0, 3)


@pytest.mark.parametrize("k", [1, 3])
def test_nothing_eligible_leaves_only_padding(k: int) -> None:
    queries = replace(queries_of([set()], [True, True]), eligible=np.zeros(2, bool))
    found = rank_all(queries, k, lambda block, _: np.ones((len(block), 2), np.float32))
    assert as_lists(found) == [[(UNKNOWN, -np.inf)] * k]
