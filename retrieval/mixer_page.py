"""The mixer: one self-contained page that deals the night's own rankings anew as the sources' shares are moved."""

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrieval.dealing import LEVEL
from retrieval.domain import UNKNOWN
from retrieval.pages import environment
from retrieval.quotas import Hand
from retrieval.segments import ItemFacts
from retrieval.worth import proposal, worth_rows

N_USERS = 300
MAX_PLACES = 450_000
"""Places of all rankings on the page, four bytes each: with the third that base64 adds, under 3 MB."""
FRESH, TAIL = 1, 2
"""Bits of an item's flags."""


@dataclass(frozen=True, slots=True)
class Mixer:
    """Everything the page shows."""

    release_id: str
    day: dt.date
    pairs: str
    """What was asked for: "all pairs" or "new pairs"."""
    sample: Hand
    """The users whose rankings are on the page."""
    items: ItemFacts
    mix: Mapping[str, Any]
    """A `Mix` as plain values, over all users that were measured."""
    microseconds_per_query: Mapping[str, float]


def sample_users(hand: Hand, rng: np.random.Generator) -> Hand:
    """At most `N_USERS`, fewer where there are so many sources that the page would grow too large."""
    most = max(1, min(N_USERS, MAX_PLACES // (hand.k * max(len(hand.found), 1))))
    return hand.take(np.sort(rng.choice(len(hand), min(most, len(hand)), replace=False)))


def render_mixer(mixer: Mixer) -> str:
    """The page, which needs nothing but itself; same values, same bytes."""
    template = environment().get_template("mixer.html.j2")
    return template.render(
        mixer=mixer,
        data=page_data(mixer),
        rows=worth_rows(mixer.mix, mixer.microseconds_per_query),
        proposal=proposal(mixer.mix),
    )


def page_data(mixer: Mixer) -> dict[str, Any]:
    """What the page's script reads: numbers as JSON, rankings and targets as little-endian base64.

    Items are numbered anew, by their place among those on the page.
    """
    sample = mixer.sample
    named = {name: ranking.top(sample.k).items for name, ranking in sample.found.items()}
    local = np.unique(np.concatenate([*(items.ravel() for items in named.values()), sample.targets.values]))
    local = local[local != UNKNOWN]
    flags = FRESH * mixer.items.fresh[local] + TAIL * mixer.items.tail[local]
    return {
        "k": sample.k,
        "level": LEVEL,
        "nUsers": len(sample),
        "nCatalogue": sample.n_items,
        "flags": _encoded(flags, "u1"),
        "targetOffsets": _encoded(sample.targets.offsets, "<i4"),
        "targets": _encoded(np.searchsorted(local, sample.targets.values), "<i4"),
        "sources": [
            {
                "name": source["source"],
                "present": source["share"],
                "proposed": mixer.mix["quota"]["shares"][source["source"]],
                "cost": mixer.microseconds_per_query.get(source["source"]),
                "width": named[source["source"]].shape[1],
                "items": _encoded(_renumbered(named[source["source"]], local), "<i4"),
            }
            for source in mixer.mix["sources"]
        ],
    }


def _renumbered(items: np.ndarray, local: np.ndarray) -> np.ndarray:
    return np.where(items == UNKNOWN, UNKNOWN, np.searchsorted(local, items))


def _encoded(values: np.ndarray, type_: str) -> str:
    return base64.b64encode(values.astype(type_).tobytes()).decode()
