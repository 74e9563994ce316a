"""What families of factors have in common once they are fitted: one index, and users made of their histories."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float32

from retrieval.domain import Dataset, Queries, State
from retrieval.factors import FactorSpace, has_factors, normalised_sums


@dataclass(frozen=True)
class FactorModel(ABC):
    """Items' factors with their offsets, and what makes users of histories."""

    fitted: State

    @property
    def n_items(self) -> int:
        return len(self.factors)

    @property
    def factors(self) -> Float32[np.ndarray, "items dim"]:
        """The items' factors; zero for items that nobody has chosen."""
        return np.asarray(self.fitted.arrays["factors"])

    @property
    @abstractmethod
    def offset(self) -> Float32[np.ndarray, " items"]:
        """What each item's score has beside the factors' inner product."""

    @abstractmethod
    def users(self, queries: Queries) -> Float32[np.ndarray, "queries dim"]:
        """Each query's factors."""

    def embed_items(self, dataset: Dataset) -> Float32[np.ndarray, "items width"]:
        return self._space.items()

    def embed_seeds(self, vectors: Float32[np.ndarray, "seeds width"]) -> Float32[np.ndarray, "seeds width"]:
        return self._space.seeds(vectors)

    def embed_queries(self, queries: Queries) -> Float32[np.ndarray, "queries width"]:
        return self._space.queries(self.users(queries))

    def state(self) -> State:
        return self.fitted

    def mapped(self, chosen: sp.csr_array) -> Float32[np.ndarray, "queries dim"]:
        """Users from the normalised sums of their items' factors."""
        users: Float32[np.ndarray, "queries dim"] = (
            normalised_sums(chosen, self.factors) @ self.fitted.arrays["history_map"]
        )
        return users

    def says_nothing(self, chosen: sp.csr_array) -> Bool[np.ndarray, " queries"]:
        """Which histories hold no item that has factors."""
        return np.asarray(chosen @ self._is_known == 0)

    @cached_property
    def _is_known(self) -> Float32[np.ndarray, " items"]:
        """1 for items that have factors."""
        return has_factors(self.factors).astype(np.float32)

    @property
    def _space(self) -> FactorSpace:
        return FactorSpace(self.factors, self.offset, np.asarray(self.fitted.arrays["balance"]))
