"""Whether all is well: what is wrong with a deployment as it stands, each with its cure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Trouble = Literal[
    "nothing-live",
    "behind",
    "old",
    "held",
    "failed",
    "refused",
    "reopened",
    "kept-back",
    "unsettled",
    "landing",
    "disk",
]
NIGHT_HOURS = 6.0
"""A day that ended less than so many hours ago may still be on its way: its night is scheduled for 02:00 UTC."""
GIB = 1 << 30
N_NAMED = 3
"""More days than this are counted, the newest named."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest night's release, live or not."""

    id: str
    day: dt.date
    decision: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a deployment stands: what the lake and the store say, nothing judged."""

    live: str | None
    live_day: dt.date | None
    is_held: bool
    """Whether a person went back to it, so that no night moves on by itself."""
    newest: Newest | None
    landed: tuple[dt.date, ...]
    """Days of events in the landing zone that the live release has not seen."""
    loaded: tuple[dt.date, ...]
    """Days of events in the logs that the live release has not seen."""
    refused: tuple[dt.date, ...]
    waiting: tuple[dt.date, ...]
    """Reopened days that wait for a backfill."""
    failed: tuple[str, ...]
    """Nights that did not finish and that none has made up for since, each in a sentence."""
    unsettled: tuple[str, ...]
    """Cohorts of fresh items, in words, that do not settle."""
    unreachable: str | None
    """Why the landing zone cannot be looked into; None where it can."""
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to do."""

    kind: Trouble
    found: str
    cure: str

    def sentence(self) -> str:
        return f"{self.found} {self.cure}"


def age_hours(day: dt.date, now: dt.datetime) -> float:
    """Hours since a day ended, in UTC."""
    ended = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1)
    return (now - ended).total_seconds() / 3600


def problems(found: Standing, now: dt.datetime, *, max_age_hours: float, min_free_gib: float) -> list[Problem]:
    """Everything that is wrong, most urgent first; nothing of it is a matter of taste, so none is a warning."""
    return [
        *_live(found, now, max_age_hours),
        *_failed(found),
        *_kept_back(found),
        *_data(found),
        *_unsettled(found),
        *_landing(found),
        *_disk(found, min_free_gib),
    ]


def _live(found: Standing, now: dt.datetime, max_age_hours: float) -> list[Problem]:
    unseen = sorted({*found.landed, *found.loaded})
    if found.live is None or found.live_day is None:
        night = f"--day {unseen[-1]}" if unseen else "--day D"
        return [Problem("nothing-live", "No release is live.", f"Run `lamplighter nightly {night}`.")]
    troubles: list[Problem] = []
    if found.is_held:
        said = f"A person went back to {found.live} and holds it: no night moves on by itself."
        troubles.append(Problem("held", said, "When the cause is mended: `lamplighter releases promote ID`."))
    late = [day for day in unseen if day > found.live_day and age_hours(day, now) > NIGHT_HOURS]
    if late:
        n, verb = (f"{len(late)} days", "have") if len(late) > 1 else ("1 day", "has")
        said = (
            f"The live release is of {found.live_day}, and {n} landed since then ({_named(late)}) {verb} no live night."
        )
        troubles.append(Problem("behind", said, f"Run `lamplighter nightly --day {late[-1]}`."))
    age = age_hours(found.live_day, now)
    if age > max_age_hours:
        said = (
            f"The live release's day, {found.live_day}, ended {age:,.0f} hours ago, at most {max_age_hours:g} may pass."
        )
        cure = (
            f"Run `lamplighter nightly --day {late[-1]}`." if late else "Land the days since then; look why none came."
        )
        troubles.append(Problem("old", said, cure))
    return troubles


def _failed(found: Standing) -> list[Problem]:
    cure = "See `lamplighter incidents`, mend it and run that night again: finished stages are not run again."
    return [Problem("failed", said[0].upper() + said[1:], cure) for said in found.failed[:N_NAMED]]


def _kept_back(found: Standing) -> list[Problem]:
    newest = found.newest
    if newest is None or newest.decision == "promote" or newest.id == found.live:
        return []
    why = f" {newest.reasons[0]}" if newest.reasons else ""
    if newest.decision == "hold":
        cure = f"Read its report; `lamplighter releases promote {newest.id}` makes it live all the same."
        return [Problem("kept-back", f"The newest night's release, {newest.id}, is held by the gate.{why}", cure)]
    cure = f"Mend the cause and run `lamplighter nightly --day {newest.day}` again."
    return [Problem("kept-back", f"The newest night's release, {newest.id}, was refused.{why}", cure)]


def _data(found: Standing) -> list[Problem]:
    troubles: list[Problem] = []
    if found.refused:
        said = f"{_days(found.refused)} {'are' if len(found.refused) > 1 else 'is'} refused: {_named(found.refused)}."
        cure = f"See `lamplighter quarantine show --day {found.refused[-1]}`, mend and land again, then run its night."
        troubles.append(Problem("refused", said, cure))
    if found.waiting:
        verb = "wait" if len(found.waiting) > 1 else "waits"
        said = f"{_days(found.waiting)} given events later {verb} for a backfill: {_named(found.waiting)}."
        cure = f"Run `lamplighter backfill --start {found.waiting[0]} --end {found.waiting[-1]}`."
        troubles.append(Problem("reopened", said, cure))
    return troubles


def _unsettled(found: Standing) -> list[Problem]:
    if not found.unsettled:
        return []
    said = f"Fresh items do not settle: {'; '.join(found.unsettled[:N_NAMED])}."
    return [Problem("unsettled", said, "See `lamplighter convergence`, and docs/runbook.md#fresh-items-do-not-settle.")]


def _landing(found: Standing) -> list[Problem]:
    if found.unreachable is None:
        return []
    cure = "Name it with --landing, or mend the connection or the rights: `lamplighter doctor` looks closer."
    return [Problem("landing", f"The landing zone cannot be looked into: {found.unreachable}.", cure)]


def _disk(found: Standing, min_free_gib: float) -> list[Problem]:
    free = found.free_bytes / GIB
    if free >= min_free_gib:
        return []
    said = f"The lake's disk has {free:.1f} GiB left, expected at least {min_free_gib:g}."
    return [Problem("disk", said, "Run `lamplighter releases sweep --keep 7`, or give it more room.")]


def _days(days: Sequence[dt.date]) -> str:
    return f"{len(days)} days" if len(days) > 1 else "1 day"


def _named(days: Sequence[dt.date]) -> str:
    more = f"{len(days) - N_NAMED} more, " if len(days) > N_NAMED else ""
    return more + ", ".join(str(day) for day in days[-N_NAMED:])
