"""Dealing gives each source its share of the places, and equals dealing by hand, one query and one place at a time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.dealing import LEVEL, deal
from retrieval.domain import UNKNOWN, Candidates

Lists = dict[str, list[list[int]]]


def candidates(rows: list[list[int]], width: int) -> Candidates:
    items = np.full((len(rows), width), UNKNOWN, np.int32)
    for row, ranking in enumerate(rows):
        items[row, : len(ranking)] = ranking
    return Candidates(items, np.where(items == UNKNOWN, -np.inf, 1).astype(np.float32))


def dealt_by_hand(lists: dict[str, list[int]], shares: dict[str, float], k: int) -> list[int]:
    """The definition for one query, place by place."""
    credited, dealt = dict.fromkeys(lists, 0), list[int]()
    while len(dealt) < k:
        left = {name: [i for i in lists[name] if i not in dealt] for name in lists if shares.get(name, 0) > 0}
        left = {name: items for name, items in left.items() if items}
        if not left:
            break
        total = sum(shares[name] for name in left)
        arrears = {s: shares[s] / total * len(dealt) + shares[s] / total - credited[s] for s in left}
        dealer = next(name for name in left if arrears[name] >= max(arrears.values()) - LEVEL)
        dealt.append(left[dealer][0])
        credited[dealer] += 1
    return dealt


@st.composite
def tables(draw: st.DrawFn) -> tuple[Lists, dict[str, float], int]:
    n_queries = draw(st.integers(1, 4))
    ranking = st.lists(st.integers(0, 12), max_size=8, unique=True)
    names = "abcd"[: draw(st.integers(1, 4))]
    lists = {name: draw(st.lists(ranking, min_size=n_queries, max_size=n_queries)) for name in names}
    share = st.one_of(st.sampled_from([0.0, 1.0, 2.0, 1 / 3]), st.floats(0.01, 10))
    return lists, {name: draw(share) for name in names}, draw(st.integers(1, 15))


@settings(max_examples=300, deadline=None)
@given(tables())
def test_dealing_many_queries_at_once_is_dealing_each_by_hand(table: tuple[Lists, dict[str, float], int]) -> None:
    lists, shares, k = table
    found = {name: candidates(rows, max(map(len, rows))) for name, rows in lists.items()}
    answer = deal(found, shares, k)
    for row in range(len(answer)):
        expected = dealt_by_hand({name: rows[row] for name, rows in lists.items()}, shares, k)
        assert answer.items[row].tolist() == expected + [UNKNOWN] * (k - len(expected))
        worth = np.array([1 / (61 + place) for place in range(len(expected))], np.float32)
        np.testing.assert_array_equal(answer.scores[row, : len(expected)], worth)
        assert np.isneginf(answer.scores[row, len(expected) :]).all()


def test_a_source_gets_its_share_of_every_first_places() -> None:
    found = {"a": candidates([list(range(100))], 100), "b": candidates([list(range(100, 200))], 100)}
    is_of_a = deal(found, {"a": 3, "b": 1}, 100).items[0] < 100
    for k in (4, 20, 100):
        assert is_of_a[:k].mean() == 0.75


def test_an_item_of_several_sources_counts_for_the_one_that_deals_it() -> None:
    found = {"a": candidates([[1, 2, 3]], 3), "b": candidates([[1, 4, 5]], 3)}
    assert deal(found, {"a": 0.5, "b": 0.5}, 4).items.tolist() == [[1, 4, 2, 5]]


def test_what_a_dry_source_does_not_use_flows_to_the_others() -> None:
    found = {"a": candidates([[1]], 3), "b": candidates([[2, 3, 4]], 3), "c": candidates([[5, 6, 7]], 3)}
    assert deal(found, {"a": 0.8, "b": 0.1, "c": 0.1}, 7).items.tolist() == [[1, 2, 5, 3, 6, 4, 7]]


def test_a_source_of_no_share_never_deals_even_if_all_others_are_dry() -> None:
    found = {"a": candidates([[1]], 1), "b": candidates([[2]], 1)}
    assert deal(found, {"a": 1.0, "b": 0.0}, 2).items.tolist() == [[1, UNKNOWN]]
    assert deal(found, {}, 2).items.tolist() == [[UNKNOWN, UNKNOWN]]


def test_nobody_asks_and_nobody_is_dealt_to() -> None:
    assert deal({"a": Candidates.none(0, 5)}, {"a": 1.0}, 3).items.shape == (0, 3)
