"""The watch: every few minutes one look at the lake; what is wrong is told once, and once more when it is over."""

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from prefect import flow, runtime
from prefect.logging import get_run_logger
from pydantic import Field

from flows.automations import teller
from flows.settings import Settings
from retrieval.errors import PartitionError
from storage.incidents import opened_book
from storage.layout import Lake
from tasks import tell
from tasks.watch import OF_A_NIGHT, Watched, note_outcome
from tasks.watch import watch as look
from validation.conditions import Outcome
from validation.incidents import Limits
from validation.verdict import Check

if TYPE_CHECKING:
    from tasks.run import Night

NIGHTLY = "nightly"
LOOKBACK = dt.timedelta(days=3)
"""How far back runs of nights are asked for that ended without writing it down."""
Hour = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


@flow(name="watch", flow_run_name="watch", persist_result=False, timeout_seconds=480)
def watch(
    lake: str | None = None,
    releases: str | None = None,
    expected_by: Hour = "06:00",
    max_index_hours: Annotated[float, Field(gt=0)] = 36,
    min_free_gib: Annotated[float, Field(ge=0)] = 5,
    window_days: Annotated[int, Field(ge=1)] = 14,
    at: dt.datetime | None = None,
) -> Watched:
    """Look once at a lake, at the last nights and at the clock; tell what has begun and what is over.

    Args:
        lake: the root folder; the worker's LAMPLIGHTER_LAKE if empty.
        releases: the URI of the releases; the worker's LAMPLIGHTER_RELEASES if empty.
        expected_by: until when the night of the day before has to be done, UTC.
        max_index_hours: how many hours after its last day a live release may stay the newest.
        min_free_gib: how much room there has to be where the lake lies.
        window_days: refused days further behind the newest one are told of no more.
        at: a time to take for now; the clock's if empty.
    """
    settings, clock = Settings.given(lake=lake, releases=releases), dt.datetime.now(dt.UTC)
    place, limits = settings.place, limits_of(expected_by, max_index_hours, min_free_gib, window_days)
    outcomes = tell.ended_nights(NIGHTLY, _names_of(settings), clock - LOOKBACK)
    found = look(place, settings.store, limits, at or clock, outcomes=outcomes, tell=teller(), clock=clock)
    for kind, why in found.unseen.items():
        get_run_logger().warning("%s could not be judged: %s", kind, why)
    _say_watched(place)
    return found


def _say_watched(lake: Lake) -> None:
    """Leave the heartbeat that the server waits for; it goes by the clock, whatever time was taken for now."""
    now = dt.datetime.now(dt.UTC)
    with opened_book(lake.incidents) as book:
        last = dt.datetime.fromisoformat(book.watched) if book.watched else now
        silent = last if now - last > dt.timedelta(minutes=tell.SILENT_MINUTES) else None
        tell.say_watched(lake, now, silent_since=silent)
        book.watched = now.isoformat()


def limits_of(expected_by: str, max_index_hours: float, min_free_gib: float, window_days: int) -> Limits:
    """The limits that parameters and options alike give."""
    by = dt.time.fromisoformat(expected_by)
    return Limits(expected_by=by, max_index_hours=max_index_hours, min_free_gib=min_free_gib, window_days=window_days)


@contextmanager
def told_how_it_ends(night: "Night") -> Iterator[list[Check]]:
    """Write down how a night ended and look at once at what it did, so that nobody waits for the next look.

    The block adds what rules found to the list that it is given. A night that is cancelled or killed leaves nothing
    here: the watch asks the server for it.
    """
    from tasks.judge import UNUSABLE, unusable

    checks: list[Check] = []
    try:
        yield checks
    except Exception as error:
        files = (unusable(error),) if isinstance(error, PartitionError) else ()
        _end(night, "failed", f"{type(error).__name__}: {error}", files)
        raise
    _end(night, "completed", "", tuple(check for check in checks if check.rule == UNUSABLE))


def tell_done(night: "Night") -> None:
    """Write down that a backfill has done a night: what made that night fail before is over."""
    _end(night, "completed", "", (), part=f"/{night.day}")


def _end(
    night: "Night", state: Literal["completed", "failed"], error: str, files: tuple[Check, ...], part: str = ""
) -> None:
    run, now = _run_id(), dt.datetime.now(dt.UTC)
    link = tell.run_link(run) if os.environ.get("PREFECT_API_URL") else None
    try:
        done = Outcome(run + part, night.day, state, now, error[:1000], link, files, tried_all=not part)
        note_outcome(night.lake, done)
        look(night.lake, night.store, Limits(), now, kinds=OF_A_NIGHT, tell=teller())
    except Exception:  # a night is not spoilt by what is said about it; the watch says it again
        get_run_logger().warning("what became of the night could not be told", exc_info=True)


def _run_id() -> str:
    return str(runtime.flow_run.id or dt.datetime.now(dt.UTC).isoformat())


def _names_of(settings: Settings) -> list[str | None]:
    """What a run's parameter may call this lake; nothing, where the environment says it."""
    named: list[str | None] = [str(settings.lake), str(settings.place.root)]
    return [*named, None] if Settings().place.root == settings.place.root else named
