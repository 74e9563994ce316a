"""implicit: solvers of factor models and neighbours, by its public classes."""

from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, ItemItemRecommender, TFIDFRecommender
from peer_files import TRAINING, UNKNOWN, Questions, Ranking, Training
from threadpoolctl import threadpool_limits

FACTOR_MODELS = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}
NEIGHBOURS = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Users by items: how often each was chosen, or once, as the settings say."""

    chosen: sp.csr_matrix


def version() -> str:
    return version_of("implicit")


def prepare(folder: Path, family: str, settings: dict[str, Any]) -> Prepared:
    training = Training.read(folder / TRAINING)
    ones = np.ones(len(training.users), np.float32)
    chosen = sp.csr_matrix((ones, (training.users, training.items)), tuple(training.shape))
    chosen.sum_duplicates()
    counts = settings.get("counts", "one")
    if counts == "one":
        chosen.data[:] = 1
    elif counts == "log":
        chosen.data = 1 + np.log(chosen.data)
    elif counts != "all":
        raise ValueError(f"counts is {counts!r}: one, log or all")
    return Prepared(chosen)


def fit(prepared: Prepared, family: str, settings: dict[str, Any], *, seed: int, threads: int) -> Any:
    settings.pop("counts", None)
    if family in FACTOR_MODELS:
        model = FACTOR_MODELS[family](random_state=seed, num_threads=threads, **settings)
    else:
        model = NEIGHBOURS[family](num_threads=threads, **settings)
    with threadpool_limits(1, "blas"):  # as implicit itself asks for: its own threads do the work
        model.fit(prepared.chosen, show_progress=False)
    return model


def answer(prepared: Prepared, model: Any, questions: Questions, k: int, *, pairs: str) -> Ranking:
    rows = prepared.chosen[questions.users]
    if len(questions.excluded):
        rows = sp.csr_matrix(_with_zeros(rows, questions))
    with threadpool_limits(1, "blas"):
        found, scores = model.recommend(questions.users, rows, N=k, filter_already_liked_items=pairs == "new")
    # Short rankings are filled with the least float; neighbours' with the user's own items too, at a score of 0.
    least = 0.0 if isinstance(model, ItemItemRecommender) else -1e30
    items = np.where(scores > least, found, UNKNOWN).astype(np.int32)
    return Ranking(items, np.where(items == UNKNOWN, -np.inf, scores).astype(np.float32))


def _with_zeros(rows: sp.csr_matrix, questions: Questions) -> sp.coo_matrix:
    """The same rows with a stored zero for what is seen but was no choice: such items are filtered and count nothing."""
    choices = rows.tocoo()
    owners, items = questions.owners(), questions.excluded
    seen = np.concatenate([choices.data, np.zeros(len(items), np.float32)])
    places = (np.concatenate([choices.row, owners]), np.concatenate([choices.col, items]))
    return sp.coo_matrix((seen, places), rows.shape)
