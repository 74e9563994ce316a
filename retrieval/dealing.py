"""Several sources' rankings dealt into one like cards: each source gets its share of the places."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from retrieval.domain import UNKNOWN, Candidates

LEVEL = 1e-9
"""Sources whose arrears differ by less are level: rounding must not decide who deals."""
FIRST_PLACE = 61
"""One over the score of the first place."""


def deal(found: Mapping[str, Candidates], shares: Mapping[str, float], k: int) -> Candidates:
    """The first k places, dealt one after another by the source that is furthest behind its share.

    Before each place a source with no item left drops out, and the shares of the others are scaled to sum 1: what it
    does not use flows on. A source's arrears are share * places dealt so far + share - places it dealt. The source of
    most arrears deals, ties to the earlier in `found`: its best item that is not dealt yet. Dealing ends at k, or when
    every source is dry. A source of share 0, or not named in `shares`, never deals.

    A place scores 1 / (61 + place), counted from 0, as one source's rank does in rank fusion: the same however many
    places are dealt, so that boosts mean the same in short and in long lists.

    An item that several sources found is dealt once, by the first that names it, and counts for that source alone.
    """
    answer = Candidates.none(_n_queries(found), k)
    for place, (items, _) in enumerate(_dealt(found, shares, k)):
        is_dealt = items != UNKNOWN
        answer.items[:, place] = items
        answer.scores[is_dealt, place] = 1 / (FIRST_PLACE + place)
    return answer


def dealers(
    found: Mapping[str, Candidates], shares: Mapping[str, float], items: Int32[np.ndarray, "queries k"]
) -> Int64[np.ndarray, "queries k"]:
    """Which source of `found` deals each item when all is dealt; -1 for what none deals."""
    answer = np.full(items.shape, UNKNOWN, np.int64)
    for dealt, dealer in _dealt(found, shares, sum(ranking.items.shape[1] for ranking in found.values())):
        np.copyto(answer, dealer[:, None], where=(items == dealt[:, None]) & (items != UNKNOWN))
    return answer


def _n_queries(found: Mapping[str, Candidates]) -> int:
    return len(next(iter(found.values()))) if found else 0


def _dealt(
    found: Mapping[str, Candidates], shares: Mapping[str, float], k: int
) -> Iterator[tuple[Int32[np.ndarray, " queries"], Int64[np.ndarray, " queries"]]]:
    """Place after place, the item that each query gets and which source of `found` deals it, until all are dry."""
    # Before the last place k - 1 items are dealt, so that nothing behind the first k of a list is ever reached.
    dealing = {name: ranking.top(k) for name, ranking in found.items() if shares.get(name, 0) > 0}
    if not dealing:
        return
    table = _Table.of(list(dealing.values()), np.array([shares[name] for name in dealing], np.float64))
    number = np.array([number for number, name in enumerate(found) if name in dealing])
    for place in range(k):
        items, turn = table.next(place)
        if not (items != UNKNOWN).any():
            return
        yield items, number[turn]


@dataclass(frozen=True, slots=True)
class _Table:
    """Each source's list and how far it is dealt, for many queries at once; the last place of a list is its end."""

    shares: Float64[np.ndarray, " sources"]
    items: Int32[np.ndarray, " entries"]
    codes: Int64[np.ndarray, " entries"]
    """Where `dealt` tells of the item; equal items of one query have one code."""
    dealt: Bool[np.ndarray, " entries"]
    position: Int64[np.ndarray, "queries sources"]
    """Where the next item of each list is."""
    credited: Int64[np.ndarray, "queries sources"]

    @classmethod
    def of(cls, rankings: list[Candidates], shares: Float64[np.ndarray, " sources"]) -> "_Table":
        width = 1 + max(ranking.items.shape[1] for ranking in rankings)
        lists = [
            np.pad(ranking.items, ((0, 0), (0, width - ranking.items.shape[1])), constant_values=UNKNOWN)
            for ranking in rankings
        ]
        items = np.stack(lists, axis=1)
        start = np.arange(items.shape[0] * items.shape[1]).reshape(items.shape[:2]) * width
        codes, nothing = _codes(items.reshape(len(items), len(rankings) * width)), np.zeros(items.shape[:2], np.int64)
        return cls(shares / shares.sum(), items.ravel(), codes.ravel(), np.zeros(items.size, bool), start, nothing)

    def next(self, place: int) -> tuple[Int32[np.ndarray, " queries"], Int64[np.ndarray, " queries"]]:
        """The item that each query gets at a place, unknown where every list is dry, and which list it is from."""
        self._pass_over_dealt()
        rows, following = np.arange(len(self.position)), self.items[self.position]
        turn = self._turns(following != UNKNOWN, place)
        items = following[rows, turn]
        self.dealt[self.codes[self.position[rows, turn]]] = items != UNKNOWN
        self.credited[rows, turn] += 1
        return items, turn

    def _pass_over_dealt(self) -> None:
        passed = self.dealt[self.codes[self.position]]
        while passed.any():
            np.add(self.position, passed, out=self.position)
            passed = self.dealt[self.codes[self.position]]

    def _turns(self, has_items: Bool[np.ndarray, "queries sources"], place: int) -> Int64[np.ndarray, " queries"]:
        """Which source deals to each query."""
        shares = self.shares * has_items
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        arrears = np.where(has_items, shares * (place + 1) - self.credited, -np.inf)
        return (arrears >= arrears.max(axis=1, keepdims=True) - LEVEL).argmax(axis=1)


def _codes(items: Int32[np.ndarray, "queries entries"]) -> Int64[np.ndarray, "queries entries"]:
    """One number for each item of each query: where it stands first among all entries of all queries."""
    keys = (items.astype(np.int64) << 32) | np.arange(items.shape[1])
    keys.sort(axis=1)  # several times as fast as a sort that gives an order
    order, ordered = keys & 0xFFFFFFFF, keys >> 32
    is_first = np.ones_like(items, bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    columns = np.maximum.accumulate(np.where(is_first, np.arange(items.shape[1]), 0), axis=1)
    codes = np.empty_like(order)
    np.put_along_axis(codes, order, np.take_along_axis(order, columns, 1), 1)
    return codes + np.arange(len(items))[:, None] * items.shape[1]
