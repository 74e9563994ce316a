"""An encoder with its item vectors and their index is a retriever."""

from dataclasses import dataclass, replace

import numpy as np

from retrieval.domain import Candidates, Queries, State
from retrieval.index import ExactIndex, VectorIndex
from retrieval.retrievers.protocol import Encoder


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

    def similar(self, items: np.ndarray, queries: Queries, k: int) -> Candidates:
        """What is nearest to each of the items."""
        seeds = self.encoder.embed_seeds(np.asarray(self.index.vectors[items]))
        return self.index.answer(seeds, queries, k)

    def exact(self) -> "IndexedRetriever":
        """The same, comparing with every item instead of asking a graph."""
        return replace(self, index=ExactIndex(self.index.vectors))

    def state(self) -> State:
        return self.encoder.state()
