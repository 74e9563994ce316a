"""What is live and what it stands on, read from the lake alone."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

from flows import console
from storage.bundle import INDEX, QUALITY, REPORT, SOURCES
from storage.layout import Lake
from storage.logs import open_logs
from storage.reader import read_scores
from storage.releases import Release, ReleaseStore, as_json


def status_of(lake: Lake, store: ReleaseStore) -> dict[str, Any]:
    """The live release, the days in the logs, and how many of them the release has not seen."""
    pointer = store.pointer()
    live = store.get(pointer.release) if pointer else None
    days: list[tuple[dt.date, int]] = []
    refused: list[dt.date] = []
    n_quarantined, reopened = 0, []
    if lake.logs.exists():
        with open_logs(lake.logs, read_only=True) as logs:
            days, reopened = logs.days_loaded(), logs.reopened()
            judged = logs.recorded()
        refused = sorted({e.counts.day for e in judged if e.counts.is_refused or e.refused_correction})
        n_quarantined = sum(entry.counts.quarantined for entry in judged)
    behind = [day for day, _ in days if live is None or day > live.day]
    return {
        "lake": str(lake.root),
        "live": live.id if live else None,
        "live_day": live.day.isoformat() if live else None,
        "held": pointer.held if pointer else False,
        "releases": len(store.ids()),
        "first_day": days[0][0].isoformat() if days else None,
        "last_day": days[-1][0].isoformat() if days else None,
        "days": len(days),
        "events": sum(count for _, count in days),
        "days_behind": len(behind),
        "quarantined": n_quarantined,
        "refused_days": [day.isoformat() for day in refused],
        "reopened_days": [entry.day.isoformat() for entry in reopened],
        "waiting_for_backfill": [entry.day.isoformat() for entry in reopened if entry.waiting],
    }


def show_status(found: dict[str, Any]) -> None:
    """The status in a few lines."""
    console.print_facts({name: _few(value) if isinstance(value, list) else value for name, value in found.items()})
    if found["live"] is None:
        console.out.print("No release is live. Run `lamplighter nightly --day D`.")


def _few(days: list[str]) -> str | int:
    return f"{len(days)} ({', '.join(days[-5:])})" if days else 0


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
