"""Why each item of a list is there: who found it, what of the user's own it is near to, which policies moved it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Float64, Int32

from retrieval.domain import UNKNOWN, Candidates, Catalogue, Dataset, Queries, Ragged
from retrieval.finders import ranks_in
from retrieval.merging import Merge, Round, rounds
from retrieval.retrievers.item_knn import ItemKnn
from retrieval.retrievers.protocol import Retriever

MOST_NEAR = 3
"""Items of the history named for each item shown."""
HISTORY = 200
"""The newest choices that may be a reason."""
LEAST_COSINE = 0.5
"""Texts that are less alike are no reason."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why the k items of one list are there."""

    sources: tuple[str, ...]
    ranks: Int32[np.ndarray, "k sources"]
    """Each item's place, from 1, in each source's ranking; 0 where the source did not find it."""
    shares: Float64[np.ndarray, "k sources"]
    """How much of an item's blended score is each source's: they sum to 1."""
    near: Int32[np.ndarray, "k near"]
    """Items of the user's history that are nearest to each item, nearest first; unknown where there are fewer."""
    topics: Ragged
    """Topics that each item shares with what the user chose."""
    moved: Mapping[str, Int32[np.ndarray, " k"]]
    """By policy, where each item would be without it, from 1; 0 where not among the first k."""


def explain(
    sources: Mapping[str, Retriever], merge: Merge, query: Queries, k: int, dataset: Dataset
) -> tuple[Candidates, Reasons]:
    """One question's list, and why each item is on it."""
    *_, last = rounds(sources, merge, query, k)
    shown, items = last.merged, last.merged.items
    ranks = ranks_in(last.found, items)
    credits = merge.blend.credits(last.found, items, ranks, merge.calibration)
    history = _chosen(query)
    near, topics = _nearest(sources, dataset, history, items[0]), _shared(dataset.catalogue, history, items[0])
    shares = credits / np.maximum(credits.sum(axis=2, keepdims=True), np.finfo(np.float64).tiny)
    return shown, Reasons(tuple(last.found), ranks[0], shares[0], near, topics, _moved(merge, last, k))


def _chosen(query: Queries) -> Int32[np.ndarray, " chosen"]:
    """The distinct items that the user chose, of the newest choices."""
    return np.unique(query.histories.positives().last(HISTORY).items)


def _moved(merge: Merge, last: Round, k: int) -> dict[str, Int32[np.ndarray, " k"]]:
    without = {name: merge.without(name).merged(last.found, k, last.pool) for name in merge.policies.names}
    places = ranks_in(without, last.merged.items)[0]
    return {name: places[:, policy] for policy, name in enumerate(without)}


def _nearest(
    sources: Mapping[str, Retriever],
    dataset: Dataset,
    history: Int32[np.ndarray, " chosen"],
    items: Int32[np.ndarray, " k"],
) -> Int32[np.ndarray, "k near"]:
    """By who chose both, where a source tells that of an item, otherwise by what their texts say.

    An item that was chosen before is nearest to itself.
    """
    likeness = np.zeros((len(items), len(history)), np.float32)
    for source in sources.values():
        if isinstance(source, ItemKnn) and len(history):
            likeness = _by_neighbours(source.neighbours, history, items)
            break
    alone = np.flatnonzero(~likeness.any(axis=1) & (items != UNKNOWN))
    likeness[alone] = _by_texts(dataset, history, items[alone])
    likeness[items[:, None] == history] = np.inf
    order = np.argsort(-likeness, axis=1, kind="stable")[:, :MOST_NEAR]
    nearest = np.full((len(items), MOST_NEAR), UNKNOWN, np.int32)
    nearest[:, : order.shape[1]] = np.where(np.take_along_axis(likeness, order, 1) > 0, history[order], UNKNOWN)
    nearest[items == UNKNOWN] = UNKNOWN
    return nearest


def _by_neighbours(
    neighbours: sp.csr_array, history: Int32[np.ndarray, " chosen"], items: Int32[np.ndarray, " k"]
) -> Float32[np.ndarray, "k chosen"]:
    found = neighbours[history][:, np.maximum(items, 0)].toarray().T
    return np.where(items[:, None] == UNKNOWN, 0, found).astype(np.float32)


def _by_texts(
    dataset: Dataset, history: Int32[np.ndarray, " chosen"], items: Int32[np.ndarray, " k"]
) -> Float32[np.ndarray, "k chosen"]:
    if dataset.text_vectors is None:
        return np.zeros((len(items), len(history)), np.float32)
    rows = dataset.catalogue.text_rows
    cosines = dataset.text_vectors[rows[items]] @ dataset.text_vectors[rows[history]].T
    return np.where(cosines >= LEAST_COSINE, cosines, 0).astype(np.float32)


def _shared(catalogue: Catalogue, history: Int32[np.ndarray, " chosen"], items: Int32[np.ndarray, " k"]) -> Ragged:
    of_items, of_history = catalogue.topics.take(items), catalogue.topics.take(history)
    is_shared = np.isin(of_items.values, of_history.values)
    return Ragged.from_owners(of_items.owners()[is_shared], of_items.values[is_shared], len(items))
