"""What the orchestrator is told of a night: an event for every failed rule, key figures and links beside the run."""

import datetime as dt

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from retrieval.recipe import Recipe
from storage.bundle import REPORT
from storage.layout import Lake
from storage.reader import read_scores
from storage.refs import Ref
from tasks.checks import Judged
from tasks.converge import read_convergence
from tasks.ingest import Ingested
from tasks.publish import Published
from tasks.quality import write_quality_page
from tasks.run import stage
from validation.verdict import Check

FAILED, WARNED = "lamplighter.rule.failed", "lamplighter.rule.warned"
"""The events' names: of a rule that blocks, of one that warns."""
KEPT_BACK = {"hold": "lamplighter.release.held", "refuse": "lamplighter.release.refused"}
"""The event's name by what became of a release that its own tests or the gate kept from being live."""
UNSETTLED = "lamplighter.convergence.failing"
"""The event's name of a cohort of fresh items whose vectors do not settle."""
RUNBOOK = "docs/runbook.md#fresh-items-do-not-settle"
CURES = {
    "hold": "Read the report; `lamplighter releases promote ID` makes it live all the same.",
    "refuse": "Mend the cause and run the night again; the live release stands.",
}


@stage("alert", minutes=5)
def alert(lake: Lake, day: dt.date, recipe: Recipe, ingested: Ingested) -> None:
    """Write the page of what landed, and emit one event for every rule that failed: what automations act on."""
    pages = {day: write_quality_page(lake, day, recipe, ingested)}
    for other in set(ingested.refused) - {day}:  # who is woken by a day looks for the page of that day
        pages[other] = write_quality_page(lake, other, recipe, ingested.of(other))
    for check in ingested.checks:
        if not check.passed:
            _tell_check(check, pages.get(check.day, pages[day]).as_uri())


def _tell_check(check: Check, link: str) -> None:
    """The event of a rule that failed."""
    emit_event(
        event=FAILED if check.blocks else WARNED,
        resource={
            "prefect.resource.id": f"lamplighter.rule.{check.kind}.{check.rule}",
            "prefect.resource.name": f"{check.rule} of {check.kind}",
        },
        payload={
            "day": check.day.isoformat(),
            "kind": check.kind,
            "rule": check.rule,
            "severity": check.severity,
            "observed": check.observed,
            "expected": check.expected,
            "meaning": check.meaning,
            "cure": check.cure,
            "link": link,
        },
    )


@stage("announce", minutes=5)
def announce(published: Published, ingested: Ingested, judged: Judged) -> None:
    """Leave the night's key figures as artifacts of the run, and emit events of what somebody should know of it.

    That is a release kept back, an acceptance test that warns, such as of heads that say the same, and fresh items that
    do not settle.
    """
    counted = ", ".join(f"{name} {n:,}" for name, n in ingested.rows()["events"].items())
    release, folder = published.release, published.folder
    if release.decision in KEPT_BACK and not published.is_live:
        emit_event(
            event=KEPT_BACK[release.decision],
            resource={"prefect.resource.id": "lamplighter.release", "prefect.resource.name": release.id},
            payload={
                "day": release.day.isoformat(),
                "release": release.id,
                "live": release.compared_with,
                "reasons": release.reasons,
                "cure": CURES[release.decision],
                "link": (folder / REPORT).as_uri(),
            },
        )
    for check in judged.acceptance:
        if not check.passed and not check.blocks:
            _tell_check(check, f"{(folder / REPORT).as_uri()}#gate")
    _tell_unsettled(published, judged.converged)
    verdict = "is live" if published.is_live else "was kept, not made live"
    create_markdown_artifact(
        key="night",
        description=f"Night of {release.day}",
        markdown=(
            f"## {release.day}: release `{release.id}` {verdict}: {published.reason}\n\n"
            f"Events: {counted}.\n\n"
            f"Report: `{folder / REPORT}`\n"
        ),
    )
    create_table_artifact(
        key="quality",
        description=f"Recall on {release.day}, held out",
        table=[
            {
                "source": score["source"],
                "pairs": score["pairs"],
                "recall@10": round(score["recall_at_10"]["mean"], 4),
                "recall@100": round(score["recall_at_100"]["mean"], 4),
                "nDCG@10": round(score["ndcg_at_10"]["mean"], 4),
                "coverage@100": round(score["coverage_at_100"], 4),
            }
            for score in read_scores(folder)
        ],
    )


def _tell_unsettled(published: Published, converged: Ref) -> None:
    """One event for every cohort whose vectors do not settle."""
    for space in read_convergence(converged)["spaces"]:
        for cohort in space["cohorts"]:
            if cohort["state"] == "failing":
                emit_event(
                    event=UNSETTLED,
                    resource={
                        "prefect.resource.id": f"lamplighter.convergence.{space['space']}",
                        "prefect.resource.name": f"fresh items of {space['space']}",
                    },
                    payload={
                        "day": published.release.day.isoformat(),
                        "space": space["space"],
                        "cohort": cohort["first_seen"],
                        "observed": cohort["observed"],
                        "expected": cohort["expected"],
                        "cure": cohort["cure"],
                        "link": f"{(published.folder / REPORT).as_uri()}#convergence",
                        "runbook": RUNBOOK,
                    },
                )
