"""What is live and what it stands on, and whether all is well: read from the lake alone."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows import console
from flows.settings import Settings
from retrieval.errors import ReleaseError
from retrieval.wording import count
from storage.bundle import INDEX, QUALITY, REPORT, SOURCES
from storage.convergence import History
from storage.layout import Lake
from storage.logs import open_logs
from storage.reader import read_scores
from storage.releases import Release, ReleaseStore, as_json
from storage.room import free_bytes, landed_days
from validation.health import GIB, Newest, Standing, age_hours, problems

NOTED = ("refused_days", "reopened_days", "waiting_for_backfill")


def status_of(settings: Settings, *, max_age_hours: float, min_free_gib: float) -> dict[str, Any]:
    """The live release, the days it has not seen, and everything that is wrong."""
    lake, store, now = settings.place, settings.store, dt.datetime.now(dt.UTC)
    pointer, newest = store.pointer(), _newest(store)
    live = store.get(pointer.release) if pointer else None
    logs, cohorts = _logs(lake), _cohorts(lake, live)
    landed, unreachable = landed_days(settings.landing_uri)
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


def show_status(found: dict[str, Any]) -> None:
    """The status in about ten lines, each problem with its cure among them."""
    n = len(found["problems"])
    if found["is_well"]:
        console.out.print("[bold green]✓ All is well[/]")
    else:
        console.out.print(f"[bold red]✗ {n} thing{'s' if n > 1 else ''} to mend[/]")
    for problem in found["problems"]:
        console.print_finding("✗", f"{problem['found']} {problem['cure']}")
    live = f"{found['live']}, by {found['live_recipe']}{', held' if found['held'] else ''}" if found["live"] else None
    logs = f"{found['first_day']} to {found['last_day']}, {count(found['events'])} events" if found["days"] else None
    days = {"refused": "refused_days", "waiting": "waiting_for_backfill"}
    aside = [f"{count(found['quarantined'])} rows", *(f"days {name}: {_few(found[key])}" for name, key in days.items())]
    console.print_facts(
        {
            "live": live,
            "its day ended": f"{found['age_hours']:,.0f} hours ago" if found["live"] else None,
            "newest night": f"{found['newest']}: {found['newest_decision']}" if found["newest"] else None,
            "landed until": found["last_landed"],
            "logs": logs,
            "set aside": "; ".join(aside),
            "fresh items": ", ".join(f"{n} cohorts {state}" for state, n in found["cohorts"].items() if n) or None,
            "disk": f"{found['free_bytes'] / GIB:,.1f} GiB free at {found['lake']}",
        }
    )


def _few(days: Sequence[dt.date]) -> str:
    return f"{len(days)} ({', '.join(map(str, days[-3:]))})" if days else "none"


SHOWN = ("id", "is_live", "decision", "day", "recipe", "parent", "compared_with", "digest", "n_bytes", "report")


def release_as_json(release: Release, folder: Path, *, is_live: bool) -> dict[str, Any]:
    """A release with its scores and the quality of its indexes."""
    indexes = {
        path.parent.name: json.loads((path.parent / QUALITY).read_text())
        for path in sorted((folder / SOURCES).glob(f"*/{INDEX}"))
    }
    return as_json(release) | {
        "is_live": is_live,
        "facts": release.facts,
        "scores": read_scores(folder),
        "indexes": indexes,
        "report": str(folder / REPORT),
    }


def show_release(found: dict[str, Any]) -> None:
    """One release in a few lines and a table."""
    console.print_facts({name: found[name] for name in SHOWN})
    for reason in found["facts"]["reasons"]:
        console.out.print(f"why            {reason}", soft_wrap=True)
    for source, quality in found["indexes"].items():
        console.out.print(
            f"index          {source}: recall@10 {quality['recall_at_10']:.4f} at efSearch {quality['ef_search']}"
        )
    console.scores_table(f"Quality on {found['day']}, held out", found["scores"])
