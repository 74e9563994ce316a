"""One variant of an experiment on one night: trained, placed, and asked about the day's items."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from retrieval.convergence import Positions
from retrieval.dataset import build_histories, build_people
from retrieval.domain import Dataset, Histories, State
from retrieval.errors import RecipeError
from retrieval.experiment import AGES, Answered, Experiment
from retrieval.item_quality import ItemHoldout, ItemJudge
from retrieval.retrievers.indexed import embed, join
from retrieval.retrievers.protocol import AnswersByVectors
from retrieval.similarity import HeadHealth, answers_of, health_of, name_of
from retrieval.spaces import Placed, Space
from storage.logs import open_logs
from storage.manifest import Manifest
from storage.refs import Ref
from storage.states import read_state, write_state
from tasks.encode import read_text_vectors
from tasks.prepare import read_dataset
from tasks.run import Night, stage

POSITIONS = "positions"
HEADS = "heads.json"
HOLDOUT_SEED = 1
"""Every seed of every variant is asked about the same items."""


@stage("ask", minutes=60)
def ask_variant(night: Night, prepared: Ref, encoded: Ref, model: Ref, experiment: Experiment, logs_digest: str) -> Ref:
    """Each trigger's figures for each head of a trained source and each share of their merge, by exact search."""
    recipe, source = night.recipe, experiment.source
    config, settled_days = recipe.similar, recipe.convergence.settled_days

    def make(folder: Path) -> dict[str, Any]:
        dataset = replace(read_dataset(prepared, night.day), text_vectors=read_text_vectors(encoded))
        fitted = recipe.sources[source].restore(read_state(model.path))
        spaces = embed(fitted, dataset)
        _keep_positions(folder / POSITIONS, dataset, spaces, settled_days)
        placed = {head: Placed.exactly(s) for head, s in spaces.items()}
        before, ahead = _around(night, dataset, experiment.ahead_days)
        holdout = ItemHoldout.of(before, ahead, config.window_days, config.max_triggers, HOLDOUT_SEED)
        judge, answering = ItemJudge(before, holdout, HOLDOUT_SEED), join(fitted, placed)
        if not isinstance(answering, AnswersByVectors):
            raise RecipeError(
                f"experiment {experiment.name} asks source {source!r} about items, but a {recipe.sources[source].kind} "
                f"has no vectors. Name a source that has, such as one of kind mtmh or two_tower."
            )
        answers, names = answers_of(answering, holdout, config.alphas), []
        health = health_of(source, answering, answers) if len(spaces) > 1 else None
        (folder / HEADS).write_text(json.dumps(health and asdict(health)))
        for (head, alpha), found in answers.items():
            names.append(name_of("", head, alpha).strip())
            write_state(folder / str(len(names)), State(arrays=judge.columns_with_age(found, AGES)))
        (folder / "ways.json").write_text(json.dumps(names))
        return {"n_triggers": len(holdout), "n_ways": len(names)}

    how = [config.model_dump(), experiment.ahead_days, settled_days, logs_digest]
    section = [source, recipe.sources[source].model_dump(), *how]
    return night.once("ask", [prepared, encoded, model], section, make).ref


def read_answered(asked: Ref, model: Ref) -> Answered:
    """What a variant gave on a night, and what its training took."""
    names = json.loads((asked.path / "ways.json").read_text())
    columns = {name: read_state(asked.path / str(number)).arrays for number, name in enumerate(names, start=1)}
    heads = sorted(folder for folder in (asked.path / POSITIONS).iterdir() if folder.is_dir())
    positions = {folder.name: _unpacked(read_state(folder)) for folder in heads}
    health = json.loads((asked.path / HEADS).read_text())
    seconds = Manifest.read(model.path).facts["seconds"]
    return Answered(columns, positions, seconds, health and HeadHealth(**health))


def _keep_positions(folder: Path, dataset: Dataset, spaces: Mapping[str, Space], settled_days: int) -> None:
    ids, first_seen = dataset.catalogue.ids.ids.to_pylist(), dataset.catalogue.first_seen
    for head, space in spaces.items():
        seen = Positions.of(dataset.day, ids, first_seen, space.targets)
        write_state(folder / head, _packed(seen.worth_keeping(settled_days, HOLDOUT_SEED)))


def _packed(found: Positions) -> State:
    arrays = {"first_seen": found.first_seen, "vectors": found.vectors}
    return State(arrays, {"day": found.day}, strings={"ids": pa.array(found.ids.tolist(), pa.string())})


def _unpacked(state: State) -> Positions:
    ids = np.asarray(state.strings["ids"].to_pylist(), str)
    return Positions(int(str(state.facts["day"])), ids, state.arrays["first_seen"], state.arrays["vectors"])


def _around(night: Night, dataset: Dataset, ahead_days: int) -> tuple[Dataset, Histories]:
    """What was known before the day and what came from it on, of everybody who had come by the end of it."""
    recipe, last = night.recipe, night.day + dt.timedelta(days=ahead_days - 1)
    first = night.day - dt.timedelta(days=recipe.history.days)
    with open_logs(night.lake.logs, read_only=True) as logs:
        people = build_people(logs.people(last + dt.timedelta(days=1), recipe.history.context_keys))
        before, ahead = logs.interactions(first, night.day - dt.timedelta(days=1)), logs.interactions(night.day, last)
    known = build_histories(before, dataset.catalogue, people, recipe.actions)
    held_out = build_histories(ahead, dataset.catalogue, people, recipe.actions)
    return replace(dataset, people=people, histories=known), held_out
