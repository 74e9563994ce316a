"""What each source is worth on the newest day, and how many of the places it should get."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.blend import BLEND
from retrieval.evaluation import Holdout
from retrieval.mixing import measure
from retrieval.quotas import Hand, present_shares
from retrieval.seeds import generator
from retrieval.segments import ItemFacts, target_segments
from storage.bundle import MIX
from storage.refs import Ref
from tasks.evaluate import K, read_answers
from tasks.prepare import read_dataset, read_held_out
from tasks.run import Night, stage


@stage("mix", minutes=60)
def mix(night: Night, prepared: Ref, scored: Ref) -> Ref:
    """Deal the sources' answers by many shares, with and without each of them."""
    recipe = night.recipe

    def make(folder: Path) -> dict[str, Any]:
        hand, holdout, items = read_hand(night, prepared, scored)
        segments = target_segments(holdout.queries, holdout.targets, items)
        shares = present_shares(recipe.blend, recipe.sources)
        found = measure(hand, shares, segments, generator(recipe.seed, "mixing"))
        (folder / MIX).write_text(json.dumps(asdict(found), indent=1))
        return {"n_users": found.n_users, "n_sources": len(found.sources)}

    section = [recipe.seed, recipe.blend.model_dump(), recipe.evaluation.model_dump(), recipe.serving.pairs]
    return night.once("mix", [prepared, scored], section, make).ref


def read_hand(night: Night, prepared: Ref, scored: Ref) -> tuple[Hand, Holdout, ItemFacts]:
    """The answers of the night's sources, the questions they answer, and what is known of items."""
    recipe, dataset = night.recipe, read_dataset(prepared, night.day)
    everything = Holdout.of(dataset, read_held_out(prepared), recipe.evaluation.max_users, recipe.seed)
    holdout = everything.both()[recipe.serving.pairs]
    users = sampled(len(holdout.queries), recipe.evaluation.mixing_users, recipe.seed)
    holdout = Holdout(holdout.queries.take(users), holdout.targets.take(users))
    answers = read_answers(scored, recipe.sources)
    found = {name: answers[name].take(users) for name in recipe.sources}
    hand = Hand(found, holdout.targets, len(dataset.catalogue), K, served=answers[BLEND].take(users))
    return hand, holdout, ItemFacts.of(dataset)


def read_mix(mixed: Ref) -> dict[str, Any]:
    """A `Mix` as plain values."""
    found: dict[str, Any] = json.loads((mixed.path / MIX).read_text())
    return found


def sampled(n: int, most: int, seed: int) -> np.ndarray:
    """At most so many of n rows, ascending."""
    return np.sort(generator(seed, "mixed users").choice(n, min(n, most), replace=False))
