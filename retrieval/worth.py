"""What each source is worth, in words and in the rows of a table, from the plain values of a `Mix`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.wording import share

Estimated = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WorthRow:
    """One source of the table."""

    source: str
    share: float
    """Its share of the places, even where the recipe blends otherwise than by quota."""
    proposed: float
    """Its share in the proposed quota."""
    recall: Estimated
    marginal: Estimated
    overlap: float
    """The share of its places that another source names too."""
    microseconds_per_query: float | None
    microseconds_per_item: float | None
    """A query's cost over the items that it names among the first k."""
    says: str
    """What it is worth, in words."""


def worth_rows(mix: Mapping[str, Any], costs: Mapping[str, float]) -> list[WorthRow]:
    """All sources, the most worth first."""
    if not mix["n_users"]:
        return []
    found = everybody(mix)["sources"]
    rows = [_row(source, found[source["source"]], mix, costs.get(source["source"])) for source in mix["sources"]]
    return sorted(rows, key=lambda row: (-row.marginal["mean"], row.source))


def everybody(mix: Mapping[str, Any]) -> dict[str, Any]:
    """The figures over all users asked."""
    found: dict[str, Any] = mix["segments"][0]
    return found


def recall_by_segment(mix: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each segment with the recall of the deal and of each source, best source first over everybody."""
    if not mix["n_users"]:
        return []
    best_first = sorted(everybody(mix)["sources"].items(), key=lambda entry: (-entry[1]["recall"]["mean"], entry[0]))
    names = [name for name, _ in best_first]
    return [segment | {"sources": {name: segment["sources"][name] for name in names}} for segment in mix["segments"]]


def with_costs(mix: Mapping[str, Any], costs: Mapping[str, float]) -> dict[str, Any]:
    """The same values, each source with what it costs: times are measured anew in every run, so they are kept apart."""
    sources = [
        source
        | {
            "microseconds_per_query": (cost := costs.get(source["source"])),
            "microseconds_per_item": _per_item(cost, source["n_named"]),
        }
        for source in mix["sources"]
    ]
    return {**mix, "sources": sources}


def proposal(mix: Mapping[str, Any]) -> str:
    """The quota that finds most, what it gains, and how sure that is."""
    if not mix["n_users"]:
        return "Nobody chose anything on this day, so nothing can be said of the shares."
    quota = mix["quota"]
    if quota["shares"] == {source["source"]: source["share"] for source in mix["sources"]}:
        return "No shares were found whose deal finds more than that by these."
    named = sorted(quota["shares"].items(), key=lambda entry: (-entry[1], entry[0]))
    shares = ", ".join(f"{name} {100 * part:.0f} %" for name, part in named if part)
    silent = [name for name, part in named if not part]
    nothing = f"; nothing for {_listed(silent)}" if silent else ""
    gain = quota["gain"]
    if gain["low"] > 0:
        verdict = "a sure gain"
    elif gain["high"] < 0:
        verdict = "a sure loss, keep the blend as it is"
    else:
        verdict = "no sure gain, nothing speaks against the blend as it is"
    return (
        f"Dealt by quota, recall@{mix['k']} is highest with {shares}{nothing}. Chosen on one half of the users and "
        f"measured on the other, beside what is served now ({share(mix['served']['mean'])}), that changes recall by "
        f"{points(gain)}: {verdict}."
    )


def points(change: Estimated) -> str:
    """+1.23 points (+0.80 to +1.60)."""
    return f"{100 * change['mean']:+.2f} points ({100 * change['low']:+.2f} to {100 * change['high']:+.2f})"


def _row(source: dict[str, Any], worth: dict[str, Any], mix: Mapping[str, Any], cost: float | None) -> WorthRow:
    return WorthRow(
        source=source["source"],
        share=source["share"],
        proposed=mix["quota"]["shares"][source["source"]],
        recall=worth["recall"],
        marginal=worth["marginal"],
        overlap=source["overlap_with_any"],
        microseconds_per_query=cost,
        microseconds_per_item=_per_item(cost, source["n_named"]),
        says=_says(source, worth, n_sources=len(mix["sources"])),
    )


def _per_item(cost: float | None, n_named: float) -> float | None:
    return cost / n_named if cost is not None and n_named else None


def _says(source: dict[str, Any], worth: dict[str, Any], n_sources: int) -> str:
    marginal, only = worth["marginal"], worth["only"]
    if n_sources == 1:
        return "the only source"
    if not source["share"]:
        return f"has no share; it alone finds {share(only['mean'])} of what users chose"
    if marginal["low"] > 0:
        return f"is worth its places; it alone finds {share(only['mean'])} of what users chose"
    why = f"{share(source['overlap_with_any'])} of its places are named by others"
    if not only["mean"]:
        why = "it finds nothing that the others do not"
    if marginal["high"] < 0:
        return f"costs recall: its places are worth more in other hands ({why})"
    return f"adds nothing that is sure ({why})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
