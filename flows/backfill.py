"""Many days at once: their logs and, when asked, models or a release of each; what one day causes stops no other."""

import datetime as dt
import time
from dataclasses import dataclass, field, replace
from typing import Any, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.nightly import START, NightResult, learn, run_night
from flows.settings import Settings
from flows.span import Span
from flows.watch import tell_done
from retrieval.backlog import DayState, Mode, Plan, Steps, nights_after_loading
from retrieval.errors import ArtifactError, ContractError, DaysFailed, LamplighterError, ModelError, ReleaseError
from retrieval.progress import advance, also_listening
from tasks.alert import alert
from tasks.backfilled import Bar, DayDone, link_report, show_days
from tasks.backlog import backlog
from tasks.ingest import Ingested, ingest

OF_ONE_DAY = (ContractError, ModelError, ReleaseError, ArtifactError)
"""What a day can cause without the next ones being in vain."""
NAMED = 5
"""Failed days that the closing sentence names."""


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What a backfill did, or would do."""

    span: Span
    days: tuple[DayDone, ...]
    """Every day of the span, also those with nothing to do."""
    n_left_failed: int
    """Days that failed before and were not asked for."""
    ingested: Ingested | None = None
    nights: tuple[NightResult, ...] = ()

    @property
    def failed(self) -> tuple[DayDone, ...]:
        return tuple(day for day in self.days if day.failed)

    def sentence(self) -> str:
        """What became of the span, as the run's page says it."""
        n_done = sum(bool(day.done) for day in self.days)
        about = f"{self.span.start} to {self.span.end}"
        if self.span.dry_run:
            return f"{about}: {_count(n_done)} would be done, nothing was changed; the table of days says what."
        if not self.failed:
            done = f"{_count(n_done)} done" if n_done else "nothing had to be done"
            failed = (
                f"; {_count(self.n_left_failed)} failed before, mode failed takes them" if self.n_left_failed else ""
            )
            return f"{about}: {done}{failed}."
        first, *more = self.failed
        named = ", ".join(str(day.day) for day in more[:NAMED])
        also = f" Also failed: {named}{' and others' if len(more) > NAMED else ''}." if more else ""
        return (
            f"{about}: {_count(n_done)} done, {_count(len(self.failed))} failed: {first.why}{also} "
            "Mend the cause, then run it again: mode failed takes what was refused, mode missing what lacks a release."
        )


@flow(name="backfill", flow_run_name="backfill-{span.start}-{span.end}", persist_result=False)
def backfill(
    span: Span,
    recipe: str | None = None,
    lake: str | None = None,
    landing: str | None = None,
    releases: str | None = None,
) -> State[BackfillResult]:
    """Do a span of landed days: load their logs and, where asked, train models or make a release of each.

    The run fails with one sentence when what is asked for cannot be meant, and when a day failed; the other days are
    done all the same. Nothing becomes live unless `promote` is set, and never a release of an earlier day than the
    live one.

    Args:
        span: The days to do, which of them, and how far.
        recipe: A recipe's file, or the name of one in deployments/recipes. None: the worker's LAMPLIGHTER_RECIPE.
        lake: The root folder of logs, artifacts and releases. None: the worker's LAMPLIGHTER_LAKE.
        landing: The folder or URI where days land. None: the worker's LAMPLIGHTER_LANDING, or landing in the lake.
        releases: The folder or s3://bucket/prefix of releases. None: the worker's LAMPLIGHTER_RELEASES, or releases
            in the lake.
    """
    advance(START, 1, 1)
    try:
        span.require_sensible(today=dt.datetime.now(dt.UTC).date())
        result = _do(span, Settings.given(recipe=recipe, lake=lake, landing=landing, releases=releases))
    except LamplighterError as error:
        return Failed(message=str(error), data=error)
    if result.failed:
        return Failed(message=result.sentence(), data=DaysFailed(result.sentence(), result))
    return Completed(message=result.sentence(), data=result)


def run_backfill(span: Span, settings: Settings) -> BackfillResult:
    """Run the flow; what it did, also where days failed.

    Raises:
        LamplighterError: when it was refused, or could not go on.
    """
    where = (settings.recipe, str(settings.place.root), settings.landing, settings.releases)
    found: Any = backfill(span, *where, return_state=True).result(raise_on_failure=False)
    if isinstance(found, DaysFailed):
        return cast(BackfillResult, found.result)
    if isinstance(found, BaseException):
        raise found
    return cast(BackfillResult, found)


def _do(span: Span, settings: Settings) -> BackfillResult:
    """Every day that is wanted, oldest first; a table of the days is left however it ends."""
    states = _backlog(span, settings)
    plan = Plan.of(states, span.mode, span.steps)
    days = {state.day: DayDone(state.day, state.sentence()) for state in states}
    failed_before = set(Plan.of(states, Mode.failed, span.steps).days)
    if span.dry_run:
        listed = tuple(replace(done, done=plan.of_day(day, span.steps)) for day, done in days.items())
        result = BackfillResult(span, listed, len(failed_before - set(plan.days)))
        show_days(result.days, result.sentence())
        return result
    work = _Work(span, settings, days, Bar(len(plan.load), len(plan.nights)))
    try:
        work.do(plan)
    finally:
        worked = {day for day, done in days.items() if done.done or done.failed}
        result = BackfillResult(
            span, tuple(days.values()), len(failed_before - worked), work.ingested, tuple(work.nights)
        )
        show_days(result.days, result.sentence())
    return result


def _backlog(span: Span, settings: Settings) -> tuple[DayState, ...]:
    recipe = settings.read_recipe()
    return backlog(settings.place, settings.landing_uri, settings.releases_uri, recipe.id, (span.start, span.end))


@dataclass(slots=True)
class _Work:
    """A backfill that runs, and what it has done by now."""

    span: Span
    settings: Settings
    days: dict[dt.date, DayDone]
    bar: Bar
    ingested: Ingested | None = None
    nights: list[NightResult] = field(default_factory=list)

    def do(self, plan: Plan) -> None:
        """Load what is to be loaded, then the nights that are wanted of the logs as they are then."""
        self.bar.show("Begins.")
        if plan.load:
            self._load(plan.load)
        if self.span.steps is not Steps.logs:
            nights = nights_after_loading(_backlog(self.span, self.settings), plan.load, self.span.mode)
            self.bar.n_nights = len(nights)
            for day in nights:
                self.bar.show(f"Now the night of {day}.")
                self._night(day)
                self.bar.done += 1
        self.bar.done = self.bar.n_days + self.bar.n_nights
        self.bar.show("Ended.")

    def _load(self, days: tuple[dt.date, ...]) -> None:
        settings, recipe = self.settings, self.settings.read_recipe()
        how = (settings.place, settings.landing_uri, (days[0], days[-1]), recipe.rules, recipe.actions)
        with also_listening(self.bar):
            found = self.ingested = ingest(*how, reload=True, only=frozenset(days))
        alert(settings.place, days[-1], recipe, found)
        self.bar.done = len(days)
        for day in days:
            why = found.refused.get(day, "")
            done = "" if why else "loaded"
            self.days[day] = replace(self.days[day], done=done, why=why, failed=bool(why))

    def _night(self, day: dt.date) -> None:
        start = time.perf_counter()
        try:
            done = self._trained(day) if self.span.steps is Steps.train else self._released(day)
        except OF_ONE_DAY as error:
            done = replace(self.days[day], why=str(error), failed=True)
        self.days[day] = replace(done, seconds=time.perf_counter() - start)

    def _trained(self, day: dt.date) -> DayDone:
        learn(self.settings.night(day))
        return replace(self.days[day], done="trained")

    def _released(self, day: dt.date) -> DayDone:
        order = self.settings.night(day)
        night = run_night(order, promote=self.span.promote)
        self.nights.append(night)
        if night.release.decision != "refuse":
            tell_done(order)
        return replace(
            self.days[day],
            done="released",
            release=night.release.id,
            decision=night.release.decision,
            report=link_report(day, night.folder),
            why=" ".join(night.release.reasons) if night.release.decision == "refuse" else night.reason,
            failed=night.release.decision == "refuse",
        )


def _count(n: int) -> str:
    return f"{n:,} day" if n == 1 else f"{n:,} days"
