"""The conditions that make an incident, one function each: from what was seen to what holds."""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from validation.health import age_hours
from validation.incidents import Incident, Limits
from validation.verdict import Check, blocking

Link = Callable[[dt.date], str | None]
HEADROOM = 1.1
"""How much more than the limit has to be free before a full disk is over: it does not flap."""
UTC = dt.UTC


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a night ended."""

    run: str
    day: dt.date
    state: Literal["completed", "failed", "crashed"]
    at: dt.datetime
    error: str = ""
    link: str | None = None
    unusable: tuple[Check, ...] = ()
    """Of landed files that cannot be used: the logs know nothing of them."""
    tried_all: bool = True
    """Whether it tried all that has landed, as a night does and a backfill does not."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release and what its own tests and the gate said."""

    id: str
    day: dt.date
    decision: str
    checks: tuple[Check, ...]
    link: str | None


def data_blocked(checks: Sequence[Check], link: Link, limits: Limits, open_ids: Collection[str]) -> list[Incident]:
    """One incident a landed partition that is not in the logs, with the rules that keep it out."""
    found: dict[tuple[str, dt.date], list[Check]] = {}
    for check in blocking(checks):
        found.setdefault((check.kind, check.day), []).append(check)
    newest = max((check.day for check in checks), default=dt.date.min)
    made = [_blocked(kind, day, broken, link) for (kind, day), broken in found.items()]
    return [i for i in made if i.id in open_ids or (newest - i.day).days <= limits.window_days]


def _blocked(kind: str, day: dt.date, broken: Sequence[Check], link: Link) -> Incident:
    first, others = broken[0], sorted({check.rule for check in broken[1:]})
    also = f" (also {', '.join(others)})" if others else ""
    return Incident(
        kind="data-quality",
        key=f"{kind}.{day}",
        day=day,
        rule=first.rule,
        severity="block",
        observed=first.observed + also,
        expected=first.expected,
        meaning=f"{kind} of {day} are kept out of the logs ({first.meaning})",
        cure=first.cure,
        link=link(day),
    )


def data_warned(checks: Sequence[Check], link: Link) -> list[Incident]:
    """One incident a rule that warns of the newest partition of a kind; it is over when a newer one passes."""
    newest: dict[str, dt.date] = {}
    for check in checks:
        newest[check.kind] = max(newest.get(check.kind, check.day), check.day)
    return [
        Incident(
            kind="data-quality",
            key=f"{check.kind}.{check.rule}",
            day=check.day,
            rule=check.rule,
            severity="warn",
            observed=check.observed,
            expected=check.expected,
            meaning=f"{check.kind} of {check.day} were loaded with a warning ({check.meaning})",
            cure=check.cure,
            link=link(check.day),
        )
        for check in checks
        if not check.passed and check.severity == "warn" and check.day == newest[check.kind]
    ]


def kept_back(candidates: Iterable[Candidate], live_day: dt.date | None, live: str | None) -> list[Incident]:
    """One incident a day whose newest release was held or refused, until one of that day or a later one is live.

    `candidates` are in the order they were made.
    """
    newest = {found.day: found for found in candidates}
    return [
        _kept_back(found)
        for found in newest.values()
        if found.decision in _DECISIONS and found.id != live and (live_day is None or found.day > live_day)
    ]


_DECISIONS = {
    "hold": ("the gate holds", "If it is good all the same: `lamplighter releases promote {}`."),
    "refuse": ("acceptance tests refuse", "Run the night again when it is mended; {} can never become live."),
}


def _kept_back(found: Candidate) -> Incident:
    broken, (who, cure) = blocking(found.checks), _DECISIONS[found.decision]
    first, others = broken[0], [check.rule for check in broken[1:]]
    also = f" (also {', '.join(others)})" if others else ""
    return Incident(
        kind="gate",
        key=found.day.isoformat(),
        day=found.day,
        rule=first.rule,
        severity="block",
        observed=first.observed + also,
        expected=first.expected,
        meaning=f"{who} release {found.id}, so it is not live ({first.meaning})",
        cure=f"{first.cure} {cure.format(found.id)}",
        link=found.link,
    )


def night_failed(outcomes: Sequence[Outcome]) -> list[Incident]:
    """One incident a day whose last night failed, until a night of that day or a later one has finished since."""
    last: dict[dt.date, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda o: o.at):
        last[outcome.day] = outcome
    finished = [o for o in outcomes if o.state == "completed"]
    return [
        Incident(
            kind="night-failed",
            key=day.isoformat(),
            day=day,
            rule="night",
            severity="block",
            observed=f"{outcome.state} at {outcome.at:%Y-%m-%d %H:%M} UTC: {outcome.error or 'no reason was left'}",
            expected="a finished night",
            meaning=f"the night of {day} did not finish, and the live release stands",
            cure=f"Mend what it says, then `lamplighter nightly --day {day}`: finished stages are not run again.",
            link=outcome.link,
        )
        for day, outcome in last.items()
        if outcome.state != "completed" and not any(o.at > outcome.at and o.day >= day for o in finished)
    ]


def expected_day(now: dt.datetime, by: dt.time) -> dt.date:
    """The newest day whose night has to be done by now: each night has until an hour of the day after."""
    utc = now.astimezone(UTC)
    return utc.date() - dt.timedelta(days=1 if utc.time() >= by else 2)


def night_missing(newest: dt.date | None, since: dt.datetime, now: dt.datetime, limits: Limits) -> list[Incident]:
    """The incident that no night of the day that is due has made a release, live or not.

    `newest` is the day of the newest release. Where there never was one, only nights count that were due since the
    lake has been watched.
    """
    day = expected_day(now, limits.expected_by)
    due = dt.datetime.combine(day + dt.timedelta(days=1), limits.expected_by, UTC)
    if (newest is not None and newest >= day) or (newest is None and due <= since):
        return []
    return [
        Incident(
            kind="night-missing",
            key="nightly",
            day=day,
            rule="expected_by",
            severity="block",
            observed=f"the newest release is of {newest}" if newest else "no release at all",
            expected=f"a release of {day} by {limits.expected_by:%H:%M} UTC",
            meaning=f"the night of {day} has not been seen",
            cure=f"Look whether server and worker run; `lamplighter nightly --day {day}` runs it by hand.",
        )
    ]


def index_old(
    live: str | None, day: dt.date | None, now: dt.datetime, limits: Limits, link: str | None
) -> list[Incident]:
    """The incident that what readers are answered from is too old; its age counts from the end of its last day."""
    if live is None or day is None:
        return []
    hours = age_hours(day, now)
    if hours <= limits.max_index_hours:
        return []
    return [
        Incident(
            kind="index-age",
            key="live",
            day=day,
            rule="max_index_hours",
            severity="block",
            observed=f"{hours:,.0f} hours",
            expected=f"at most {limits.max_index_hours:g} hours",
            meaning=f"the live release {live} knows nothing after {day}",
            cure="See which nights failed or were held: `lamplighter incidents`, `lamplighter releases list`.",
            link=link,
        )
    ]


def not_settling(spaces: Sequence[Mapping[str, Any]], day: dt.date, link: str | None) -> list[Incident]:
    """One incident a space of vectors in which fresh items do not settle; `SpaceFindings` as plain values."""
    found = []
    for space in spaces:
        failing = [cohort for cohort in space["cohorts"] if cohort["state"] == "failing"]
        if failing:
            first, n_more = failing[0], len(failing) - 1
            found.append(
                Incident(
                    kind="convergence",
                    key=str(space["space"]),
                    day=day,
                    rule=f"convergence of {space['space']}, {first['first_seen']}",
                    severity="warn",
                    observed=first["observed"] + (f" (and {n_more} cohorts more)" if n_more else ""),
                    expected=first["expected"],
                    meaning=f"vectors of items first seen on {first['first_seen']} do not settle in {space['space']}",
                    cure=first["cure"],
                    link=link,
                )
            )
    return found


def disk_low(free_gib: float, path: str, day: dt.date, limits: Limits, *, is_open: bool) -> list[Incident]:
    """The incident that there is hardly any room left; once open, it takes a tenth more than the limit to end it."""
    if free_gib >= limits.min_free_gib * (HEADROOM if is_open else 1.0):
        return []
    return [
        Incident(
            kind="disk",
            key="lake",
            day=day,
            rule="min_free_gib",
            severity="block",
            observed=f"{free_gib:,.1f} GiB free",
            expected=f"at least {limits.min_free_gib:g} GiB",
            meaning=f"there is hardly any room left under {path}",
            cure="`lamplighter releases sweep --keep 7` removes old releases; docs/runbook.md says what else may go.",
        )
    ]
