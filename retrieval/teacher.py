"""What the relevance head is taught: how alike items are, by their texts and, as far as a recipe says, by their topics.

A text encoder knows of topics only what texts say of them: the plot of a film does not name its genres.
Source: the frozen content encoder of MTMH, arXiv 2506.06239, equation 2; the topics' share is ours.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32

from retrieval.domain import Dataset


@dataclass(frozen=True, slots=True)
class Teacher:
    """Similarity of two items: (1 - s) times the cosine of their texts and s times the cosine of their sets of topics.

    The cosine of two sets is what they share over the root of the product of their sizes, 0 where one is empty.
    """

    texts: Float32[np.ndarray, "texts dim"]
    text_rows: np.ndarray
    topics: sp.csr_array
    """Rows of length 1, or 0 where an item has no topic."""
    share: float

    @classmethod
    def of(cls, dataset: Dataset, share: float) -> Self:
        """The teacher of a dataset's items; `share` is what topics count."""
        assert dataset.text_vectors is not None
        topics, catalogue = dataset.catalogue.topics, dataset.catalogue
        values = np.repeat(1 / np.sqrt(np.maximum(topics.lengths, 1)), topics.lengths).astype(np.float32)
        width = max(len(catalogue.topic_names), 1)
        rows = sp.csr_array((values, topics.values, topics.offsets), (len(topics), width))
        return cls(np.asarray(dataset.text_vectors, np.float32), catalogue.text_rows, rows, share)

    def vectors(
        self, asked: np.ndarray, found: np.ndarray
    ) -> tuple[Float32[np.ndarray, "asked width"], Float32[np.ndarray, "found width"]]:
        """Vectors of both, whose inner products are the similarities; those of two calls have nothing in common."""
        if not self.share:
            return self.texts[self.text_rows[asked]], self.texts[self.text_rows[found]]
        met = np.unique(self.topics[asked].indices)  # what nobody asks about cannot be shared
        return self._both(asked, met), self._both(found, met)

    def _both(self, items: np.ndarray, met: np.ndarray) -> Float32[np.ndarray, "items width"]:
        text, topics = self.texts[self.text_rows[items]], self.topics[items][:, met].toarray()
        weights = np.sqrt([1 - self.share, self.share]).astype(np.float32)
        return np.concatenate([weights[0] * text, weights[1] * topics], axis=1)
