"""The logs into what models learn from: catalogue, people, histories before the day, and the day itself, held out."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from retrieval.dataset import build_catalogue, build_histories, build_people, day_number
from retrieval.domain import Catalogue, Dataset, Histories, People
from retrieval.packing import pack, unpack
from retrieval.policies import requiring
from retrieval.recommender import serving_dataset
from storage.bundle import BEFORE, CATALOGUE, DISPLAY, PEOPLE, TODAY
from storage.logs import open_logs
from storage.refs import Ref
from storage.states import read_state, write_state
from tasks.run import Night, stage


@stage("prepare", minutes=60)
def prepare(night: Night, logs_digest: str) -> Ref:
    """Split the logs at the day: everything before it to learn from, the day to be asked about."""
    recipe, day = night.recipe, night.day

    def make(folder: Path) -> dict[str, Any]:
        with open_logs(night.lake.logs, read_only=True) as logs:
            items = logs.catalogue(day, recipe.rules)
            catalogue = build_catalogue(items, recipe.history.crosses)
            catalogue = catalogue.blocking(recipe.serving.blocked_items, recipe.serving.blocked_topics)
            catalogue = requiring(catalogue, recipe.policy.require)
            people = build_people(logs.people(day, recipe.history.context_keys))
            first = day - dt.timedelta(days=recipe.history.days)
            before = logs.interactions(first, day - dt.timedelta(days=1))
            held_out = logs.interactions(day, day)
        histories = build_histories(before, catalogue, people, recipe.actions)
        day_itself = build_histories(held_out, catalogue, people, recipe.actions)
        for name, value in {CATALOGUE: catalogue, PEOPLE: people, BEFORE: histories, TODAY: day_itself}.items():
            write_state(folder / name, pack(value))
        pq.write_table(items, folder / DISPLAY)
        return {
            "logs_digest": logs_digest,
            "n_items": len(catalogue),
            "n_users": len(people),
            "n_events_before": histories.n_events,
            "n_events_of_day": day_itself.n_events,
            "n_eligible_items": int(catalogue.eligible(day_number(day) + 1).sum()),
            "n_fresh_items": int(catalogue.fresh(day_number(day)).sum()),
            "n_texts": len(catalogue.texts),
        }

    inputs = [Ref(str(night.lake.logs), logs_digest)]
    reading = [recipe.rules.catalogue, recipe.rules.unknown_items]
    section = [
        reading,
        recipe.history.model_dump(),
        [recipe.serving.blocked_items, recipe.serving.blocked_topics, recipe.policy.require],
        {name: action.model_dump() for name, action in recipe.actions.items()},
    ]
    return night.once("prepare", inputs, section, make).ref


def read_dataset(prepared: Ref, day: dt.date) -> Dataset:
    """What models learn from."""
    folder = prepared.path
    return Dataset(
        day_number(day),
        unpack(Catalogue, read_state(folder / CATALOGUE)),
        unpack(People, read_state(folder / PEOPLE)),
        unpack(Histories, read_state(folder / BEFORE)),
    )


def read_held_out(prepared: Ref) -> Histories:
    """The events of the day itself."""
    return unpack(Histories, read_state(prepared.path / TODAY))


def read_serving(prepared: Ref, day: dt.date) -> Dataset:
    """What readers of the release ask from: the day's own events known, questions as of the next day."""
    learnt, today = read_dataset(prepared, day), read_held_out(prepared)
    return serving_dataset(learnt.catalogue, learnt.people, learnt.histories, today, day_number(day))
