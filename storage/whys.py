"""Why items are shown, in the caller's own ids."""

from dataclasses import dataclass

import numpy as np

from retrieval.domain import UNKNOWN
from retrieval.explanation import Reasons
from retrieval.recommender import Snapshot


@dataclass(frozen=True, slots=True)
class FoundBy:
    """A source that found an item."""

    source: str
    rank: int
    """Its place there, from 1."""
    share: float
    """How much of the item's blended score is this source's."""


@dataclass(frozen=True, slots=True)
class MovedBy:
    """A policy that gave an item another place."""

    policy: str
    place_without: int | None
    """Its place, from 1, were it not for the policy; None where it would not be on the list."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one item is on a list."""

    found_by: list[FoundBy]
    near: list[str]
    """Items that the user chose and that are nearest to it, nearest first; itself where it was chosen before."""
    topics: list[str]
    """Its topics that the user chose from."""
    moved_by: list[MovedBy]


def in_ids(snapshot: Snapshot, items: np.ndarray, reasons: Reasons) -> list[Reason]:
    """The reasons of one list's items."""
    return [_reason(snapshot, reasons, place) for place in range(int((items != UNKNOWN).sum()))]


def _reason(snapshot: Snapshot, reasons: Reasons, place: int) -> Reason:
    catalogue = snapshot.dataset.catalogue
    found = zip(reasons.sources, reasons.ranks[place].tolist(), reasons.shares[place].tolist(), strict=True)
    without = {policy: int(places[place]) for policy, places in reasons.moved.items()}
    near = reasons.near[place]
    return Reason(
        found_by=[FoundBy(source, rank, share) for source, rank, share in found if rank],
        near=catalogue.ids.names(near[near != UNKNOWN]),
        topics=catalogue.topic_names.names(reasons.topics.row(place)),
        moved_by=[MovedBy(policy, there or None) for policy, there in without.items() if there != place + 1],
    )
