"""Item-to-item weights in closed form: what of a history speaks for an item, all its other items considered.

Source: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Int32
from pydantic import Field

from retrieval.domain import Candidates, Dataset, Histories, Queries, State
from retrieval.interactions import decayed, summed_matrix
from retrieval.progress import advance
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.ridge import add_product, inverse, most_chosen, only
from retrieval.search import rank_all


class EaseConfig(FamilyConfig):
    """B = I - P diag(1 / diag P) with P = (X'X + ridge I)^-1, X the users' positives.

    Limits: for n items the fit takes n^3 operations and 2 n^2 * 4 bytes, the state half of these: 256 MB at 8,000.
    Items beyond `max_items` are neither read nor recommended.
    """

    kind: Literal["ease"] = "ease"
    max_items: int = Field(default=8000, ge=2)
    """Only that many items, the most chosen, take part."""
    ridge: float = Field(default=250.0, gt=0)
    """Larger values trust rare pairs less."""
    half_life_days: float | None = Field(default=None, gt=0)
    """The age at which a choice counts half when weights are learnt; not set, it counts whole."""
    history_half_life_days: float | None = Field(default=None, gt=0)
    """The age at which a choice of the asking user counts half; not set, it counts whole."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "Ease":
        positives, n_items = dataset.histories.positives(), len(dataset.catalogue)
        items = most_chosen(positives, n_items, self.max_items)
        chosen = _capped(decayed(positives, dataset.day, self.half_life_days), items, n_items)
        advance("closed form", 0, 2)
        gram = np.zeros((len(items), len(items)), np.float32)
        add_product(gram, chosen, chosen)
        gram[np.diag_indices_from(gram)] += self.ridge
        advance("closed form", 1, 2)
        return Ease(items, _weights(inverse(gram)), n_items, self.history_half_life_days)

    def restore(self, state: State) -> "Ease":
        items, weights = (np.asarray(state.arrays[name]) for name in ("items", "weights"))
        return Ease(items, weights, int(state.facts["n_items"]), self.history_half_life_days)  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class Ease:
    """A query scores every item by the inner product of its history with the item's column of weights."""

    items: Int32[np.ndarray, " chosen"]
    weights: Float32[np.ndarray, "chosen chosen"]
    n_items: int
    half_life_days: float | None

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        """Queries whose histories hold none of the items get nothing."""
        return rank_all(queries, k, lambda block, _: self._scores(block))

    def state(self) -> State:
        return State(arrays={"items": self.items, "weights": self.weights}, facts={"n_items": self.n_items})

    def _scores(self, queries: Queries) -> Float32[np.ndarray, "queries items"]:
        asked = _capped(decayed(queries.histories, queries.day, self.half_life_days), self.items, self.n_items)
        scores = np.full((len(queries), self.n_items), -np.inf, np.float32)
        has_history = np.flatnonzero(np.diff(asked.indptr))
        scores[np.ix_(has_history, self.items)] = asked[has_history] @ self.weights
        return scores


def _capped(histories: Histories, items: Int32[np.ndarray, " chosen"], n_items: int) -> sp.csr_array:
    """What each user did with each item, between -1 and 1 however often; what evens out is not held."""
    matrix = summed_matrix(only(histories, items, n_items), len(items))
    matrix.eliminate_zeros()
    np.clip(matrix.data, -1, 1, out=matrix.data)
    return matrix


def _weights(precision: Float32[np.ndarray, "chosen chosen"]) -> Float32[np.ndarray, "chosen chosen"]:
    """B = -P / diag P by column, 0 on the diagonal; in the place of P, whose rows are its columns."""
    precision /= -np.diag(precision).copy()
    np.fill_diagonal(precision, 0)
    return np.ascontiguousarray(precision)
