"""An encoder with its item vectors and their index is a retriever."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from retrieval.domain import Candidates, Dataset, Queries, State
from retrieval.index import ExactIndex, VectorIndex
from retrieval.retrievers.protocol import Encoder, Fitted, MultiHead, Retriever
from retrieval.spaces import Placed, Space


def join(fitted: Fitted, placed: Mapping[str, Placed]) -> Retriever:
    """What answers, of a fitted family and its spaces."""
    if isinstance(fitted, MultiHead):
        return fitted.join(dict(placed))
    if isinstance(fitted, Encoder):
        return IndexedRetriever(fitted, placed[""].index)
    return fitted


def embed(fitted: Fitted, dataset: Dataset) -> dict[str, Space]:
    """The spaces of a fitted family: one a head, one named "" without heads, none where it answers without vectors."""
    if isinstance(fitted, MultiHead):
        return fitted.embed_heads(dataset)
    return {"": Space(fitted.embed_items(dataset))} if isinstance(fitted, Encoder) else {}


@dataclass(frozen=True, slots=True)
class IndexedRetriever:
    """Embeds the query, searches the index, leaves out what may not be shown."""

    encoder: Encoder
    index: VectorIndex | ExactIndex

    @property
    def n_items(self) -> int:
        return self.encoder.n_items

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        return self.index.answer(self.encoder.embed_queries(queries), queries, k)

    def similar(
        self, items: np.ndarray, queries: Queries, k: int, *, alpha: float | None = None, head: str | None = None
    ) -> Candidates:
        """What is nearest to each of the items; there is one head."""
        seeds = self.encoder.embed_seeds(np.asarray(self.index.vectors[items]))
        return self.index.answer(seeds, queries, k)

    def spaces(self) -> Mapping[str, VectorIndex | ExactIndex]:
        return {"": self.index}

    def asked(self, queries: Queries) -> Mapping[str, Float32[np.ndarray, "queries dim"]]:
        return {"": self.encoder.embed_queries(queries)}

    def vectors(self) -> Mapping[str, Float32[np.ndarray, "items dim"]]:
        return {"": self.index.vectors}

    def embedded(self, dataset: Dataset) -> Mapping[str, Float32[np.ndarray, "items dim"]]:
        return {"": self.encoder.embed_items(dataset)}

    def exact(self) -> "IndexedRetriever":
        """The same, comparing with every item instead of asking a graph."""
        return replace(self, index=ExactIndex(self.index.vectors))

    def state(self) -> State:
        return self.encoder.state()
