"""Incidents: what people are told once when it begins, and once when it is over."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from retrieval.rules import FrozenModel, Severity

Kind = Literal["data-quality", "gate", "night-failed", "night-missing", "index-age", "convergence", "disk"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RUNBOOK = "docs/runbook.md#alert-"


class Limits(FrozenModel):
    """From when on something is an incident."""

    expected_by: dt.time = dt.time(6)
    """When the night of the day before has to be done, UTC."""
    max_index_hours: Annotated[float, Field(gt=0)] = 36.0
    """How long after its last day's midnight a live release may stay the newest."""
    min_free_gib: Annotated[float, Field(ge=0)] = 5.0
    """How much room there has to be where the lake lies, in GiB."""
    window_days: Annotated[int, Field(ge=1)] = 14
    """Refused days that lie further behind the newest one open no incident; one that is open stays so until mended."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One condition that holds, and all that a person needs who is woken by it."""

    kind: Kind
    key: str
    """What it is about, once among the incidents of its kind."""
    day: dt.date
    rule: str
    severity: Severity
    observed: str
    expected: str
    meaning: str
    cure: str
    link: str | None = None

    @property
    def id(self) -> str:
        return f"{self.kind}.{self.key}"

    @property
    def runbook(self) -> str:
        """The place in the runbook that says how to look and what to do."""
        return f"{RUNBOOK}{self.kind}"

    def sentence(self) -> str:
        return f"{self.meaning}: {self.rule} is {self.observed}, expected {self.expected}."

    def as_plain(self) -> dict[str, Any]:
        """Values that JSON knows; `from_plain` makes the same incident of them."""
        return asdict(self) | {"day": self.day.isoformat()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Incident":
        return cls(**{**plain, "day": dt.date.fromisoformat(plain["day"])})


def changes(
    open_: Sequence[Incident], now: Sequence[Incident], judged: Collection[Kind] = KINDS
) -> tuple[list[Incident], list[Incident]]:
    """What has begun and what is over; of kinds that were not judged, nothing is over.

    What is open stays as it was opened: one message an incident, however long it lasts.
    """
    was, holds = {incident.id for incident in open_}, {incident.id for incident in now}
    opened = {incident.id: incident for incident in now if incident.id not in was}
    resolved = [incident for incident in open_ if incident.kind in judged and incident.id not in holds]
    return list(opened.values()), resolved


def without_consequences(found: Sequence[Incident], open_ids: Collection[str]) -> list[Incident]:
    """Leave out what only follows from another incident of the same day, so that one cause gives one message.

    A refused day makes its night fail, and a night that failed is missing. What is open already stays: it is not over.
    """
    blocked = {i.day for i in found if i.kind == "data-quality" and i.severity == "block"}
    failed = {i.day for i in found if i.kind == "night-failed"}
    causes: dict[Kind, set[dt.date]] = {"night-failed": blocked, "night-missing": blocked | failed}
    return [i for i in found if i.id in open_ids or i.day not in causes.get(i.kind, set())]


def text_of(incident: Incident, opened_at: dt.datetime, resolved_at: dt.datetime | None = None) -> str:
    """One paragraph for a person."""
    if resolved_at is not None:
        minutes = int((resolved_at - opened_at).total_seconds() // 60)
        lasted = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
        return f"Resolved after {lasted}: {incident.kind} of {incident.day}. {incident.sentence()}"
    link = f" See {incident.link}." if incident.link else ""
    return (
        f"{incident.kind} of {incident.day}: {incident.sentence()} {incident.cure}{link} Runbook: {incident.runbook}."
    )


def in_order(incidents: Iterable[Incident]) -> list[Incident]:
    """What stops the nights first, then the newest."""
    return sorted(incidents, key=lambda i: (i.severity != "block", -i.day.toordinal(), i.id))
