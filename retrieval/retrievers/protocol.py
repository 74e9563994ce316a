"""What every family of retrievers offers: fit from a dataset, answer queries, come apart into a plain state."""

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from retrieval.domain import Candidates, Dataset, Queries, State
from retrieval.rules import FrozenModel


@runtime_checkable
class Retriever(Protocol):
    """A fitted retriever: queries in, ranked candidates out."""

    @property
    def n_items(self) -> int:
        """Items of the catalogue that it was fitted on."""
        ...

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        """The best k eligible items of each query that are not excluded."""
        ...

    def state(self) -> State:
        """The fitted values; `restore` of the family's configuration makes the same retriever of them."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """A fitted family that answers through a vector index."""

    @property
    def n_items(self) -> int:
        """Items of the catalogue that it was fitted on."""
        ...

    def embed_items(self, dataset: Dataset) -> Float32[np.ndarray, "items dim"]:
        """One vector an item of the catalogue, those unknown at training time included; all of one length."""
        ...

    def embed_seeds(self, vectors: Float32[np.ndarray, "seeds dim"]) -> Float32[np.ndarray, "seeds dim"]:
        """The queries that ask for what is like the items of these vectors."""
        ...

    def embed_queries(self, queries: Queries) -> Float32[np.ndarray, "queries dim"]:
        """One vector a query, in the items' space: the score is the inner product."""
        ...

    def state(self) -> State: ...


class FamilyConfig(FrozenModel, ABC):
    """The hyper-parameters of one family."""

    kind: str

    @abstractmethod
    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> Retriever | Encoder:
        """Learn from a dataset, from where a former state left off when one is given."""

    @abstractmethod
    def restore(self, state: State) -> Retriever | Encoder:
        """The fitted model that gave this state."""
