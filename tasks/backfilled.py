"""What the orchestrator is told of a backfill: how far it is, what became of each day, links to the reports."""

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from storage.bundle import REPORT

PROGRESS, DAYS, REPORTS = "backfill-progress", "backfill-days", "backfill-report"
"""The keys of the artifacts."""


@dataclass(frozen=True, slots=True)
class DayDone:
    """What a backfill did for one day."""

    day: dt.date
    before: str
    """How far it was, in a few words."""
    done: str = ""
    """What was done for it, or would be; empty where there was nothing to do."""
    release: str | None = None
    decision: str | None = None
    report: str | None = None
    seconds: float | None = None
    why: str = ""
    """Why it failed, or why its release is or is not live."""
    failed: bool = False

    def row(self) -> dict[str, str | float]:
        """A row of the table."""
        cells = {
            "day": self.day.isoformat(),
            "done": "FAILED" if self.failed else self.done or "nothing",
            "state before": self.before,
            "release": self.release,
            "decision": self.decision,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "why": self.why,
        }
        return {name: "" if value is None else value for name, value in cells.items()}


@dataclass(slots=True)
class Bar:
    """The bar of a backfill on its run's page; a server that does not answer for a moment stops no work."""

    n_days: int
    """Days to load."""
    n_nights: int
    done: int = 0
    """Days loaded and, these being all, nights done."""
    _id: UUID | None = field(default=None, init=False)

    def show(self, what: str) -> None:
        """Show the bar as it is, with what is being done now."""
        percent = 100.0 * self.done / max(self.n_days + self.n_nights, 1)
        n_loaded = min(self.done, self.n_days)
        counts = {"days loaded": (n_loaded, self.n_days), "nights done": (self.done - n_loaded, self.n_nights)}
        text = "".join(f"{n} of {total} {name}. " for name, (n, total) in counts.items() if total) + what
        with suppress(httpx.HTTPError):
            if self._id is None:
                self._id = cast(UUID, create_progress_artifact(percent, key=PROGRESS, description=text))
            else:
                update_progress_artifact(self._id, percent, description=text)

    def __call__(self, work: str, done: int, total: int) -> None:
        """Hear how many days are loaded."""
        if work == "ingest" and self.done < done < total:
            self.done = done
            self.show("Loading logs.")


def show_days(days: Sequence[DayDone], sentence: str) -> None:
    """Leave the table of the days."""
    with suppress(httpx.HTTPError):  # a server that is away for a moment ends no backfill
        create_table_artifact(table=[day.row() for day in days], key=DAYS, description=sentence)


def link_report(day: dt.date, folder: Path) -> str:
    """Leave a link to the report of a day's release; returns where it is."""
    path = folder / REPORT
    with suppress(httpx.HTTPError):
        create_link_artifact(path.as_uri(), link_text=f"Report of {day}", key=REPORTS, description=f"{day}: `{path}`")
    return str(path)
