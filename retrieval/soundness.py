"""Whether a candidate's parts fit each other and answer as they should, in numbers that acceptance tests bound."""

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Bool, Float32

from retrieval.domain import UNKNOWN, Candidates, Catalogue, Dataset, Queries
from retrieval.head_health import greatest_cka, greatest_overlap
from retrieval.index import VectorIndex, recall_at_10
from retrieval.queries import about
from retrieval.retrievers.protocol import AnswersByVectors, Retriever

BLOCK = 8192
K = 100
SAME = 1e-3
"""Vectors that differ by less than this share of their length are the same to within rounding."""
WHOLE = "release"
"""What a reading is of that belongs to no single source."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One number that an acceptance test bounds."""

    rule: str
    of: str
    """The source, or the release as a whole."""
    value: float


def read_source(
    name: str, source: Retriever, queries: Queries, allowed: Bool[np.ndarray, " items"], rng: np.random.Generator
) -> list[Reading]:
    """Everything that is to be known of one source; `queries` are real users' as of the day it will serve.

    `allowed` says which items may be shown at all, worked out apart from the queries' own mask.
    """
    n_items = len(allowed)
    found = [
        Reading("missing_ids", name, abs(source.n_items - n_items)),
        Reading("forbidden_answers", name, forbidden(source.retrieve(queries, K), allowed)),
    ]
    if not isinstance(source, AnswersByVectors):
        return found
    probes = source.asked(queries)
    chosen = np.sort(rng.permutation(min(map(len, source.spaces().values())))[: len(queries)])
    alike = source.similar(chosen, about(chosen, queries.day, queries.eligible), K)
    found.append(Reading("forbidden_answers", f"{name}, similar items", forbidden(alike, allowed)))
    if len(source.spaces()) > 1:
        overlap = greatest_overlap(source, chosen, about(chosen, queries.day, queries.eligible))
        found += [Reading("head_overlap", name, overlap), Reading("head_cka", name, greatest_cka(source))]
    for head, index in source.spaces().items():
        if isinstance(index, VectorIndex):
            found += read_index(f"{name} {head}".strip(), index, probes[head], chosen, n_items)
    return found


def stale_vectors(source: AnswersByVectors, dataset: Dataset) -> int:
    """How many items have another vector than the source's own tower gives: towers of one training, vectors of another.

    `dataset` is what the source was fitted on, with its text vectors.
    """
    made, held = source.embedded(dataset), source.vectors()
    return max(_n_differing(made[head], np.asarray(held[head])) for head in held)


def read_index(
    name: str,
    index: VectorIndex,
    probes: Float32[np.ndarray, "probes dim"],
    chosen: np.ndarray,
    n_items: int,
) -> list[Reading]:
    """What is to be known of one index and its vectors; `chosen` are the items asked with their own vector."""
    norms, n_bad, n_foreign = [], 0, 0
    for start in range(0, len(index), BLOCK):
        block = np.asarray(index.vectors[start : start + BLOCK])
        finite = np.isfinite(block)
        n_bad += int((~finite).sum())
        norms.append(np.linalg.norm(np.where(finite, block, 0), axis=1))
        n_foreign += _foreign(index.graph, block, start)
    lengths = np.concatenate(norms) if norms else np.zeros(1)
    unmatched = abs(len(index.vectors) - n_items) + abs(index.graph.ntotal - n_items)
    return [
        Reading("missing_ids", f"{name}, index", unmatched),
        Reading("foreign_vectors", name, n_foreign),
        Reading("not_finite", name, n_bad),
        Reading("least_norm", name, float(lengths.min())),
        Reading("greatest_norm", name, float(lengths.max())),
        Reading("self_neighbour", name, self_neighbours(index, chosen)),
        Reading("index_recall", name, recall_at_10(index, probes)),
    ]


def self_neighbours(index: VectorIndex, chosen: np.ndarray) -> float:
    """Share of items that, asked with their own vector, are found first or behind what lies even nearer."""
    own = np.asarray(index.vectors[chosen])
    if not len(own) or not index.graph.ntotal:
        return 0.0
    first = index.search(own, 1).scores[:, 0]
    itself = np.einsum("ij,ij->i", own, own)
    return float((first >= itself - 1e-4 * np.maximum(itself, 1)).mean())


def forbidden(found: Candidates, allowed: Bool[np.ndarray, " items"]) -> int:
    """How many answers hold an item that may not be shown."""
    known = found.items != UNKNOWN
    return int((known & ~allowed[np.where(known, found.items, 0)]).sum())


def allowed_items(
    catalogue: Catalogue, day: int, blocked_items: Sequence[str], blocked_topics: Sequence[str]
) -> Bool[np.ndarray, " items"]:
    """Which items may be shown on a day, worked out from the lists themselves and not from what was made of them."""
    topics = {row for row, name in enumerate(catalogue.topic_names.ids.to_pylist()) if name in set(blocked_topics)}
    ids = np.isin(catalogue.ids.ids.to_numpy(zero_copy_only=False), list(blocked_items))
    of_topic = np.bincount(
        catalogue.topics.owners()[np.isin(catalogue.topics.values, list(topics))], minlength=len(ids)
    )
    available = (catalogue.available_from <= day) & (day <= catalogue.available_until)
    return available & ~ids & (of_topic == 0)


def unknown_names(catalogue: Catalogue, blocked_items: Sequence[str], blocked_topics: Sequence[str]) -> int:
    """How many blocked items and topics the catalogue does not hold."""
    found = (catalogue.ids.rows(list(blocked_items)), catalogue.topic_names.rows(list(blocked_topics)))
    return sum(int((rows == UNKNOWN).sum()) for rows in found)


def read_texts(vectors: Float32[np.ndarray, "texts dim"], catalogue: Catalogue) -> list[Reading]:
    """What is to be known of the text vectors, which searches and item towers rest on; no text has a length of 0."""
    finite = np.isfinite(vectors)
    lengths = np.linalg.norm(np.where(finite, vectors, 0), axis=1)[catalogue.text_rows]
    return [
        Reading("missing_ids", "texts", abs(len(vectors) - len(catalogue.texts))),
        Reading("not_finite", "texts", int((~finite).sum())),
        Reading("greatest_norm", "texts", float(lengths.max(initial=0))),
    ]


def differing_ids(one: Sequence[str], other: Sequence[str]) -> int:
    """How many ids only one of two parts has, or has in another place."""
    return sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))


def _n_differing(made: np.ndarray, kept: np.ndarray) -> int:
    if made.shape != kept.shape:
        return max(len(made), len(kept))
    apart = np.linalg.norm(made - kept, axis=1)
    return int((~(apart <= SAME * np.linalg.norm(made, axis=1))).sum())


def _foreign(graph: faiss.Index, block: Float32[np.ndarray, "rows dim"], start: int) -> int:
    """How many vectors of a block the graph holds otherwise."""
    there = max(0, min(len(block), graph.ntotal - start))
    if not there:
        return 0
    held = graph.reconstruct_n(start, there)
    same = (held == block[:there]) | (np.isnan(held) & np.isnan(block[:there]))
    return int((~same.all(axis=1)).sum())
