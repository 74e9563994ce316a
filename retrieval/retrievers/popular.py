"""What everybody, or everybody alike, has been choosing lately: the floor that every other family has to beat."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow.compute as pc
import scipy.sparse as sp
from jaxtyping import Float32, Int32
from pydantic import Field

from retrieval.domain import DAY, Candidates, Dataset, People, Queries, State
from retrieval.errors import ModelError
from retrieval.interactions import decayed, summed_matrix
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.search import rank_alike

FILL = 0.5
"""What everybody chose most, beside the least of a segment's own: below it, so that it comes after."""


class PopularConfig(FamilyConfig):
    """Counts of positives over a window, halved in weight by age; of the user's segment where that says enough.

    With a half-life of a day or two it shows what is trending.
    """

    kind: Literal["popular"] = "popular"
    window_days: int = Field(default=90, ge=1)
    """How far back an event still counts."""
    half_life_days: float = Field(default=14.0, gt=0)
    """The age at which an event counts half."""
    segments: tuple[str, ...] = ()
    """Fields of the users' features ("age", "usual store") whose values are segments: a user gets the counts of the
    first field whose segment has enough events, else everybody's."""
    min_events: int = Field(default=200, ge=1)
    """Positives within the window that a segment needs."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "Popular":
        positives = dataset.histories.positives()
        recent = positives.where(dataset.day * DAY - positives.times <= self.window_days * DAY)
        matrix = summed_matrix(decayed(recent, dataset.day, self.half_life_days), len(dataset.catalogue))
        matrix.eliminate_zeros()  # of what is older than single precision can tell
        features = self._segments(dataset.people)
        members = _members(dataset.people, features)
        thick = (members @ np.diff(recent.offsets) >= self.min_events) & (members @ np.diff(matrix.indptr) > 0)
        counts = sp.csr_array(members[np.flatnonzero(thick)] @ matrix)
        return Popular(np.asarray(matrix.sum(axis=0), np.float32), features[thick], counts.astype(np.float32))

    def restore(self, state: State) -> "Popular":
        counts, arrays = np.asarray(state.arrays["counts"]), state.arrays
        parts = tuple(np.asarray(arrays[f"segment_{name}"]) for name in ("counts", "items", "offsets"))
        features = np.asarray(arrays["segment_features"])
        return Popular(counts, features, sp.csr_array(parts, (len(features), len(counts))))

    def _segments(self, people: People) -> Int32[np.ndarray, " segments"]:
        """The user features that are segments, those of earlier fields first."""
        names = people.feature_names.ids
        fields = pc.list_element(pc.split_pattern(names, "=", max_splits=1), 0)
        unknown = sorted(set(self.segments) - set(fields.to_pylist()))
        if unknown and len(people):
            known = ", ".join(sorted(set(fields.to_pylist()))) or "none"
            raise ModelError(
                f"popular.segments names {unknown[0]!r}, but the users' fields are: {known}. Name some of these; "
                "history.context_keys makes fields of the events' context."
            )
        rows = [np.flatnonzero(np.asarray(pc.equal(fields, field))) for field in self.segments]
        return np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Popular:
    """Every query of a segment gets the same ranking, less what it excludes; everybody's fills what it is short of."""

    counts: Float32[np.ndarray, " items"]
    features: Int32[np.ndarray, " segments"]
    """The user feature that each segment has in common, the most telling first."""
    segment_counts: sp.csr_array
    """One row a segment."""

    @property
    def n_items(self) -> int:
        return len(self.counts)

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        found, segments = Candidates.none(len(queries), k), self._segments_of(queries)
        for segment in np.unique(segments):
            rows = np.flatnonzero(segments == segment)
            ranked = rank_alike(self._scores(int(segment)), queries.take(rows), k)
            found.items[rows], found.scores[rows] = ranked.items, ranked.scores
        return found

    def state(self) -> State:
        return State(
            arrays={
                "counts": self.counts,
                "segment_features": self.features,
                "segment_counts": self.segment_counts.data,
                "segment_items": self.segment_counts.indices.astype(np.int32),
                "segment_offsets": self.segment_counts.indptr.astype(np.int64),
            }
        )

    def _segments_of(self, queries: Queries) -> np.ndarray:
        """The first segment that each query is in; their number where it is in none."""
        n_segments = len(self.features)
        first = np.full(len(queries), n_segments)
        if n_segments:
            order = np.argsort(self.features)
            places = np.searchsorted(self.features, queries.features.values, sorter=order)
            segments = order[np.minimum(places, n_segments - 1)]
            is_segment = self.features[segments] == queries.features.values
            np.minimum.at(first, queries.features.owners()[is_segment], segments[is_segment])
        return first

    def _scores(self, segment: int) -> Float32[np.ndarray, " items"]:
        everybodys = np.where(self.counts > 0, self.counts, -np.inf).astype(np.float32)
        if segment == len(self.features):
            return everybodys
        part = slice(self.segment_counts.indptr[segment], self.segment_counts.indptr[segment + 1])
        own = self.segment_counts.data[part]
        scores = everybodys * np.float32(FILL * own.min() / self.counts.max())
        scores[self.segment_counts.indices[part]] = own
        return scores


def _members(people: People, features: Int32[np.ndarray, " segments"]) -> sp.csr_array:
    """Which users are in each segment, one row a segment."""
    shape = (len(people), len(people.feature_names))
    has = sp.csr_array((np.ones(len(people.features.values)), people.features.values, people.features.offsets), shape)
    return sp.csr_array(has.T.tocsr()[features])
