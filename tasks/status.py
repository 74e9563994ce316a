"""What is live and what it stands on, and whether all is well: read from the lake alone."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from retrieval.errors import ReleaseError
from storage.convergence import History
from storage.layout import Lake
from storage.logs import open_logs
from storage.releases import Release, ReleaseStore
from storage.room import free_bytes, landed_days
from tasks.watch import open_and_past
from validation.health import Newest, Standing, age_hours, problems
from validation.incidents import Incident

NOTED = ("refused_days", "reopened_days", "waiting_for_backfill")


def status_of(
    lake: Lake, store: ReleaseStore, landing: str, now: dt.datetime, *, max_age_hours: float, min_free_gib: float
) -> dict[str, Any]:
    """The live release, the days it has not seen, and everything that is wrong."""
    pointer, newest = store.pointer(), _newest(store)
    live = store.get(pointer.release) if pointer else None
    logs, cohorts = _logs(lake), _cohorts(lake, live)
    landed, unreachable = landed_days(landing)
    is_held = pointer.held if pointer else False
    standing = Standing(
        live=live.id if live else None,
        live_day=live.day if live else None,
        is_held=is_held,
        newest=newest,
        landed=tuple(_since(live, (day for day in landed if day not in logs["days"]))),
        loaded=tuple(_since(live, logs["days"])),
        refused=tuple(logs["refused_days"]),
        waiting=tuple(logs["waiting_for_backfill"]),
        failed=tuple(_failed_nights(lake)),
        unsettled=tuple(f"{c['space']} of {c['first_seen']}" for c in cohorts if c["state"] == "failing"),
        unreachable=unreachable,
        free_bytes=free_bytes(lake.root),
    )
    wrong = problems(standing, now, max_age_hours=max_age_hours, min_free_gib=min_free_gib)
    return {
        "is_well": not wrong,
        "problems": [asdict(problem) for problem in wrong],
        "lake": str(lake.root),
        "live": standing.live,
        "live_day": standing.live_day,
        "live_recipe": live.recipe if live else None,
        "age_hours": round(age_hours(live.day, now), 1) if live else None,
        "held": is_held,
        "newest": newest.id if newest else None,
        "newest_decision": newest.decision if newest else None,
        "releases": len(store.ids()),
        "last_landed": landed[-1] if landed else None,
        "first_day": logs["days"][0] if logs["days"] else None,
        "last_day": logs["days"][-1] if logs["days"] else None,
        "days_behind": len(standing.loaded),
        **(logs | {"days": len(logs["days"])}),
        "cohorts": {state: sum(c["state"] == state for c in cohorts) for state in ("converging", "early", "failing")},
        "free_bytes": standing.free_bytes,
    }


def _since(live: Release | None, days: Iterable[dt.date]) -> list[dt.date]:
    return [day for day in days if live is None or day > live.day]


def _newest(store: ReleaseStore) -> Newest | None:
    """What the newest night came to: the best of its releases, where it was run more than once."""
    ids, live = store.ids(), store.current_id()
    found: list[Release] = []
    for id_ in ids[::-1]:
        try:
            release = store.get(id_)
        except ReleaseError:  # one that is torn and not live harms nobody; a torn live one was told already
            continue
        if found and release.day != found[0].day:
            break
        found.append(release)
    if not found:
        return None
    best = min(found, key=lambda release: (release.id != live, ("promote", "hold", "refuse").index(release.decision)))
    return Newest(best.id, best.day, best.decision, tuple(best.reasons))


def _logs(lake: Lake) -> dict[str, Any]:
    """What the logs hold; nothing where there are none."""
    if not lake.logs.exists():
        return {"days": [], "events": 0, "quarantined": 0} | {name: [] for name in NOTED}
    with open_logs(lake.logs, read_only=True) as logs:
        days, reopened, judged = logs.days_loaded(), logs.reopened(), logs.recorded()
    return {
        "days": [day for day, _ in days],
        "events": sum(n for _, n in days),
        "quarantined": sum(entry.counts.quarantined for entry in judged),
        "refused_days": sorted({e.counts.day for e in judged if e.counts.is_refused or e.refused_correction}),
        "reopened_days": [entry.day for entry in reopened],
        "waiting_for_backfill": [entry.day for entry in reopened if entry.waiting],
    }


def _cohorts(lake: Lake, live: Release | None) -> list[dict[str, Any]]:
    """The newest verdicts on fresh items by the live release's recipe."""
    if live is None or not lake.convergence.exists():
        return []
    name = live.facts["recipe_name"]
    return [verdict for verdict in History(lake.convergence).newest()["verdicts"] if verdict["recipe"] == name]


def _failed_nights(lake: Lake) -> list[str]:
    """What the watch has open of nights that did not finish, in its words."""
    found = (Incident.from_plain(entry.incident) for entry in open_and_past(lake).open)
    return [incident.sentence() for incident in found if incident.kind == "night-failed"]
