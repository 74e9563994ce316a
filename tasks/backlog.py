"""What is done already for the days of a span."""

import datetime as dt
from collections.abc import Iterator

from retrieval.backlog import DayState
from storage.landing import Landing
from storage.layout import Lake
from storage.logs import KINDS, Logs, open_logs
from storage.logs.reading import Recorded
from storage.releases import Release, ReleaseStore
from tasks.ingest import require_landed
from tasks.run import stage


@stage("backlog", minutes=20, retries=3)
def backlog(
    lake: Lake, landing: str, releases: str, recipe_id: str, span: tuple[dt.date, dt.date]
) -> tuple[DayState, ...]:
    """How far every day of a span is; nothing is changed, and no writer is waited for.

    Raises:
        ContractError: when nothing of the span has landed.
    """
    zone, store = Landing(landing), ReleaseStore(releases, lake.release_copies)
    made = [r for r in store.releases()[0] if r.facts["recipe_id"] == recipe_id and span[0] <= r.day <= span[1]]
    if not lake.logs.exists():
        require_landed(zone, span)
        return tuple(_states(lake, zone, span, None, made))
    with open_logs(lake.logs, read_only=True) as logs:
        if not logs.waiting(*span):
            require_landed(zone, span)
        return tuple(_states(lake, zone, span, logs, made))


def _states(
    lake: Lake, zone: Landing, span: tuple[dt.date, dt.date], logs: Logs | None, made: list[Release]
) -> Iterator[DayState]:
    landed = {kind: set(zone.days(kind, until=span[1])) for kind in KINDS}
    recorded: dict[dt.date, list[Recorded]] = {}
    for entry in logs.recorded() if logs else []:
        recorded.setdefault(entry.counts.day, []).append(entry)
    waiting = {own for _, own in logs.waiting(*span)} if logs else set()
    for n in range((span[1] - span[0]).days + 1):
        day = span[0] + dt.timedelta(days=n)
        known = recorded.get(day, [])
        of_day = [r for r in made if r.day == day and logs and _is_of(r, logs.digest(day))]
        sound = [release for release in of_day if release.decision != "refuse"]
        newest = (sound or of_day)[-1:]
        yield DayState(
            day,
            landed=frozenset(kind for kind in KINDS if day in landed[kind]),
            recorded=frozenset(entry.counts.kind for entry in known),
            is_refused=any(entry.counts.is_refused for entry in known),
            is_correction_refused=any(entry.refused_correction is not None for entry in known),
            was_tried=lake.quality(day).is_file(),
            waits=day in waiting,
            release=newest[0].id if newest else None,
            is_release_refused=bool(of_day) and not sound,
        )


def _is_of(release: Release, logs_digest: str) -> bool:
    """Whether a release was made of these logs; older ones do not say, and are taken to be."""
    return release.facts.get("logs_digest", logs_digest) == logs_digest
