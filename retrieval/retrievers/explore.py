"""Items that may be better than is known: Thompson sampling from what each item's rate of being chosen may be.

Every item's rate has a Beta posterior; a user gets the items with the largest draws. Items tried seldom have wide
posteriors and are drawn high more often than their mean rates would let them.
Source: Chapelle, Li, NeurIPS 2011, algorithm 2.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64
from pydantic import Field, PositiveFloat
from scipy.special import betaincinv

from retrieval.domain import DAY, UNKNOWN, Candidates, Dataset, Queries, State
from retrieval.posteriors import Trials, exposures, fit_prior, impressions, quantile_tables, read_tables
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.search import concatenate, top_k
from retrieval.seeds import derived_seed
from retrieval.streams import exponentials, item_keys, mixed, query_keys

QUERIES_AT_ONCE = 128
"""Queries whose draws are held at once."""


class ExploreConfig(FamilyConfig):
    """Draws from every item's posterior rate, once a user and day: made to try items, not to please.

    Users differ by chance alone, new and known ones alike. New items need no choices: nobody has tried them, so their
    posterior is the prior. An item tried often and chosen seldom is all but gone.
    """

    kind: Literal["explore"] = "explore"
    window_days: int = Field(default=90, ge=1)
    """How far back events count."""
    trials: Literal["auto", "events", "exposures"] = "auto"
    """What a trial of an item is: an event with it (events), or each day of each active user while it was to be had
    (exposures). Auto takes events where at least `logged_share` of them weigh 0, as in a log of impressions."""
    logged_share: float = Field(default=0.1, gt=0, le=1)
    """The least share of events that weigh 0 (seen, but no sign of taste) in a log taken for one of impressions."""
    prior: tuple[PositiveFloat, PositiveFloat] | None = None
    """Successes and failures that every item starts with; without it they are fitted on the catalogue."""
    pool: int = Field(default=2000, ge=1)
    """Items that a user's draws are made for: those with the highest `pool_quantile`, by chance where they are alike.
    Bounds the cost of an answer; answers longer than it take as many as they need."""
    pool_quantile: float = Field(default=0.95, gt=0, lt=1)
    """The quantile of the posterior that says how good an item may be."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "Explore":
        trials, kind = self._trials(dataset)
        a, b = self.prior or fit_prior(trials)
        counts = np.stack([trials.positives, trials.tries - trials.positives], axis=1)
        distinct, rows = np.unique(counts, axis=0, return_inverse=True)
        a_posterior, b_posterior = a + distinct[:, 0], b + distinct[:, 1]
        arrays = {
            "posterior": rows.ravel().astype(np.int32),
            "tables": quantile_tables(a_posterior, b_posterior),
            "upper": betaincinv(a_posterior, b_posterior, self.pool_quantile).astype(np.float32),
        }
        facts: dict[str, object] = {"seed": derived_seed(seed, "explore"), "prior": [a, b], "trials": kind}
        return self.restore(State(arrays, facts))

    def restore(self, state: State) -> "Explore":
        return Explore(self, state)

    def _trials(self, dataset: Dataset) -> tuple[Trials, str]:
        first, histories = dataset.day - self.window_days, dataset.histories
        recent = histories.where(histories.times >= first * DAY)
        kind = self.trials
        if kind == "auto":
            kind = "events" if recent.n_events and (recent.weights == 0).mean() >= self.logged_share else "exposures"
        if kind == "events":
            return impressions(recent, len(dataset.catalogue)), kind
        return exposures(recent, dataset.catalogue, first, dataset.day), kind


@dataclass(frozen=True, slots=True)
class Explore:
    """Tables of posteriors, and a draw a user, item and day that is the same however users are asked about."""

    config: ExploreConfig
    fitted: State

    @property
    def n_items(self) -> int:
        return len(self.fitted.arrays["posterior"])

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        ranking, parts = self._ranking(queries), []
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            block = queries.take(np.arange(start, min(start + QUERIES_AT_ONCE, len(queries))))
            parts.append(self._draw(block, ranking, k))
        return concatenate(parts, k)

    def state(self) -> State:
        return self.fitted

    def _ranking(self, queries: Queries) -> Int64[np.ndarray, " items"]:
        """Eligible items by how good they may be; those of which the same is known in an order of the day."""
        items = np.flatnonzero(queries.eligible)
        upper = self.fitted.arrays["upper"][self.fitted.arrays["posterior"][items]]
        day = np.array([derived_seed(self._seed, "pool", queries.day)], np.uint64)
        return items[np.lexsort((mixed(item_keys(items) + day), -upper))]

    def _draw(self, queries: Queries, ranking: Int64[np.ndarray, " items"], k: int) -> Candidates:
        """The largest draws of each query's own pool, which is filled up with what it does not exclude."""
        pool = max(self.config.pool, k)
        candidates = ranking[: pool + int(queries.excluded.lengths.max(initial=0))]
        draws = exponentials(query_keys(queries, self._seed), item_keys(candidates))
        arrays = self.fitted.arrays
        rates = read_tables(arrays["tables"], arrays["posterior"][candidates], draws)
        allowed = _allowed(queries, candidates)
        rates[~allowed | (np.cumsum(allowed, axis=1) > pool)] = -np.inf
        found = top_k(rates, k)
        rows = np.append(candidates, UNKNOWN).astype(np.int32)  # the padding's -1 is the last place
        return replace(found, items=rows[found.items])

    @property
    def _seed(self) -> int:
        seed = self.fitted.facts["seed"]
        assert isinstance(seed, int)
        return seed


def _allowed(queries: Queries, candidates: Int64[np.ndarray, " items"]) -> Bool[np.ndarray, "queries items"]:
    """Which candidates each query does not exclude."""
    places = np.full(len(queries.eligible), len(candidates))
    places[candidates] = np.arange(len(candidates))
    allowed = np.ones((len(queries), len(candidates) + 1), bool)
    allowed[queries.excluded.owners(), places[queries.excluded.values]] = False
    return allowed[:, :-1]
