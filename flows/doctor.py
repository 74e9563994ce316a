"""Whether the environment is fit for nights: every check in turn, and a table of what they found."""

import datetime as dt
from dataclasses import asdict
from typing import Any

from flows import console
from flows.settings import RECIPES, Settings
from tasks import doctor as checks
from tasks.doctor import told
from tasks.server import server
from validation.environment import Finding

CONSTRAINTS = RECIPES.parent.parent / "constraints.txt"
SIGNS = {"ok": "[green]✓ in order[/]", "look": "[yellow]! look[/]", "bad": "[red]✗ wrong[/]", "skipped": "– nothing"}


def examined(settings: Settings, *, min_free_gib: float, thorough: bool) -> list[Finding]:
    """What every check found, in the order a person would look."""
    lake, landing = settings.place, settings.landing_uri
    found = [
        *checks.versions(CONSTRAINTS),
        *checks.permissions(lake, settings.releases_uri),
        told("disk", lambda: checks.disk(lake, min_free_gib)),
        told("recipe", lambda: Finding("recipe", "ok", f"{settings.read_recipe().name} can be read")),
        told("landing", lambda: checks.landing(landing)),
        told("logs", lambda: checks.logs(lake, thorough=thorough)),
        told("releases", lambda: checks.conditions(settings.store)),
        told("live release", lambda: checks.live(settings.store, thorough=thorough)),
    ]
    is_readable = not any(f.state == "bad" for f in found if f.check in ("releases", "live release"))
    newest = checks.since(settings.store) if is_readable else None
    return [*found, *server(dt.datetime.now(dt.UTC), newest)]


def is_fit(found: list[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.state != "bad" for finding in found)


def as_plain(found: list[Finding]) -> dict[str, Any]:
    """For machines."""
    return {"is_fit": is_fit(found), "findings": [asdict(finding) for finding in found]}


def show(found: list[Finding]) -> None:
    """A row a check, and below it what to do."""
    console.print_checks("The environment", [(f.check, SIGNS[f.state], f.found) for f in found])
    for finding in found:
        if finding.cure and finding.state in ("bad", "look"):
            console.print_finding("✗" if finding.state == "bad" else "!", f"{finding.check}: {finding.cure}")
    if is_fit(found):
        console.out.print("The environment is fit for nights.")
