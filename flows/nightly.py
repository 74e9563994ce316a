"""The night: one landed day in, one proven release out."""

import datetime as dt
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, runtime

from flows.approval import decided_by_a_person
from flows.late import skipped
from flows.settings import Settings, who_runs
from flows.watch import told_how_it_ends
from retrieval.errors import PartitionError
from retrieval.progress import advance
from storage.bundle import REPORT
from storage.manifest import Manifest
from storage.refs import Ref
from storage.releases import Release
from tasks.accept import accept
from tasks.alert import alert, announce
from tasks.batch import batch
from tasks.build_index import build_index
from tasks.checks import Judged
from tasks.compare import compare
from tasks.converge import converge
from tasks.embed import embed
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.ingest import Ingested, ingest
from tasks.mix import mix, read_mix
from tasks.parents import incumbent_of, parent_of
from tasks.prepare import prepare
from tasks.publish import Parts, publish
from tasks.report import report
from tasks.run import Night
from tasks.similar import similar
from tasks.sources import SourceRefs
from tasks.sweep import sweep
from tasks.train import train

START = "start Prefect"
"""The work that begins with the command and ends with the flow's first line: a temporary server takes seconds."""


@dataclass(frozen=True, slots=True)
class NightResult:
    """What one night did."""

    release: Release
    folder: Path
    """The release's files, on this machine."""
    is_live: bool
    reason: str
    """Why it is live, or is not."""
    ingested: Ingested
    parts: Parts
    judged: Judged
    stages: dict[str, dict[str, Any]]
    """What the manifest of each stage's artifact says, its seconds among it."""
    seconds: float

    @property
    def report(self) -> str:
        return str(self.folder / REPORT)

    @property
    def mix(self) -> dict[str, Any]:
        """What each source is worth."""
        return read_mix(self.parts.mixed)

    @property
    def microseconds_per_query(self) -> dict[str, float]:
        """What each source costs."""
        costs: dict[str, float] = self.stages["evaluate"]["microseconds_per_query"]
        return costs

    def stage_seconds(self) -> dict[str, float]:
        """How long each stage took when it was done."""
        return {name: facts["seconds"] for name, facts in self.stages.items()}

    def facts(self) -> dict[str, int]:
        """Counts of the night."""
        counts = self.stages["prepare"] | self.stages["encode"]
        return {name: value for name, value in counts.items() if name.startswith("n_")}


@flow(name="nightly", flow_run_name="nightly-{day}", persist_result=False)
def nightly(
    day: dt.date | None = None,
    recipe: str | None = None,
    lake: str | None = None,
    landing: str | None = None,
    promote: bool = True,
    releases: str | None = None,
    approve: bool = False,
    ask: bool = False,
) -> NightResult:
    """Take in a day, retrain, re-embed, rebuild, measure and publish.

    Without a day it is the one before the run's scheduled start, so a late run still does its own night. Where the gate
    holds the release, `approve` makes it live all the same, and `ask` pauses the run until a person has decided. A run
    that a schedule made and that starts late may end at once, as the recipe's `[schedule]` says.
    """
    settings = Settings.given(recipe=recipe, lake=lake, landing=landing, releases=releases)
    if state := skipped(settings.read_recipe().schedule):
        return state  # type: ignore[return-value]  # Prefect ends the run with it; only a schedule's run gets here
    night = settings.night(day or day_before_schedule())
    with told_how_it_ends(night) as checks:
        result = run_night(night, promote=promote, approve=approve, ask=ask)
        checks.extend(result.ingested.checks)
    return result


def run_night(night: Night, *, promote: bool, approve: bool = False, ask: bool = False) -> NightResult:
    """The stages of one night, in order; a stage whose artifact is finished is not run again."""
    start = time.perf_counter()
    advance(START, 1, 1)
    learnt = learn(night)
    ingested, parent = learnt.ingested, learnt.parent
    prepared, encoded, sources = learnt.prepared, learnt.encoded, learnt.sources
    scored = evaluate(night, prepared, encoded, sources, parent)
    converged = converge(night, prepared, scored, sources, parent)
    mixed = mix(night, prepared, scored)
    measured = similar(night, prepared, encoded, sources)
    batched = batch(night, prepared, encoded, sources, scored)
    parent_id = parent.id if parent else None
    parts = Parts(prepared, encoded, sources, scored, converged, mixed, measured, batched, parent_id)
    judged = _judge(night, parts)
    page = report(night, parts, judged, ingested, learnt.seconds)
    before_publishing = time.perf_counter()
    now = dt.datetime.now(dt.UTC)
    done = publish(night, parts, judged, page, promote=promote, approved=approve, at=now, who=who_runs())
    published = {"seconds": round(time.perf_counter() - before_publishing, 3)}
    announce(done, ingested, judged)
    if ask and promote and not done.is_live and done.release.decision == "hold":
        done = decided_by_a_person(night, done)
    if done.is_live:
        sweep(night, at=dt.datetime.now(dt.UTC), who=who_runs())
    stages = {"ingest": {"seconds": learnt.seconds["ingest"]}} | parts.facts() | judged.facts()
    stages |= {"report": Manifest.read(page.path).facts, "publish": published}
    took = time.perf_counter() - start
    return NightResult(done.release, done.folder, done.is_live, done.reason, ingested, parts, judged, stages, took)


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a night took in, and the sources fitted to it."""

    ingested: Ingested
    seconds: dict[str, float]
    """Of the stage that leaves no artifact."""
    prepared: Ref
    encoded: Ref
    parent: Release | None
    sources: dict[str, SourceRefs]


def learn(night: Night) -> Learnt:
    """The first half of a night: the day in the logs, and every source fitted and indexed."""
    start = time.perf_counter()
    recipe, first = night.recipe, night.day - dt.timedelta(days=night.recipe.history.days)
    ingested = _ingest(night, first)
    seconds = {"ingest": round(time.perf_counter() - start, 3)}
    alert(night.lake, night.day, recipe, ingested)
    ingested.require(night.day)
    prepared = prepare(night, ingested.logs_digest)
    encoded = encode(night, prepared)
    parent = parent_of(night)
    sources = {name: _fit(night, prepared, encoded, name, parent) for name in recipe.sources}
    return Learnt(ingested, seconds, prepared, encoded, parent, sources)


def _judge(night: Night, parts: Parts) -> Judged:
    """Acceptance tests, and the same questions to the candidate and to the live release."""
    live = incumbent_of(night, parts)
    accepted = accept(night, parts.prepared, parts.encoded, parts.sources, live)
    compared = compare(night, parts.prepared, parts.scored, live)
    return Judged(live.id if live else None, accepted, compared, parts.converged)


def _ingest(night: Night, first: dt.date) -> Ingested:
    """Take in the day; one whose files cannot be used is told like one that a rule refused."""
    recipe = night.recipe
    try:
        return ingest(night.lake, night.landing, (first, night.day), recipe.rules, recipe.actions, required=night.day)
    except PartitionError as error:
        alert(night.lake, night.day, recipe, Ingested.unusable(error))
        raise


def _fit(night: Night, prepared: Ref, encoded: Ref, name: str, parent: Release | None) -> SourceRefs:
    """Train one source and, when it answers through vectors, embed the catalogue and build the index."""
    warm = night.store.model(parent, name, night.recipe.sources[name].kind) if parent else None
    model = train(night, prepared, encoded, name, warm)
    vectors = embed(night, prepared, encoded, name, model)
    if vectors is None:
        return SourceRefs(model)
    return SourceRefs(model, vectors, build_index(night, prepared, name, model, vectors))


def day_before_schedule() -> dt.date:
    """The day before the one the run was scheduled to start on, in UTC."""
    scheduled: dt.datetime = runtime.flow_run.scheduled_start_time
    return (scheduled.astimezone(dt.UTC) - dt.timedelta(days=1)).date()
