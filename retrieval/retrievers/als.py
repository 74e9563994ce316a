"""Implicit-feedback matrix factorisation by alternating least squares; users are made of their histories.

A chosen pair has preference 1 and a confidence that grows with how often and how lately it was chosen, every other pair
has preference 0 and confidence 1. Source: Hu, Koren, Volinsky, ICDM 2008.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32
from pydantic import Field
from threadpoolctl import threadpool_limits

from retrieval.domain import Dataset, Queries, State
from retrieval.factors import carried_over, is_of_width, refuse_empty, user_side
from retrieval.fold_in import fold_in
from retrieval.interactions import decayed, summed_matrix
from retrieval.offsets import TrendConfig, learn_offset
from retrieval.progress import advance
from retrieval.retrievers.factor_model import FactorModel
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.seeds import derived_seed, generator

START = 0.01
"""Factors start evenly between 0 and this."""


class AlsConfig(FamilyConfig):
    """Factors of the confidence-weighted matrix of users and items.

    New users are answered as known ones are: by the history they bring. Without one they get what suits the average
    user. Items that nobody has chosen have no factors: they come last, and nothing is like them.
    """

    kind: Literal["als"] = "als"
    dim: int = Field(default=64, ge=1)
    """Factors a user and an item."""
    alpha: float = Field(default=10.0, gt=0)
    """Confidence in a chosen pair of weight w: 1 + alpha w."""
    repeats: Literal["once", "log", "sum"] = "log"
    """What a pair weighs: 1 however often it was chosen (once), log2 of 1 + its summed weights (log), or their sum."""
    regularization: float = Field(default=20.0, gt=0)
    """Added to the diagonal of every user's and item's equations."""
    iterations: int = Field(default=15, ge=1)
    """Sweeps over users and items when there is no former model."""
    warm_iterations: int = Field(default=4, ge=1)
    """Sweeps when there is one."""
    half_life_days: float | None = Field(default=None, gt=0)
    """The age at which an event that is learnt from counts half; without it age does not matter."""
    trend: TrendConfig = TrendConfig()
    """What an item's recent popularity adds to its score: its offset."""
    user: Literal["fold_in", "history"] = "fold_in"
    """Whether a query's own equations are solved (fold_in) or the sum of its items' factors is mapped (history)."""
    history_half_life_days: float | None = Field(default=None, gt=0)
    """The age at which an event of the asking user counts half; without it age does not matter."""
    max_history: int = Field(default=1000, ge=1)
    """The newest positives of the asking user that are read: bounds the cost of an answer."""
    ridge: float = Field(default=0.01, gt=0)
    """Damps the map from sums of items to users, as a share of the sums' mean square."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "Als":
        positives = decayed(dataset.histories.positives(), dataset.day, self.half_life_days)
        chosen = self.weigh(summed_matrix(positives, len(dataset.catalogue)))
        refuse_empty(chosen, dataset, self.kind)
        is_warm = is_of_width(warm, "factors", self.dim)
        with threadpool_limits(1, "blas"):  # the solver has a thread a core of its own
            users, items = self._factorise(chosen, dataset, seed, warm if is_warm else None)
            arrays = {"factors": items, "gram": items.T @ items} | user_side(chosen, users, items, self.ridge)
            parts = State(arrays, {"warm": is_warm}, strings={"item_ids": dataset.catalogue.ids.ids})
            offset = learn_offset(self.trend, dataset, items, self.restore(parts).users, seed)
        return self.restore(replace(parts, arrays=arrays | {"offset": offset}))

    def restore(self, state: State) -> "Als":
        return Als(state, self)

    def weigh(self, summed: sp.csr_array) -> sp.csr_array:
        """What each chosen pair weighs, from its summed and decayed weights."""
        match self.repeats:
            case "once":
                weights = np.minimum(summed.data, 1)
            case "log":
                weights = np.log2(1 + summed.data)
            case "sum":
                weights = summed.data
        return sp.csr_array((weights.astype(np.float32), summed.indices, summed.indptr), summed.shape)

    def _factorise(
        self, chosen: sp.csr_array, dataset: Dataset, seed: int, warm: State | None
    ) -> tuple[Float32[np.ndarray, "users dim"], Float32[np.ndarray, "items dim"]]:
        """Factors by implicit's conjugate gradients: the same bytes on any number of threads."""
        from implicit.cpu.als import AlternatingLeastSquares  # readers of releases answer without it

        sweeps = self.iterations if warm is None else self.warm_iterations
        model = AlternatingLeastSquares(
            factors=self.dim,
            regularization=self.regularization,
            iterations=sweeps,
            random_state=derived_seed(seed, "als users"),
        )
        start = generator(seed, "als items").random((chosen.shape[1], self.dim), np.float32) * np.float32(START)
        if warm is not None:
            start = carried_over(start, dataset.catalogue.ids, warm.arrays["factors"], warm.strings["item_ids"])
        model.item_factors = start
        confidence = sp.csr_matrix((1 + self.alpha * chosen.data, chosen.indices, chosen.indptr), chosen.shape)

        def tell(sweep: int, _seconds: float, _loss: float | None) -> None:
            advance("train als", sweep + 1, sweeps)

        model.fit(confidence, show_progress=False, callback=tell)
        return model.user_factors, model.item_factors


@dataclass(frozen=True)
class Als(FactorModel):
    """Items' factors with their offsets; users are solved or mapped from their histories."""

    config: AlsConfig

    @property
    def offset(self) -> Float32[np.ndarray, " items"]:
        return np.asarray(self.fitted.arrays["offset"])

    def users(self, queries: Queries) -> Float32[np.ndarray, "queries dim"]:
        """Each query's factors from its history; the average user's where that says nothing."""
        arrays, config = self.fitted.arrays, self.config
        positives = queries.histories.positives().last(config.max_history)
        summed = summed_matrix(decayed(positives, queries.day, config.history_half_life_days), self.n_items)
        chosen = config.weigh(summed)
        if config.user == "fold_in":
            users = fold_in(config.alpha * chosen, self.factors, np.asarray(arrays["gram"]), config.regularization)
        else:
            users = self.mapped(chosen)
        users[self.says_nothing(chosen)] = arrays["mean_user"]
        return users
