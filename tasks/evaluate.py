"""Every source and their blend, asked about the newest day, which none of them has seen."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.blend import BLEND
from retrieval.domain import Candidates, State
from retrieval.evaluation import Holdout, score
from retrieval.recommender import with_blend
from retrieval.segments import ItemFacts
from storage.bundle import ANSWERS, SCORES
from storage.refs import Ref
from storage.states import write_state
from tasks.prepare import read_dataset, read_held_out
from tasks.run import Night, stage
from tasks.sources import SourceRefs

K = 100


@stage("evaluate", minutes=60)
def evaluate(night: Night, prepared: Ref, sources: Mapping[str, SourceRefs]) -> Ref:
    """Score all sources on the day's users: all they chose, and what was new to them."""
    recipe = night.recipe

    def make(folder: Path) -> dict[str, Any]:
        dataset = read_dataset(prepared, night.day)
        items = ItemFacts.of(dataset)
        everything = Holdout.of(dataset, read_held_out(prepared), recipe.evaluation.max_users, recipe.seed)
        fitted = {name: source.restore(recipe, name) for name, source in sources.items()}
        scores, costs = [], dict[str, float]()
        for pairs, holdout in everything.both().items():
            found = {}
            for name, source in fitted.items():
                start = time.perf_counter()
                found[name] = source.retrieve(holdout.queries, max(K, recipe.blend.depth))
                costs[name] = round(1e6 * (time.perf_counter() - start) / max(len(holdout.queries), 1), 1)
            ranked = with_blend(found, recipe.blend, K)
            floor = next((ranked[name] for name, config in recipe.sources.items() if config.kind == "popular"), None)
            measured = [score(name, pairs, r, holdout, items, recipe.seed, floor) for name, r in ranked.items()]
            scores += [asdict(source) for source in measured]
            if pairs == recipe.serving.pairs:
                _write_answers(folder / ANSWERS, ranked)
        (folder / SCORES).write_text(json.dumps(scores, indent=1))
        return {"microseconds_per_query": costs}

    inputs = [prepared] + [ref for source in sources.values() for ref in source.refs]
    families = {name: config.model_dump() for name, config in recipe.sources.items()}
    section = [recipe.seed, recipe.blend.model_dump(), recipe.evaluation.model_dump(), families, recipe.serving.pairs]
    return night.once("evaluate", inputs, section, make).ref


def read_answers(scored: Ref, sources: Iterable[str]) -> dict[str, Candidates]:
    """What each source and the blend answered to those pairs that tell how good the release is."""
    folder = scored.path / ANSWERS
    return {
        name: Candidates(*(np.load(folder / name / f"{part}.npy", mmap_mode="r") for part in ("items", "scores")))
        for name in (*sources, BLEND)
    }


def _write_answers(folder: Path, ranked: Mapping[str, Candidates]) -> None:
    for name, found in ranked.items():
        write_state(folder / name, State(arrays={"items": found.items, "scores": found.scores}))
