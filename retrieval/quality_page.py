"""The page of what landed: one self-contained HTML page of every pass, of refused days too."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from retrieval.pages import (
    Card,
    CheckResult,
    RowCounts,
    Verdict,
    by_subject,
    by_urgency,
    environment,
    reasons_of,
)
from retrieval.row_examples import RowExample, by_reason
from retrieval.wording import count, share

KINDS = ("events", "items", "users")
N_PARTITIONS = 60
"""More partitions of note than this are counted, not shown."""
N_REFUSED = 60
N_SENTENCES = 5
"""More failures than this make no verdict: the page lists them all below it."""


@dataclass(frozen=True, slots=True)
class PartitionRows:
    """What became of the rows of one landed partition: landed = loaded + quarantined + duplicates + forgotten."""

    kind: str
    day: dt.date
    is_refused: bool
    landed: int
    loaded: int
    quarantined: int
    duplicates: int
    forgotten: int
    late: int
    """Those of the loaded rows that went to an earlier day, their own."""

    @property
    def is_of_note(self) -> bool:
        return self.is_refused or self.quarantined > 0


@dataclass(frozen=True, slots=True)
class QualityPage:
    """Everything the page of one pass over landed partitions shows."""

    day: dt.date
    """The night's day, or the last one of a backfill."""
    recipe_name: str
    recipe_id: str
    partitions: list[PartitionRows]
    reasons: dict[str, int]
    """Rows set aside, by reason; a row with several reasons counts for each."""
    reason_meanings: dict[str, str]
    checks: list[CheckResult]
    """All rules of all partitions judged."""
    refused: dict[dt.date, str]
    """Why days are not, or not wholly, in the logs."""
    examples: list[RowExample] = field(default_factory=list)
    """A few rows of each reason."""

    @property
    def days(self) -> list[dt.date]:
        return sorted({partition.day for partition in self.partitions})


def render(page: QualityPage) -> str:
    """What landed as one HTML page that needs nothing but itself; same page, same bytes."""
    rows = totals(page.partitions)
    noted = _of_note(page.partitions)
    others = {day: why for day, why in sorted(page.refused.items(), reverse=True) if day != page.day}
    shown = [check for check in page.checks if not check.passed or check.day == page.day.isoformat()]
    return (
        environment()
        .get_template("quality.html.j2")
        .render(
            page=page,
            days=page.days,
            verdict=verdict(page),
            cards=cards(page),
            rows=rows,
            noted=noted[:N_PARTITIONS],
            n_more_noted=max(0, len(noted) - N_PARTITIONS),
            n_unremarkable=len(page.partitions) - len(noted),
            others=list(others.items())[:N_REFUSED],
            n_more_others=max(0, len(others) - N_REFUSED),
            reasons=reasons_of(page.reasons, page.reason_meanings, rows),
            examples=by_reason(page.examples),
            subjects=by_subject(shown),
            n_not_shown=len(page.checks) - len(shown),
        )
    )


def verdict(page: QualityPage) -> Verdict:
    """Whether the day is in the logs, and otherwise why not and what to do."""
    failed = by_urgency(check for check in page.checks if not check.passed)
    lost = sum(abs(_total(p.kind, [p]).unaccounted) for p in page.partitions)
    missing = [f"{count(lost)} landed rows are not accounted for."] if lost else []
    if page.day in page.refused:
        return Verdict("bad", "✗ Refused", [*missing, *_why_refused(page), *_others(page, page.day)])
    if page.refused:
        return Verdict("bad", *_earlier_refused(page, missing))
    blocking = [check for check in failed if check.severity == "block"]
    if lost or blocking:
        return Verdict("bad", "✗ Needs somebody", missing + _sentences(blocking))
    if failed:
        return Verdict("look", "! Loaded, with warnings", _sentences(failed))
    if not page.partitions and not page.checks:
        return Verdict("good", "✓ All well", ["Nothing new landed, so nothing was judged."])
    return Verdict(
        "good", "✓ All well", [f"All {count(len(page.checks))} checks passed: every landed row is in its place."]
    )


def _why_refused(page: QualityPage) -> list[str]:
    """Each failure of the day as its own sentence, then what no check says: files that cannot be used."""
    day = page.day.isoformat()
    blocking = by_urgency(c for c in page.checks if not c.passed and c.severity == "block" and c.day == day)
    rest = page.refused[page.day]
    for check in blocking:
        rest = rest.replace(check.sentence(), "")
    unexplained = [" ".join(rest.split())] if rest.strip() else []
    stands = "These rows are not in the logs, and the live release stands. Mend the cause, then run the day again."
    return [*unexplained, *_sentences(blocking), stands]


def _earlier_refused(page: QualityPage, missing: list[str]) -> tuple[str, list[str]]:
    days = "An earlier day is" if len(page.refused) == 1 else f"{count(len(page.refused))} earlier days are"
    stands = [f"{page.day} itself is in the logs."] if page.day in page.days else []
    newest = max(page.refused)
    return f"✗ {days} refused", [*missing, page.refused[newest], *_others(page, newest), *stands]


def _others(page: QualityPage, told: dt.date) -> list[str]:
    """Which days are refused beside the one whose reasons were told."""
    others = sorted(page.refused.keys() - {told}, reverse=True)
    if not others:
        return []
    named = ", ".join(str(day) for day in others[:3])
    more = f" and {count(len(others) - 3)} more" if len(others) > 3 else ""
    return [f"Refused as well: {named}{more}; the reasons are below."]


def _sentences(failed: Sequence[CheckResult]) -> list[str]:
    more = [f"And {count(len(failed) - N_SENTENCES)} more, listed below."] if len(failed) > N_SENTENCES else []
    return [check.sentence() for check in failed[:N_SENTENCES]] + more


def totals(partitions: Sequence[PartitionRows]) -> list[RowCounts]:
    """What became of all partitions' rows, by kind."""
    kinds = [*KINDS, *sorted({partition.kind for partition in partitions} - set(KINDS))]
    return [
        _total(kind, chosen)
        for kind in kinds
        if (chosen := [partition for partition in partitions if partition.kind == kind])
    ]


def _total(kind: str, partitions: Sequence[PartitionRows]) -> RowCounts:
    return RowCounts(
        kind,
        landed=sum(p.landed for p in partitions),
        loaded=sum(p.loaded for p in partitions),
        quarantined=sum(p.quarantined for p in partitions),
        duplicates=sum(p.duplicates for p in partitions),
        forgotten=sum(p.forgotten for p in partitions),
        late=sum(p.late for p in partitions),
    )


def cards(page: QualityPage) -> list[Card]:
    """The key figures, of events."""
    events = _total("events", [partition for partition in page.partitions if partition.kind == "events"])
    days = sorted({partition.day for partition in page.partitions if partition.kind == "events"})
    span = (
        f"{days[0]} to {days[-1]}, {count(len(days))} days"
        if len(days) > 1
        else str(days[0])
        if days
        else "none judged"
    )
    figures = {
        "Quarantined": (events.quarantined, "set aside with a reason"),
        "Duplicates": (events.duplicates, "left out, each kept once"),
        "Late": (events.late, "loaded into their own earlier day"),
    }
    return [
        Card("Events landed", count(events.landed), [span]),
        Card("Events loaded", count(events.loaded), _of_landed(events.loaded, events)),
        *(Card(label, count(n), [*_of_landed(n, events), note]) for label, (n, note) in figures.items()),
    ]


def _of_landed(n: int, events: RowCounts) -> list[str]:
    return [f"{share(n / events.landed)} of landed"] if events.landed else []


def _of_note(partitions: Sequence[PartitionRows]) -> list[PartitionRows]:
    """Refused partitions, then those with rows set aside, newest first."""
    noted = sorted((p for p in partitions if p.is_of_note), key=lambda p: (p.day, p.kind), reverse=True)
    return sorted(noted, key=lambda partition: not partition.is_refused)
