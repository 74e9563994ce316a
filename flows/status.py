"""The status of a deployment and a release, as people read them."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import console
from retrieval.wording import count
from storage.bundle import INDEX, QUALITY, REPORT, SOURCES
from storage.reader import read_scores
from storage.releases import Release, as_json
from validation.health import GIB


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
            f"index          {source}: recall@10 {quality['recall_at_10']:.4f} at efSearch {quality['ef_search']}, "
            f"{quality['links']} links an item"
        )
    console.scores_table(f"Quality on {found['day']}, held out", found["scores"])
