"""What changed from one release to another."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from retrieval.changes import CatalogueChange
from retrieval.domain import People
from retrieval.packing import unpack
from storage.bundle import BATCH, DISPLAY, PEOPLE
from storage.reader import named, read_display, read_display_ids, read_scores
from storage.releases import Release, ReleaseStore
from storage.states import read_state

_MEANS = ("recall_at_10", "recall_at_100", "ndcg_at_10")
Pair = dict[str, Any]


def differences(store: ReleaseStore, a: str, b: str) -> dict[str, Any]:
    """What two releases are made of, their sizes, counts and scores, side by side.

    Raises:
        ReleaseError: when there is no release of one of the ids.
    """
    one, other = store.get(a), store.get(b)
    folders = tuple(store.fetch(id_, without=BATCH) for id_ in (a, b))
    facts = {
        name: _pair(_facts(one)[name], _facts(other)[name]) for name in ("day", "recipe", "code", "parent", "digest")
    }
    return {
        "a": a,
        "b": b,
        "facts": facts,
        "sizes": _side_by_side(_sizes(one), _sizes(other)),
        "counts": _side_by_side(_counts(folders[0]), _counts(folders[1])),
        "scores": _side_by_side(_scores(folders[0]), _scores(folders[1])),
    }


def catalogue_change(before: Path, now: Path, most: int) -> CatalogueChange:
    """Which items came into a catalogue and which went out of it, between the folders of two nights."""
    former, present = read_display_ids(before), read_display_ids(now)
    one, other = set(former), set(present)
    entered = [row for row, id_ in enumerate(present) if id_ not in one]
    left = [row for row, id_ in enumerate(former) if id_ not in other]
    names = ([named(item) for item in read_display(f, rows[:most])] for f, rows in ((now, entered), (before, left)))
    return CatalogueChange(len(entered), len(left), *names)


def _side_by_side(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Pair]:
    return {name: _pair(one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())}


def _pair(one: Any, other: Any) -> Pair:
    pair = {"a": one, "b": other, "is_same": one == other}
    if isinstance(one, int | float) and isinstance(other, int | float):
        pair["change"] = other - one
    return pair


def _facts(release: Release) -> dict[str, Any]:
    return {
        "day": release.day.isoformat(),
        "recipe": release.recipe,
        "code": release.facts.get("code"),
        "parent": release.parent,
        "digest": release.digest,
    }


def _sizes(release: Release) -> dict[str, int]:
    """Bytes by part: the first folder of a file's path, or a source's name, or the file."""
    sizes: dict[str, int] = {}
    for entry in release.manifest.files:
        parts = entry.path.split("/")
        name = "/".join(parts[:2]) if parts[0] == "sources" else parts[0]
        sizes[name] = sizes.get(name, 0) + entry.size
    return sizes


def _counts(folder: Path) -> dict[str, int]:
    counts = {"items": pq.read_metadata(folder / DISPLAY).num_rows}
    return counts | {"users": len(unpack(People, read_state(folder / PEOPLE)))}


def _scores(folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for score in read_scores(folder):
        name = f"{score['source']} {score['pairs']}"
        found |= {f"{name} {metric}": score[metric]["mean"] for metric in _MEANS}
        found[f"{name} coverage_at_100"] = score["coverage_at_100"]
    return found
