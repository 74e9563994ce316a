"""A year of real grocery baskets: nine months of history, then three nights in a row."""

import datetime as dt
from dataclasses import dataclass

from flows.backfill import BackfillResult, run_backfill
from flows.nightly import START, NightResult, nightly
from flows.settings import Settings
from flows.span import Span
from retrieval.progress import advance
from storage.datasets import ImportSummary, import_dataset

DATASET = "complete-journey"
HISTORY = (dt.date(2017, 1, 1), dt.date(2017, 9, 30))
NIGHTS = (dt.date(2017, 10, 1), dt.date(2017, 10, 2), dt.date(2017, 10, 3))


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo did."""

    imported: ImportSummary
    history: BackfillResult
    nights: tuple[NightResult, ...]


def demo(settings: Settings) -> DemoResult:
    """Land Complete Journey, load its first nine months, run three nights."""
    imported = import_dataset(
        DATASET,
        landing=settings.landing_uri,
        progress=lambda done, total, what: advance(f"import {DATASET}", done, total),
    )
    advance(START, 0, 1)
    where = (DATASET, str(settings.place.root), settings.landing_uri)
    first, last = HISTORY
    span = Span(start=first, end=last, max_days=(last - first).days + 1)
    history = run_backfill(span, settings.model_copy(update={"recipe": DATASET}))
    nights = tuple(nightly(day, *where, releases=settings.releases_uri) for day in NIGHTS)
    return DemoResult(imported, history, nights)
