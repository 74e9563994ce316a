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

    def vectors(self, *parts: np.ndarray) -> tuple[Float32[np.ndarray, "items width"], ...]:
        """A vector for each item of each part, whose inner products are similarities; only of the same call."""
        texts = [self.texts[self.text_rows[items]] for items in parts]
        if not self.share:
            return tuple(texts)
        topics = [self.topics[items] for items in parts]
        met = np.unique(np.concatenate([part.indices for part in topics]))
        weights = np.sqrt([1 - self.share, self.share]).astype(np.float32)
        return tuple(
            np.concatenate([weights[0] * text, weights[1] * topic[:, met].toarray()], axis=1)
            for text, topic in zip(texts, topics, strict=True)
        )
