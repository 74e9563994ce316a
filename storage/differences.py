"""What changed from one release to another."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from retrieval.domain import People
from retrieval.packing import unpack
from storage.bundle import BATCH, DISPLAY, PEOPLE
from storage.reader import read_scores
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
