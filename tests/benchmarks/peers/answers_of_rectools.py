"""RecTools: its models and its wrappers of implicit's, by their public `fit` and `recommend`."""

import warnings
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from peer_files import QUESTIONS, TRAINING, Questions, Ranking, Training
from rectools import Columns
from rectools.dataset import Dataset, IdMap, Interactions
from rectools.models import (
    EASEModel,
    ImplicitALSWrapperModel,
    ImplicitItemKNNWrapperModel,
    PopularModel,
    PureSVDModel,
)
from threadpoolctl import threadpool_limits

NEIGHBOURS = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Positive events, and the same with what else users have seen at weight 0: filtered, but no sign of taste."""

    chosen: Dataset
    seen: Dataset


def version() -> str:
    return version_of("rectools")


def prepare(folder: Path, family: str, settings: dict[str, Any]) -> Prepared:
    training = Training.read(folder / TRAINING)
    n_users, n_items = map(int, training.shape)
    held = np.arange(n_items)
    if "n_items_kept" in settings:
        training = training.of_most_chosen(settings["n_items_kept"])
        held = np.unique(training.items)  # EASE's matrix is as large as the map of ids
    users, items = IdMap(np.arange(n_users)), IdMap(held)
    chosen = _table(training.users, training.items, training.times, 1.0)
    if settings.get("counts", "one") == "one" and family != "popular":
        chosen = chosen.drop_duplicates([Columns.User, Columns.Item], keep="last")
    questions = Questions.read(folder / QUESTIONS.format(pairs="new"))
    barred = _table(questions.users[questions.owners()], questions.excluded, int(training.asked_at) - 1, 0.0)
    seen = pd.concat([chosen, barred[barred[Columns.Item].isin(held)]])
    seen = seen.drop_duplicates([Columns.User, Columns.Item], keep="first")
    return Prepared(_dataset(users, items, chosen), _dataset(users, items, seen))


def fit(prepared: Prepared, family: str, settings: dict[str, Any], *, seed: int, threads: int) -> Any:
    for ours in ("n_items_kept", "counts"):
        settings.pop(ours, None)
    with threadpool_limits(1 if family in (*NEIGHBOURS, "als") else threads, "blas"):
        return _model(family, settings, seed, threads).fit(prepared.chosen)


def answer(prepared: Prepared, model: Any, questions: Questions, k: int, *, pairs: str) -> Ranking:
    dataset = prepared.seen if pairs == "new" else prepared.chosen
    found = model.recommend(
        questions.users, dataset, k, filter_viewed=pairs == "new", add_rank_col=False, on_unsupported_targets="ignore"
    )
    order = pd.Series(np.arange(len(questions)), index=questions.users)
    rows = order.loc[found[Columns.User]].to_numpy()
    by_row = np.argsort(rows, kind="stable")
    items, scores = found[Columns.Item].to_numpy()[by_row], found[Columns.Score].to_numpy()[by_row]
    return Ranking.of_rows(rows[by_row], items, scores, len(questions), k)


def _model(family: str, settings: dict[str, Any], seed: int, threads: int) -> Any:
    if family in NEIGHBOURS:
        return ImplicitItemKNNWrapperModel(NEIGHBOURS[family](num_threads=threads, **settings))
    if family == "als":
        inner = AlternatingLeastSquares(random_state=seed, num_threads=threads, **settings)
        return ImplicitALSWrapperModel(inner, recommend_n_threads=threads)
    if family == "ease":
        return EASEModel(recommend_n_threads=threads, **settings)
    if family == "pure_svd":
        return PureSVDModel(random_state=seed, recommend_n_threads=threads, **settings)
    days = settings.pop("period_days", None)
    return PopularModel(period=None if days is None else timedelta(days=days), **settings)


def _dataset(users: IdMap, items: IdMap, events: pd.DataFrame) -> Dataset:
    return Dataset(users, items, Interactions.from_raw(events, users, items))


def _table(users: np.ndarray, items: np.ndarray, times: Any, weight: float) -> pd.DataFrame:
    when = pd.to_datetime(np.broadcast_to(times, len(users)), unit="s")
    return pd.DataFrame({Columns.User: users, Columns.Item: items, Columns.Weight: weight, Columns.Datetime: when})


warnings.filterwarnings("ignore")
