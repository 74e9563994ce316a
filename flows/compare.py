"""Variants of a recipe side by side: every variant and seed walks the same nights and is asked about the same items."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prefect import flow

from flows.settings import Settings
from retrieval.convergence import Curve, Positions
from retrieval.experiment import FIGURES, Comparison, Experiment, compare
from retrieval.progress import advance
from retrieval.settling import curves_of, settling
from storage.manifest import Manifest
from storage.refs import Ref
from tasks.comparison_page import write_comparison
from tasks.encode import encode
from tasks.experiment import SETTLED_DAYS, ask_variant, read_asked, read_positions
from tasks.ingest import ingest
from tasks.prepare import prepare
from tasks.run import Night
from tasks.train import train

FEWEST_NIGHTS = 4
"""With fewer nights nothing is said of how fresh items settle."""


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
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    seconds: dict[str, float] = {}
    cohorts: dict[str, list[Curve]] = {}
    for number, (variant, seed) in enumerate((v, s) for v in experiment.variants for s in experiment.seeds):
        advance("compare variants", number, n)
        recipe = experiment.recipe_of(base, variant, seed)
        nights = [Night(d, recipe, settings.place, settings.landing_uri, settings.releases_uri) for d in days]
        asked, took = _walk(nights, experiment, ingested.logs_digest)
        for way, curves in _curves([read_positions(of) for of in asked], experiment).items():
            cohorts.setdefault(f"{variant} {way}".strip(), []).extend(curves)
        answers = [read_asked(of) for of in asked]
        seconds[variant] = seconds.get(variant, 0.0) + took / len(experiment.seeds)
        for way in answers[0]:
            found.setdefault(f"{variant} {way}".strip(), []).append(_joined([of[way] for of in answers]))
    advance("compare variants", n, n)
    settled = {way: settling(curves, _least(experiment)) for way, curves in cohorts.items()}
    comparison = compare(experiment, found, seconds, {way: s for way, s in settled.items() if s is not None})
    return ComparisonResult(comparison, write_comparison(settings.place, day, experiment, comparison, found))


def _least(experiment: Experiment) -> int:
    """The nights that a cohort has to have been followed: half of all."""
    return experiment.nights // 2


def _curves(nights: Sequence[dict[str, Positions]], experiment: Experiment) -> dict[str, list[Curve]]:
    """The cohorts of each head that were followed long enough; all their items count as chosen."""
    if experiment.nights < FEWEST_NIGHTS:
        return {}
    return {
        head: curves_of([of[head] for of in nights], nights[-1][head].ids, SETTLED_DAYS, _least(experiment))
        for head in nights[0]
    }


def _walk(nights: Sequence[Night], experiment: Experiment, logs_digest: str) -> tuple[list[Ref], float]:
    """A variant's answers night after night, each trained from the one before, and the mean seconds of a training."""
    asked, took, warm = [], 0.0, None
    for night in nights:
        prepared = prepare(night, logs_digest)
        encoded = encode(night, prepared)
        model: Ref = train(night, prepared, encoded, experiment.source, warm)
        asked.append(ask_variant(night, prepared, encoded, model, experiment, logs_digest))
        took, warm = took + Manifest.read(model.path).facts["seconds"], model
    return asked, took / len(nights)


def _joined(nights: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """All nights' triggers in one row."""
    return {name: np.concatenate([of[name] for of in nights], axis=-1) for name in (*FIGURES, "by_age")}
