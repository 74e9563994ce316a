"""Matrix factorisation that learns to rank what users chose above what they did not; users are made of histories.

L = -sum of log sigma(<u, v+> - <u, v->) over chosen pairs and drawn items, with an offset an item beside the factors.
Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32
from pydantic import Field
from threadpoolctl import threadpool_limits

from retrieval.domain import UNKNOWN, Dataset, Queries, State
from retrieval.factors import carried_over, has_factors, is_of_width, refuse_empty, user_side, with_one
from retrieval.interactions import binary_matrix, decayed, summed_matrix
from retrieval.offsets import TrendConfig, learn_offset
from retrieval.progress import advance
from retrieval.retrievers.factor_model import FactorModel
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.seeds import derived_seed, generator


class BprConfig(FamilyConfig):
    """Factors that rank chosen pairs above others; how often a pair was chosen, and when, does not matter to them.

    New users are answered by the history they bring, without one like the average user. Items that nobody has chosen
    have no factors: they come last, and nothing is like them.
    """

    kind: Literal["bpr"] = "bpr"
    dim: int = Field(default=64, ge=1)
    """Factors a user and an item; the item's offset comes on top."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Steps of the stochastic gradient."""
    regularization: float = Field(default=0.01, ge=0)
    """Pulls factors towards zero with every step."""
    iterations: int = Field(default=50, ge=1)
    """Passes over the pairs when there is no former model."""
    warm_iterations: int = Field(default=10, ge=1)
    """Passes when there is one."""
    verify_negatives: bool = True
    """Whether a drawn item that the user has chosen is passed over."""
    trend: TrendConfig = TrendConfig()
    """What an item's recent popularity adds to the offset that is learnt with its factors."""
    user: Literal["history", "learnt"] = "history"
    """Whether a query's factors are mapped from its history, or are the user's own where training has met them."""
    history_half_life_days: float | None = Field(default=30.0, gt=0)
    """The age at which an event of the asking user counts half; without it age does not matter."""
    max_history: int = Field(default=1000, ge=1)
    """The newest positives of the asking user that are read."""
    ridge: float = Field(default=0.01, gt=0)
    """Damps the map from sums of items to users, as a share of the sums' mean square."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "Bpr":
        chosen = binary_matrix(dataset.histories.positives(), len(dataset.catalogue))
        refuse_empty(chosen, dataset, self.kind)
        is_warm = is_of_width(warm, "factors", self.dim)
        users, items, offset = self._factorise(chosen, dataset, seed, warm if is_warm else None)
        arrays = {"factors": items, "offset": offset, "users": users} | user_side(chosen, users, items, self.ridge)
        strings = {"item_ids": dataset.catalogue.ids.ids, "user_ids": dataset.people.ids.ids}
        parts = State(arrays, {"warm": is_warm}, strings=strings)
        model = self.restore(parts)
        both = np.column_stack([items, offset])
        with threadpool_limits(1, "blas"):  # small products, which several threads only slow down
            trend = learn_offset(self.trend, dataset, both, lambda queries: with_one(model.users(queries)), seed)
        return self.restore(replace(parts, arrays=arrays | {"trend": trend}))

    def restore(self, state: State) -> "Bpr":
        return Bpr(state, self)

    def _factorise(
        self, chosen: sp.csr_array, dataset: Dataset, seed: int, warm: State | None
    ) -> tuple[Float32[np.ndarray, "users dim"], Float32[np.ndarray, "items dim"], Float32[np.ndarray, " items"]]:
        """Users' and items' factors and the items' offsets.

        On one thread: several write over each other, and the same seed gives other factors each time.
        """
        from implicit.cpu.bpr import BayesianPersonalizedRanking  # readers of releases answer without it

        passes = self.iterations if warm is None else self.warm_iterations
        model = BayesianPersonalizedRanking(
            factors=self.dim,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=passes,
            num_threads=1,
            verify_negative_samples=self.verify_negatives,
            random_state=derived_seed(seed, "bpr steps"),
        )
        users, items = self._start(chosen, dataset, seed, warm)
        model.user_factors = np.column_stack([users, np.ones(len(users), np.float32)])  # the 1 meets the offset
        model.item_factors = items

        def tell(done: int, *_: object) -> None:
            advance("train bpr", done + 1, passes)

        model.fit(sp.csr_matrix(chosen), show_progress=False, callback=tell)
        return model.user_factors[:, :-1].copy(), model.item_factors[:, :-1].copy(), model.item_factors[:, -1].copy()

    def _start(
        self, chosen: sp.csr_array, dataset: Dataset, seed: int, warm: State | None
    ) -> tuple[Float32[np.ndarray, "users dim"], Float32[np.ndarray, "items dim_plus_1"]]:
        """Small even numbers around 0, or former factors; 0 for users and items of whom nothing is known."""
        rng, (n_users, n_items) = generator(seed, "bpr start"), chosen.shape
        users = (rng.random((n_users, self.dim), np.float32) - np.float32(0.5)) / np.float32(self.dim)
        items = (rng.random((n_items, self.dim + 1), np.float32) - np.float32(0.5)) / np.float32(self.dim)
        if warm is not None:
            former = np.column_stack([warm.arrays["factors"], warm.arrays["offset"]])
            items = carried_over(items, dataset.catalogue.ids, former, warm.strings["item_ids"])
            users = carried_over(users, dataset.people.ids, warm.arrays["users"], warm.strings["user_ids"])
        users[np.diff(chosen.indptr) == 0] = 0
        items[np.bincount(chosen.indices, minlength=n_items) == 0] = 0
        return users, items


@dataclass(frozen=True)
class Bpr(FactorModel):
    """Factors of items with their offsets, those of known users, and the map that makes users of histories.

    The map goes from the normalised sum of a history's item factors to users' factors, in closed form over all users
    met in training; it is what answers new users, and known ones with what they chose since. It loses nothing: on
    MovieLens-100K, the newest tenth of its time held out, 75 known users, 64 factors, recall@10 is .206 and .212 with
    the map (two seeds), .136 and .199 with learnt users; recall@100 .575 and .601, .571 and .594.
    """

    config: BprConfig

    @property
    def offset(self) -> Float32[np.ndarray, " items"]:
        """The learnt one and that of popularity as one."""
        return np.asarray(self.fitted.arrays["offset"] + self.fitted.arrays["trend"])

    def users(self, queries: Queries) -> Float32[np.ndarray, "queries dim"]:
        """Each query's factors: learnt or from its history; the average user's where that says nothing."""
        arrays, config = self.fitted.arrays, self.config
        positives = queries.histories.positives().last(config.max_history)
        chosen = summed_matrix(decayed(positives, queries.day, config.history_half_life_days), self.n_items)
        chosen.data = np.minimum(chosen.data, 1)
        users = self.mapped(chosen)
        users[self.says_nothing(chosen)] = arrays["mean_user"]
        if config.user == "learnt":
            is_learnt = (queries.users != UNKNOWN) & has_factors(np.asarray(arrays["users"]))[queries.users]
            users[is_learnt] = arrays["users"][queries.users[is_learnt]]
        return users
