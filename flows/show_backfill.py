"""What a backfill did, as people read it and as plain values for machines."""

from typing import Any

from flows import console
from flows.backfill import BackfillResult
from flows.show import night_as_json, refused_as_json, show_night, show_rows
from tasks.backfilled import DayDone

DAYS_SHOWN = 40
"""Days that are all listed; of more, those where something is to be said."""


def backfill_as_json(result: BackfillResult) -> dict[str, Any]:
    """A backfill: its days, its rows, its refused days and its nights."""
    ingested = result.ingested
    return {
        "sentence": result.sentence(),
        "dry_run": result.span.dry_run,
        "days": [_day_as_json(day) for day in result.days],
        "failed": [day.day.isoformat() for day in result.failed],
        "rows": ingested.rows() if ingested else {},
        "reasons": dict(ingested.reasons) if ingested else {},
        "refused_days": refused_as_json(ingested) if ingested else {},
        "nights": [night_as_json(night) for night in result.nights],
    }


def _day_as_json(day: DayDone) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "before": day.before,
        "done": day.done or None,
        "failed": day.failed,
        "release": day.release,
        "decision": day.decision,
        "report": day.report,
        "seconds": None if day.seconds is None else round(day.seconds, 1),
        "why": day.why or None,
    }


def show_backfill(result: BackfillResult) -> None:
    """A backfill in a screenful, and its nights."""
    for night in result.nights:
        show_night(night)
    days = result.days
    if len(days) > DAYS_SHOWN:
        days = tuple(day for day in days if day.failed or day.release or (result.span.dry_run and day.done))
    columns = ("day", "was", "would be done" if result.span.dry_run else "done", "release", "decision", "seconds")
    rows = [
        (
            day.day.isoformat(),
            day.before,
            "failed" if day.failed else day.done or "nothing",
            day.release,
            day.decision,
            None if day.seconds is None else f"{day.seconds:.1f}",
        )
        for day in days
    ]
    if rows:
        console.print_table("Days", columns, rows)
    if result.ingested:
        show_rows(result.ingested)
    for day in result.failed:
        if result.ingested is None or day.day not in result.ingested.refused:
            console.complain("failed", f"{day.day}: {day.why}")
    console.out.print(f"backfill  {result.sentence()}", soft_wrap=True)
