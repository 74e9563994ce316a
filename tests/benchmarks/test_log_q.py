"""What the towers' negatives and their log Q are worth: five ways to train, one year of groceries, the same users."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bench_peers import default_cache
from peer_fan_out import fit_exact
from peer_sets import SETS, missing
from peer_splits import Split

from retrieval import metrics
from retrieval.retrievers.two_tower import TwoTowerConfig

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]
(GROCERIES,) = (real_set for real_set in SETS if real_set.name == "complete-journey")
CONFIG = TwoTowerConfig(inputs=("ids", "content"), dim=64, learning_rate=0.004, id_dropout=0.3, train_days=180)
WAYS = {
    "mixed + log Q": CONFIG,
    "in-batch + log Q": CONFIG.model_copy(update={"uniform_negatives": 0}),
    "mixed, no log Q": CONFIG.model_copy(update={"log_q": 0.0}),
    "in-batch, no log Q": CONFIG.model_copy(update={"uniform_negatives": 0, "log_q": 0.0}),
    "in-batch, wrong sign": CONFIG.model_copy(update={"uniform_negatives": 0, "log_q": -1.0}),
}
PUBLISHED = ("mixed + log Q", "in-batch + log Q", "in-batch, no log Q", "in-batch, wrong sign")
"""Each is to be better than the one after it."""
SEEDS, N_WEEKS = (1,), 1


def splits() -> Iterator[Split]:
    """The last weeks, as many as are asked for."""
    every = list(GROCERIES.splits(None, Path(default_cache())))
    yield from every[-N_WEEKS:]


def measured(split: Split, config: TwoTowerConfig, seed: int) -> tuple[np.ndarray, float]:
    """Recall@100 of each user, new pairs, and the share of the catalogue that somebody gets."""
    holdout = split.holdouts["new"]
    found = fit_exact(config, split.dataset, seed).retrieve(holdout.queries, 100)
    n_items = len(split.dataset.catalogue)
    hit = metrics.hits(found, holdout.targets, n_items)
    return metrics.recall(hit, holdout.targets, 100), metrics.breadth(metrics.shown(found, n_items, 100))


@pytest.mark.skipif(missing(GROCERIES, None) is not None, reason=str(missing(GROCERIES, None)))
def test_mixed_negatives_with_log_q_are_best_and_the_wrong_sign_is_worst() -> None:
    recalls: dict[str, list[np.ndarray]] = {name: [] for name in WAYS}
    breadths: dict[str, list[float]] = {name: [] for name in WAYS}
    for split in splits():
        for name, config in WAYS.items():
            by_seed = [measured(split, config, seed) for seed in SEEDS]
            recalls[name].append(np.mean([recall for recall, _ in by_seed], axis=0))
            breadths[name].append(float(np.mean([breadth for _, breadth in by_seed])))
            print(f"{split.name} {name}: {recalls[name][-1].mean():.4f}", flush=True)
    rng = np.random.default_rng(0)
    pooled = {name: np.concatenate(found) for name, found in recalls.items()}
    print("\n| negatives | recall@100, new pairs [95 %] | coverage@100 | less the next below |\n|---|---|---|---|")
    for name, values in pooled.items():
        whole = metrics.estimate(values, rng)
        below = dict(pairwise(PUBLISHED)).get(name)
        gap = metrics.estimate(values - pooled[below], rng) if below else None
        said = f"{gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]" if gap else ""
        print(
            f"| {name} | {whole.mean:.4f} [{whole.low:.4f}, {whole.high:.4f}] | {np.mean(breadths[name]):.4f} | {said} |"
        )
    for better, worse in pairwise(PUBLISHED):
        assert metrics.estimate(pooled[better] - pooled[worse], rng).low > 0, (better, worse)
