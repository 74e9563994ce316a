"""Each user's last choice as the question: the split of many papers, beside the global split by day.

It leaks time: what is asked about one user lies before events of others that models learn from, so its figures are
comparable with papers and say nothing of a night. docs/evaluation.md has the difference.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int64

from retrieval.domain import Dataset, Histories, Ragged
from retrieval.evaluation import Holdout
from retrieval.queries import ask
from retrieval.seeds import generator


def leave_one_out(dataset: Dataset, *, min_history: int = 1, max_users: int, seed: int) -> tuple[Dataset, Holdout]:
    """The dataset that ends before each user's last positive, and the questions for that positive.

    Users of fewer than `min_history` positives before their last are learnt from whole and not asked. Of positives of
    one instant the one of the highest item row is the last. More than `max_users` are sampled with the seed.
    """
    before, last = _split(dataset.histories, min_history)
    users = np.flatnonzero(last >= 0)
    if len(users) > max_users:
        users = np.sort(generator(seed, "users").choice(users, max_users, replace=False))
    learnt = replace(dataset, histories=dataset.histories.where(before))
    targets = Ragged(np.arange(len(users) + 1, dtype=np.int64), dataset.histories.items[last[users]])
    return learnt, Holdout(ask(learnt, users), targets)


def _split(histories: Histories, min_history: int) -> tuple[Bool[np.ndarray, " events"], Int64[np.ndarray, " users"]]:
    """Which events are learnt from, and which event of each user is asked about: -1 where none is."""
    positive = histories.weights > 0
    running = np.concatenate([[0], np.cumsum(positive)])
    n_positives = running[histories.offsets[1:]] - running[histories.offsets[:-1]]
    asked = n_positives > min_history
    last = np.full(len(histories), -1, np.int64)
    last[asked] = np.flatnonzero(positive)[running[histories.offsets[1:]][asked] - 1]
    ends = np.where(asked, last, histories.offsets[1:])
    return np.arange(histories.n_events) < np.repeat(ends, np.diff(histories.offsets)), last
