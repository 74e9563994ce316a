"""From the results of all windows to what a table says: pooled figures, their intervals, and paired differences."""

from dataclasses import dataclass
from statistics import median

import numpy as np
import pyarrow as pa
from peer_environments import OURS
from peer_grid import Grid, Model, Race, Settings
from peer_results import METRICS, Laboratory, Result
from peer_splits import WrittenSplit

from retrieval import metrics
from retrieval.evaluation import Pairs
from retrieval.metrics import Estimate
from retrieval.seeds import generator

HOUSE = OURS[0]
KNOWN = "recall_at_100_with_history"
"""recall@100 of the questions of people who have done something before: what personal families can be judged by."""
FIGURES = (*METRICS, KNOWN)
JUDGED = ("recall_at_100", "ndcg_at_10")
"""Figures that the best of the libraries are compared by."""


@dataclass(frozen=True, slots=True)
class Askers:
    """Who asked each question of all windows, and whether they had done anything before."""

    people: np.ndarray
    """One number a person."""
    has_history: np.ndarray


@dataclass(frozen=True, slots=True)
class Pooled:
    """One family over all windows that are reported, with the settings that the validation window chose."""

    model: Model
    settings: Settings
    validated: dict[str, float]
    """Its figures on the validation window."""
    metrics: dict[str, np.ndarray]
    """Figures of all questions of all windows."""
    estimates: dict[str, Estimate]
    coverage_at_100: float
    fit_seconds: float
    ms_a_question: float

    @property
    def is_fan_out(self) -> bool:
        """Whether it is made of other families of ours."""
        return self.model.library == HOUSE and self.model.family.startswith("fan_out")


@dataclass(frozen=True, slots=True)
class Failure:
    """A family without figures."""

    model: Model
    why: str


@dataclass(frozen=True, slots=True)
class Duel:
    """Two families that the validation window calls best of their kind at a figure, and the first less the second."""

    by: str
    ours: Pooled
    other: Pooled
    change: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Summary:
    """One kind of pairs of one set: every family, best first, and how the best of ours compare with others' best."""

    pairs: Pairs
    n_questions: int
    n_without_history: int
    """Questions of people who had done nothing before: a family that says nothing to them scores 0 there."""
    n_targets: int
    families: list[Pooled]
    failures: list[Failure]
    duels: list[Duel]
    """Our best family with each library's best, and our best fan-out with our best family."""


@dataclass(frozen=True, slots=True)
class Lap:
    """How long like fits took: the medians of the laps."""

    name: str
    seconds: dict[str, tuple[float, float] | None]
    """Wall and CPU seconds by library, ours first; None where it could not."""


def chosen_settings(
    lab: Laboratory, model: Model, split: WrittenSplit, pairs: Pairs
) -> tuple[Settings, float] | Failure:
    """The settings with the best figure on the validation window."""
    tried = [(settings, lab.result(model, settings, split)) for settings in lab.grid.trials(model)]
    scored = [
        (result.by_pairs[pairs].mean(lab.grid.select_by), settings) for settings, result in tried if not result.error
    ]
    if not scored:
        return Failure(model, str(tried[0][1].error))
    best = max(range(len(scored)), key=lambda row: scored[row][0])
    return scored[best][1], scored[best][0]


def summarise(
    lab: Laboratory, models: list[Model], validation: WrittenSplit, tests: list[WrittenSplit], pairs: Pairs
) -> Summary:
    """Everything that is known of a set and a kind of pairs."""
    holdouts = [split.holdouts[pairs] for split in tests]
    askers = Askers(
        np.asarray(pa.concat_arrays([split.askers[pairs] for split in tests]).dictionary_encode().indices),
        np.concatenate([np.diff(holdout.queries.histories.offsets) > 0 for holdout in holdouts]),
    )
    rows = [_pooled(lab, model, validation, tests, pairs, askers) for model in models]
    families = sorted(
        (row for row in rows if isinstance(row, Pooled)), key=lambda row: -row.estimates[lab.grid.select_by].mean
    )
    return Summary(
        pairs,
        n_questions=len(askers.people),
        n_without_history=int((~askers.has_history).sum()),
        n_targets=sum(len(h.targets.values) for h in holdouts),
        families=families,
        failures=[row for row in rows if isinstance(row, Failure)],
        duels=[duel for by in JUDGED for duel in duels_by(by, families, askers, lab.grid.seed)],
    )


def _pooled(
    lab: Laboratory,
    model: Model,
    validation: WrittenSplit,
    tests: list[WrittenSplit],
    pairs: Pairs,
    askers: Askers,
) -> Pooled | Failure:
    chosen = chosen_settings(lab, model, validation, pairs)
    if isinstance(chosen, Failure):
        return chosen
    settings = chosen[0]
    before = lab.result(model, settings, validation).by_pairs[pairs]
    results = [lab.result(model, settings, split) for split in tests]
    failed = next((result.error for result in results if result.error), None)
    if failed:
        return Failure(model, failed)
    answers = [result.by_pairs[pairs] for result in results]
    figures = {name: np.concatenate([a.metrics[name] for a in answers]) for name in METRICS}
    return Pooled(
        model,
        settings,
        {name: before.mean(name) for name in METRICS},
        figures,
        _estimates(figures, askers, lab.grid.seed),
        coverage_at_100=float(np.mean([a.coverage_at_100 for a in answers])),
        fit_seconds=float(np.mean([result.fit_seconds for result in results])),
        ms_a_question=1000 * sum(a.seconds for a in answers) / len(askers.people),
    )


def _estimates(figures: dict[str, np.ndarray], askers: Askers, seed: int) -> dict[str, Estimate]:
    known = askers.has_history
    estimates = {name: over_people(values, askers.people, seed) for name, values in figures.items()}
    return estimates | {KNOWN: over_people(figures["recall_at_100"][known], askers.people[known], seed)}


def over_people(values: np.ndarray, people: np.ndarray, seed: int) -> Estimate:
    """The mean over questions; its interval resamples people, each with all they asked, the same for every family."""
    _, rows = np.unique(people, return_inverse=True)
    sums, counts = np.bincount(rows, values), np.bincount(rows).astype(np.float64)
    found = metrics.ratio(sums, counts, generator(seed, "bootstrap"))
    assert found is not None
    return found


def duels_by(by: str, families: list[Pooled], askers: Askers, seed: int) -> list[Duel]:
    """The validation window says who is best, not the windows that are reported."""
    best: dict[str, Pooled] = {}
    for row in families:
        side = "fan-out" if row.is_fan_out else row.model.library
        if side not in best or row.validated[by] > best[side].validated[by]:
            best[side] = row
    ours, fan_out = best.pop(HOUSE, None), best.pop("fan-out", None)
    if ours is None:
        return []
    pairs = [(ours, theirs) for theirs in best.values()] + ([(fan_out, ours)] if fan_out else [])
    return [
        Duel(by, one, other, _estimates({m: one.metrics[m] - other.metrics[m] for m in METRICS}, askers, seed))
        for one, other in pairs
    ]


def lap_times(lab: Laboratory, race: Race, split: WrittenSplit) -> Lap:
    """The median time of each entrant of a race; they take turns."""
    entrants = (race.ours, *race.theirs)
    laps = [[lab.result(e, e.settings, split, lap=1 + turn) for e in entrants] for turn in range(lab.grid.n_laps)]
    return Lap(race.name, {e.library: _median([turn[row] for turn in laps]) for row, e in enumerate(entrants)})


def _median(results: list[Result]) -> tuple[float, float] | None:
    if any(result.error for result in results):
        return None
    return median(result.fit_seconds for result in results), median(result.fit_cpu_seconds for result in results)


def trials_of(grid: Grid, models: list[Model]) -> list[tuple[Model, int, Settings]]:
    """Every trial of every family: the first of each, the second of each, and so on."""
    tried = {model.name: grid.trials(model) for model in models}
    return [
        (model, turn, tried[model.name][turn])
        for turn in range(grid.n_trials)
        for model in models
        if turn < len(tried[model.name])
    ]
