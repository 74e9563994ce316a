"""Many days at once: their logs in one pass and, when asked, a night for each."""

import datetime as dt
from dataclasses import dataclass

from prefect import flow

from flows.nightly import START, NightResult, run_night
from flows.settings import Settings
from retrieval.errors import ContractError
from retrieval.progress import advance
from tasks.alert import alert
from tasks.ingest import Ingested, ingest


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What a backfill did."""

    ingested: Ingested
    nights: tuple[NightResult, ...]


@flow(name="backfill", flow_run_name="backfill-{start}-{end}", persist_result=False)
def backfill(
    start: dt.date,
    end: dt.date,
    recipe: str | None = None,
    lake: str | None = None,
    landing: str | None = None,
    train: bool = False,
    promote: bool = False,
    releases: str | None = None,
) -> BackfillResult:
    """Load every landed day of a span again if its bytes changed; with `train`, run a night for each loaded day.

    Nothing becomes live unless `promote` is set, and never a release of an earlier day than the live one.
    """
    advance(START, 1, 1)
    if end < start:
        raise ContractError(f"the backfill ends on {end}, before it starts on {start}. Swap the two days.")
    settings = Settings.given(recipe=recipe, lake=lake, landing=landing, releases=releases)
    chosen, place = settings.read_recipe(), settings.place
    ingested = ingest(place, settings.landing_uri, (start, end), chosen.rules, chosen.actions, reload=True)
    alert(place, end, chosen, ingested)
    span = [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]
    landed = {entry.day for entry in ingested.counts if entry.kind == "events"} - set(ingested.refused)
    days = [day for day in span if day in landed] if train else []
    nights = [run_night(settings.night(day), promote=promote) for day in days]
    return BackfillResult(ingested, tuple(nights))
