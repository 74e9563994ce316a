"""The page of what landed: rows, reasons and rules, of refused days too."""

import datetime as dt
from dataclasses import asdict
from pathlib import Path

from retrieval.pages import CheckResult
from retrieval.quality_page import PartitionRows, QualityPage, render
from retrieval.recipe import Recipe
from storage.durable import write_durable
from storage.layout import Lake
from tasks.examples import read_examples
from tasks.ingest import Ingested
from validation.reasons import REASONS


def write_quality_page(lake: Lake, day: dt.date, recipe: Recipe, ingested: Ingested) -> Path:
    """Write what became of everything that was judged for a day, and return where."""
    page = QualityPage(
        day=day,
        recipe_name=recipe.name,
        recipe_id=recipe.id,
        partitions=[PartitionRows(**asdict(entry)) for entry in ingested.counts],
        reasons=dict(ingested.reasons),
        reason_meanings=REASONS,
        checks=[CheckResult(**(asdict(check) | {"day": check.day.isoformat()})) for check in ingested.checks],
        refused=dict(ingested.refused),
        examples=read_examples(lake, ((entry.kind, entry.day) for entry in ingested.counts)),
    )
    path = lake.quality(day)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durable(path, render(page).encode())
    return path
