"""What every family of retrievers offers: fit from a dataset, answer queries, come apart into a plain state."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from retrieval.domain import Candidates, Dataset, Queries, State
from retrieval.index import ExactIndex, VectorIndex
from retrieval.rules import FrozenModel
from retrieval.spaces import Placed, Space

MERGED = "merged"
"""The head that is dealt from all of a family's heads."""


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


@runtime_checkable
class AnswersByVectors(Protocol):
    """A retriever over item vectors in one space, named "", or in one for each of several heads."""

    @property
    def n_items(self) -> int: ...

    def retrieve(self, queries: Queries, k: int) -> Candidates: ...

    def similar(
        self, items: np.ndarray, queries: Queries, k: int, *, alpha: float | None = None, head: str | None = None
    ) -> Candidates:
        """What is like each of the items; `alpha` and `head` are for those with several heads."""
        ...

    def spaces(self) -> Mapping[str, VectorIndex | ExactIndex]:
        """The index of each space."""
        ...

    def asked(self, queries: Queries) -> Mapping[str, Float32[np.ndarray, "queries dim"]]:
        """The vectors that each index is asked with."""
        ...

    def vectors(self) -> Mapping[str, Float32[np.ndarray, "items dim"]]:
        """Where items lie in each space; what its index ranks by may be more."""
        ...

    def embedded(self, dataset: Dataset) -> Mapping[str, Float32[np.ndarray, "items dim"]]:
        """The item vectors that its own towers give."""
        ...

    def exact(self) -> "AnswersByVectors":
        """The same, comparing with every item instead of asking graphs."""
        ...

    def state(self) -> State: ...


@runtime_checkable
class MultiHead(Protocol):
    """A fitted family whose items have a place in each of several spaces."""

    @property
    def n_items(self) -> int:
        """Items of the catalogue that it was fitted on."""
        ...

    @property
    def heads(self) -> tuple[str, ...]: ...

    def embed_heads(self, dataset: Dataset) -> dict[str, Space]:
        """Every item of the catalogue, those unknown at training time included, in each head's space."""
        ...

    def join(self, placed: dict[str, Placed]) -> Retriever:
        """What answers, of the heads' spaces."""
        ...

    def state(self) -> State: ...


Fitted = Retriever | Encoder | MultiHead
"""Answers by itself, through one vector index, or through one a head."""


class FamilyConfig(FrozenModel, ABC):
    """The hyper-parameters of one family."""

    kind: str

    @abstractmethod
    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> Fitted:
        """Learn from a dataset, from where a former state left off when one is given."""

    @abstractmethod
    def restore(self, state: State) -> Fitted:
        """The fitted model that gave this state."""
