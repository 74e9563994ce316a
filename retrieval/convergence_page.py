"""How the page tells whether fresh items' vectors settle: rows of its tables, and its charts."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from retrieval.convergence_rules import NOISE
from retrieval.plots import settling_chart

SIGNS = {"failing": ("bad", "✗ failing"), "converging": ("good", "✓ converging"), "early": ("", "– too early")}
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One cohort in the table."""

    space: str
    first_seen: str
    n_items: int
    n_chosen: int
    n_nights: int
    lead: str
    pace: str
    half: str
    nine_tenths: str
    tone: str
    sign: str
    is_judged: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class RecallCell:
    """One source's recall of items of one age."""

    recall: float
    n_targets: int


@dataclass(frozen=True, slots=True)
class RecallRows:
    """Each source's recall by age."""

    ages: list[int]
    sources: list[tuple[str, list[RecallCell]]]


def cohort_rows(found: dict[str, Any]) -> list[CohortRow]:
    """Every cohort: those that fail first, then by space, newest first."""
    rows = [_row(space["space"], cohort) for space in found.get("spaces", []) for cohort in space["cohorts"][::-1]]
    return sorted(rows, key=lambda row: row.tone != "bad")


def recall_rows(found: dict[str, Any]) -> RecallRows | None:
    """The recall of what was chosen, by age; None where nobody chose anything fresh."""
    recalls = found.get("recall", [])
    if not recalls:
        return None
    sources: dict[str, list[RecallCell]] = {}
    for entry in recalls:
        cell = RecallCell(entry["n_found"] / entry["n_targets"], entry["n_targets"])
        sources.setdefault(entry["source"], []).append(cell)
    return RecallRows(sorted({entry["age"] for entry in recalls}), list(sources.items()))


def settling_charts(found: dict[str, Any]) -> list[tuple[str, Markup]]:
    """A chart of each space that has been followed for long enough."""
    return [
        (space["space"], Markup(settling_chart(space, f"Fresh items of {space['space']} by age")))  # matplotlib escapes
        for space in found.get("spaces", [])
        if space["ages"] and space["drift"]
    ]


def _row(space: str, cohort: dict[str, Any]) -> CohortRow:
    tone, sign = SIGNS[cohort["state"]]
    return CohortRow(
        space=space,
        first_seen=cohort["first_seen"],
        n_items=cohort["n_items"],
        n_chosen=cohort["n_chosen"],
        n_nights=cohort["n_nights"],
        lead=_times(cohort["delta"][0]["median"], cohort["established"][0]) if cohort["n_nights"] else NOTHING,
        pace=_times(cohort["steps"][-1], cohort["drift"][-1]) if cohort["n_nights"] else NOTHING,
        half=_nights(cohort["nights_to_half"]),
        nine_tenths=_nights(cohort["nights_to_nine_tenths"]),
        tone=tone,
        sign=sign,
        is_judged=cohort["state"] != "early",
        sentence=cohort["sentence"],
    )


def _times(distance: float, established: float) -> str:
    return f"{distance / max(established, NOISE):.2f}×"


def _nights(nights: float | None) -> str:
    return NOTHING if nights is None else f"{nights:.1f}"
