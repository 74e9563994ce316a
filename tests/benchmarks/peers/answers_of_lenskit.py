"""LensKit: scorers and its ranker, by the components that its pipelines are made of."""

import datetime as dt
import logging
import warnings
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.basic.popularity import PopScorer, TimeBoundedPopScore
from lenskit.data import Dataset, DatasetBuilder, ItemList, RecQuery
from lenskit.knn import EASEScorer, ItemKNNScorer, UserKNNScorer
from lenskit.logging import basic_logging
from lenskit.training import TrainingOptions
from peer_files import TRAINING, Questions, Ranking, Training

SCORERS = {
    "als": ImplicitMFScorer,
    "ease": EASEScorer,
    "item_knn": ItemKNNScorer,
    "user_knn": UserKNNScorer,
    "popular": PopScorer,
    "recent_popular": TimeBoundedPopScore,
}
IMPLICIT_FEEDBACK = ("item_knn", "user_knn")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The positive events as LensKit keeps them, and when the questions are asked."""

    dataset: Dataset
    asked_at: int
    n_items: int


def version() -> str:
    return version_of("lenskit")


def prepare(folder: Path, family: str, settings: dict[str, Any]) -> Prepared:
    training = Training.read(folder / TRAINING)
    if "n_items_kept" in settings:
        training = training.of_most_chosen(settings["n_items_kept"])
    times = pd.to_datetime(training.times, unit="s")
    events = pd.DataFrame({"user_id": training.users, "item_id": training.items, "timestamp": times})
    repeats = family == "recent_popular"  # every other scorer counts a pair once
    if not repeats:
        events = events.drop_duplicates(["user_id", "item_id"], keep="last")
    builder = DatasetBuilder()
    builder.add_interactions(
        "choice", events, entities=["user", "item"], missing="insert", allow_repeats=repeats, default=True
    )
    return Prepared(builder.build(), int(training.asked_at), int(training.shape[1]))


def fit(prepared: Prepared, family: str, settings: dict[str, Any], *, seed: int, threads: int) -> Any:
    settings.pop("n_items_kept", None)
    if family in IMPLICIT_FEEDBACK:
        settings["feedback"] = "implicit"
    if family == "recent_popular":
        window = dt.timedelta(days=settings.pop("window_days"))
        settings["cutoff"] = dt.datetime.fromtimestamp(prepared.asked_at, dt.UTC).replace(tzinfo=None) - window
    scorer = SCORERS[family](**settings)
    scorer.train(prepared.dataset, TrainingOptions(rng=seed, device="cpu"))
    return scorer


def answer(prepared: Prepared, model: Any, questions: Questions, k: int, *, pairs: str) -> Ranking:
    """One question at a time, as LensKit's own batch runner asks."""
    vocabulary, ranking = prepared.dataset.items, Ranking.empty(len(questions), k)
    known = vocabulary.ids()
    everything = ItemList(item_nums=np.arange(len(known)), vocabulary=vocabulary)
    place = np.full(prepared.n_items, -1)
    place[known] = np.arange(len(known))
    for row, user in enumerate(questions.users):
        barred = place[questions.excluded[questions.offsets[row] : questions.offsets[row + 1]]]
        allowed = everything
        if len(barred):
            keep = np.ones(len(known), bool)
            keep[barred[barred >= 0]] = False
            allowed = everything[keep]
        history = prepared.dataset.user_row(user)
        scored = _score(model, RecQuery(user_id=user, history_items=history), allowed).top_n(k)
        ranking.items[row, : len(scored)] = scored.ids()
        ranking.scores[row, : len(scored)] = scored.scores()
    return ranking


def _score(model: Any, query: RecQuery, items: ItemList) -> ItemList:
    scored: ItemList = model(items=items) if isinstance(model, PopScorer) else model(query=query, items=items)
    return scored


warnings.filterwarnings("ignore")
basic_logging(logging.ERROR)  # it would write a line for each user without a history
