"""Variants of a recipe side by side: every variant and seed walks the same nights and is asked about the same items."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from flows.settings import Settings
from retrieval.experiment import Answered, Comparison, Experiment, compare
from retrieval.progress import advance
from storage.refs import Ref
from tasks.comparison_page import write_comparison
from tasks.encode import encode
from tasks.experiment import ask_variant, read_answered
from tasks.ingest import ingest
from tasks.prepare import prepare
from tasks.run import Night
from tasks.train import train


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """What an experiment found, and where its page is."""

    comparison: Comparison
    page: Path


@flow(name="compare", persist_result=False)
def compare_variants(experiment: Experiment, day: dt.date, lake: str, landing: str | None = None) -> ComparisonResult:
    """Train every variant with every seed on the nights up to a day, and put what they answer side by side."""
    settings = Settings.given(recipe=experiment.recipe, lake=lake, landing=landing)
    base, n = settings.read_recipe(), len(experiment.variants) * len(experiment.seeds)
    days = [day - dt.timedelta(days=back) for back in reversed(range(experiment.nights))]
    span = days[0] - dt.timedelta(days=base.history.days), day + dt.timedelta(days=experiment.ahead_days - 1)
    ingested = ingest(settings.place, settings.landing_uri, span, base.rules, base.actions, required=day)
    ingested.require(day)
    walks: dict[str, list[list[Answered]]] = {variant: [] for variant in experiment.variants}
    for number, (variant, seed) in enumerate((v, s) for v in experiment.variants for s in experiment.seeds):
        advance("compare variants", number, n)
        recipe = experiment.recipe_of(base, variant, seed)
        nights = [Night(d, recipe, settings.place, settings.landing_uri, settings.releases_uri) for d in days]
        walks[variant].append(_walk(nights, experiment, ingested.logs_digest))
    advance("compare variants", n, n)
    comparison = compare(experiment, walks, base.convergence.settled_days)
    return ComparisonResult(comparison, write_comparison(settings.place, day, experiment, comparison))


def _walk(nights: Sequence[Night], experiment: Experiment, logs_digest: str) -> list[Answered]:
    """A variant's answers night after night, each trained from the one before."""
    answered, warm = list[Answered](), None
    for night in nights:
        prepared = prepare(night, logs_digest)
        encoded = encode(night, prepared)
        model: Ref = train(night, prepared, encoded, experiment.source, warm)
        asked = ask_variant(night, prepared, encoded, model, experiment, logs_digest)
        answered.append(read_answered(asked, model))
        warm = model
    return answered
