"""Ranks are where a look through each ranking finds the items."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.domain import UNKNOWN, Candidates
from retrieval.finders import ranks_in

RANKING = st.lists(st.integers(0, 9), unique=True, max_size=6)


def candidates(rankings: list[list[int]]) -> Candidates:
    items = np.full((len(rankings), 6), UNKNOWN, np.int32)
    for row, ranking in enumerate(rankings):
        items[row, : len(ranking)] = ranking
    return Candidates(items, np.zeros(items.shape, np.float32))


@given(st.lists(st.tuples(RANKING, RANKING, RANKING), min_size=1, max_size=4))
def test_ranks_are_those_of_a_look_through_each_ranking(rows: list[tuple[list[int], ...]]) -> None:
    found = {name: candidates([row[source] for row in rows]) for source, name in enumerate("ab")}
    wanted = candidates([row[2] for row in rows])
    ranks = ranks_in(found, wanted.items)
    for row, (a, b, items) in enumerate(rows):
        for place, item in enumerate(items):
            assert ranks[row, place].tolist() == [1 + r.index(item) if item in r else 0 for r in (a, b)]
    assert not ranks[wanted.items == UNKNOWN].any()
