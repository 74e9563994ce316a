"""What changed since the release that a night went on from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.blend import BLEND
from retrieval.wording import count

COUNTED = {
    "n_items": "items in the catalogue",
    "n_eligible_items": "items that may be shown the day after",
    "n_users": "users known",
    "n_events_before": "events learnt from",
}
SCORED = {"recall_at_100": "recall@100", "ndcg_at_10": "nDCG@10"}


@dataclass(frozen=True, slots=True)
class Moved:
    """One figure then and now."""

    name: str
    before: str
    now: str
    change: str


@dataclass(frozen=True, slots=True)
class CatalogueChange:
    """Which items came in and which went out, a few of each by name."""

    n_entered: int
    n_left: int
    entered: list[str]
    left: list[str]


@dataclass(frozen=True, slots=True)
class Since:
    """This night beside the release it went on from."""

    release_id: str
    day: str
    recipe: list[tuple[str, str, str]]
    """Keys of the recipe with their values before and now; empty where it is the same."""
    is_same_code: bool
    figures: list[Moved]
    catalogue: CatalogueChange


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The keys, dotted, whose values differ between two nested mappings; "not set" where one has none."""
    one, other = dict(_flat(before)), dict(_flat(now))
    keys = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    return [(key, _said(one, key), _said(other, key)) for key in keys]


def moved(
    facts_before: Mapping[str, Any],
    facts: Mapping[str, Any],
    scores_before: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, Any]],
) -> list[Moved]:
    """Counts, and the blend's scores, of both: those of either night are of its own day, so no test of one another."""
    found = [
        Moved(said, count(facts_before[name]), count(facts[name]), f"{facts[name] - facts_before[name]:+,}")
        for name, said in COUNTED.items()
        if name in facts_before and name in facts
    ]
    served = {score["pairs"]: score for score in scores if score["source"] == BLEND}
    earlier = {score["pairs"]: score for score in scores_before if score["source"] == BLEND}
    for pairs in served.keys() & earlier.keys():
        for metric, said in SCORED.items():
            a, b = earlier[pairs][metric]["mean"], served[pairs][metric]["mean"]
            found.append(Moved(f"blend {said}, {pairs} pairs", f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}"))
    return [*found[: len(COUNTED)], *sorted(found[len(COUNTED) :], key=lambda figure: figure.name)]


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _said(values: Mapping[str, Any], key: str) -> str:
    return str(values[key]) if key in values else "not set"
