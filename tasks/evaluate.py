"""Every source and their blend, asked about the newest day, which none of them has seen."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.blend import BLEND
from retrieval.calibration import UNCALIBRATED, Calibration
from retrieval.domain import Candidates, Dataset, State
from retrieval.evaluation import Holdout, Pairs, score
from retrieval.fanout import fan_out
from retrieval.merging import Merge, blended
from retrieval.policy_costs import policy_costs
from retrieval.recipe import Recipe
from retrieval.retrievers.protocol import Retriever
from retrieval.segments import ItemFacts
from storage.bundle import ANSWERS, BLENDED_WITH, CALIBRATION, POLICIES, RECIPE, SCORES
from storage.reader import read_calibration
from storage.refs import Ref
from storage.releases import Release
from storage.states import write_state
from tasks.encode import read_text_vectors
from tasks.prepare import read_dataset, read_held_out
from tasks.run import Night, stage
from tasks.sources import SourceRefs

K = 100


@stage("evaluate", minutes=60)
def evaluate(
    night: Night, prepared: Ref, encoded: Ref, sources: Mapping[str, SourceRefs], parent: Release | None
) -> Ref:
    """Score all sources on the day's users: all they chose, and what was new to them.

    The blend is what is served, with all policies. One that is calibrated goes by what the parent's scores were worth
    on the parent's own day; what this night's are worth is written down for its child.
    """
    recipe, calibration = night.recipe, _former_calibration(night, parent)

    def make(folder: Path) -> dict[str, Any]:
        dataset = replace(read_dataset(prepared, night.day), text_vectors=read_text_vectors(encoded))
        everything = Holdout.of(dataset, read_held_out(prepared), recipe.evaluation.max_users, recipe.seed)
        fitted = {name: source.restore(recipe, name) for name, source in sources.items()}
        merge = Merge(recipe.blend, recipe.policy.of(dataset), calibration)
        scores, costs = [], dict[str, float]()
        for pairs, holdout in everything.both().items():
            depth = merge.depth(K, len(fitted))
            # They are timed, so one after the other.
            found = fan_out(fitted, holdout.queries, depth, threads=False, clock=time.perf_counter)
            shown = blended(fitted, merge, holdout.queries, K, found=found.candidates)
            ranked = {name: ranking.top(K) for name, ranking in found.candidates.items()} | {BLEND: shown}
            scores += _scores(recipe, dataset, pairs, holdout, ranked)
            if pairs == recipe.serving.pairs:
                _write_answers(folder / ANSWERS, ranked)
                _write_calibration(folder / CALIBRATION, found.candidates, holdout)
                _write_policies(folder / POLICIES, recipe, merge, fitted, found.candidates, shown, holdout)
                n_queries = max(len(holdout.queries), 1)
                costs = {name: round(took / n_queries, 1) for name, took in found.microseconds.items()}
        (folder / SCORES).write_text(json.dumps(scores, indent=1))
        (folder / BLENDED_WITH).write_text(json.dumps(calibration.as_plain(), indent=1))
        return {"microseconds_per_query": costs}

    inputs = [prepared, encoded] + [ref for source in sources.values() for ref in source.refs]
    families = {name: config.model_dump() for name, config in recipe.sources.items()}
    section = [
        recipe.seed,
        recipe.blend.model_dump(),
        recipe.policy.model_dump(),
        recipe.evaluation.model_dump(),
        families,
        recipe.serving.pairs,
        calibration.as_plain(),
    ]
    return night.once("evaluate", inputs, section, make).ref


def read_answers(scored: Ref, sources: Iterable[str]) -> dict[str, Candidates]:
    """What each source and the blend answered to those pairs that tell how good the release is."""
    folder = scored.path / ANSWERS
    places = {name: [folder / name / f"{part}.npy" for part in ("items", "scores")] for name in (*sources, BLEND)}
    return {
        name: Candidates(*(np.load(path, mmap_mode="r", allow_pickle=False) for path in paths))
        for name, paths in places.items()
    }


def read_merge(recipe: Recipe, dataset: Dataset, encoded: Ref, scored: Ref) -> Merge:
    """How answers were made when they were measured."""
    policies = recipe.policy.of(replace(dataset, text_vectors=read_text_vectors(encoded)))
    return Merge(recipe.blend, policies, read_calibration(scored.path))


def _former_calibration(night: Night, parent: Release | None) -> Calibration:
    """What the parent's scores were worth, of sources that are configured as they were: others score otherwise."""
    recipe = night.recipe
    if parent is None or recipe.blend.kind != "calibrated":
        return UNCALIBRATED
    measured = Calibration.from_plain(json.loads(night.store.read(parent, CALIBRATION)))
    theirs = json.loads(night.store.read(parent, RECIPE))["sources"]
    same = [name for name, config in recipe.sources.items() if theirs.get(name) == config.model_dump(mode="json")]
    return measured.only(same)


def _scores(
    recipe: Recipe, dataset: Dataset, pairs: Pairs, holdout: Holdout, ranked: Mapping[str, Candidates]
) -> list[dict[str, Any]]:
    items = ItemFacts.of(dataset)
    floor = next((ranked[name] for name, config in recipe.sources.items() if config.kind == "popular"), None)
    return [asdict(score(name, pairs, r, holdout, items, recipe.seed, floor)) for name, r in ranked.items()]


def _write_answers(folder: Path, ranked: Mapping[str, Candidates]) -> None:
    for name, found in ranked.items():
        write_state(folder / name, State(arrays={"items": found.items, "scores": found.scores}))


def _write_calibration(path: Path, found: Mapping[str, Candidates], holdout: Holdout) -> None:
    measured = Calibration.measured(found, holdout.targets, len(holdout.queries.eligible))
    path.write_text(json.dumps(measured.as_plain(), indent=1))


def _write_policies(
    path: Path,
    recipe: Recipe,
    merge: Merge,
    sources: Mapping[str, Retriever],
    found: Mapping[str, Candidates],
    shown: Candidates,
    holdout: Holdout,
) -> None:
    costs = policy_costs(sources, merge, found, shown, holdout, recipe.seed)
    path.write_text(json.dumps([asdict(cost) for cost in costs], indent=1))
