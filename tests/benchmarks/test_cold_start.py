"""What towers make of whom and what nobody has met: people without a history, and items that were never chosen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_peers import data_folder, default_cache
from peer_fan_out import fit_exact
from peer_sets import SETS, missing
from peer_splits import Split

from retrieval import metrics
from retrieval.domain import Candidates, Dataset
from retrieval.evaluation import Holdout
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.retrievers.two_tower import ContentTwoTowerConfig, TowersConfig, TwoTowerConfig
from retrieval.seeds import generator

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
(FILMS,) = (real_set for real_set in SETS if real_set.name == "movielens-100k")
ABSENT = missing(FILMS, data_folder())
HOW = {
    "dim": 48, "min_history": 0, "history_dropout": 0.5, "epochs": 4, "train_days": 240,
    "uniform_negatives": 1024, "learning_rate": 0.004,
}  # fmt: skip
CONTENT = ContentTwoTowerConfig.model_validate(HOW)
IDS = TwoTowerConfig.model_validate(HOW | {"inputs": ("ids",), "id_dropout": 0.0})
SEEDS = (1, 2)
COLD_SHARE = 0.1


@pytest.fixture(scope="module")
def splits() -> list[Split]:
    """The five windows that `make bench-peers` reports."""
    return list(FILMS.splits(data_folder(), Path(default_cache())))[1:]


def recalls(found: Candidates, holdout: Holdout) -> np.ndarray:
    hit = metrics.hits(found, holdout.targets, len(holdout.queries.eligible))
    return metrics.recall(hit, holdout.targets, 100)


def pooled(config: FamilyConfig, splits: list[Split], seeds: tuple[int, ...] = SEEDS) -> np.ndarray:
    """Recall@100 of everybody who has no history, mean over seeds."""
    found = []
    for split in splits:
        holdout = split.holdouts["new"]
        is_new = np.diff(holdout.queries.histories.offsets) == 0
        answers = [fit_exact(config, split.dataset, seed).retrieve(holdout.queries, 100) for seed in seeds]
        found.append(np.mean([recalls(answer, holdout) for answer in answers], axis=0)[is_new])
    return np.concatenate(found)


@pytest.mark.skipif(ABSENT is not None, reason=str(ABSENT))
def test_people_without_a_history_are_served_above_the_popularity_of_their_segment(splits: list[Split]) -> None:
    rng = np.random.default_rng(0)
    ways = {
        f"popular by {field}": PopularConfig(half_life_days=7.0, segments=(field,))
        for field in ("age", "occupation", "gender")
    }
    floors = {name: pooled(config, splits, (1,)) for name, config in ways.items()}
    floors["popular"] = pooled(PopularConfig(half_life_days=7.0), splits, (1,))
    towers = {
        "content_two_tower": pooled(CONTENT, splits),
        "content_two_tower with trends": pooled(CONTENT.model_copy(update={"inputs": ("content", "trends")}), splits),
    }
    best = max((floors[name] for name in ways), key=np.mean)
    print(f"\n{len(best)} people without a history, recall@100 [95 %]; less the best segment's [95 %]")
    for name, values in (floors | towers).items():
        whole, gap = metrics.estimate(values, rng), metrics.estimate(values - best, rng)
        print(
            f"| {name} | {whole.mean:.4f} [{whole.low:.4f}, {whole.high:.4f}] | {gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}] |"
        )
    for values in towers.values():
        assert metrics.estimate(values - best, rng).low > 0


@pytest.mark.skipif(ABSENT is not None, reason=str(ABSENT))
def test_content_finds_items_that_nobody_chose_where_ids_cannot(splits: list[Split]) -> None:
    """A tenth of the films is taken out of everybody's past, and looked for in the answers."""
    found: dict[str, list[np.ndarray]] = {"content_two_tower": [], "ids alone": []}
    for split in splits:
        is_cold = generator(17, split.name).random(len(split.dataset.catalogue)) < COLD_SHARE
        histories, holdout = split.dataset.histories, split.holdouts["new"]
        dataset = replace(split.dataset, histories=histories.where(~is_cold[histories.items]))
        asked = holdout.queries.histories
        holdout = replace(holdout, queries=replace(holdout.queries, histories=asked.where(~is_cold[asked.items])))
        owners, values = holdout.targets.owners(), holdout.targets.values
        n_cold = np.bincount(owners[is_cold[values]], minlength=len(holdout.targets))
        for name, config in (("content_two_tower", CONTENT), ("ids alone", IDS)):
            by_seed = [cold_recall(config, dataset, holdout, is_cold, n_cold, seed) for seed in SEEDS]
            found[name].append(np.mean(by_seed, axis=0))
    content, ids = (np.concatenate(parts) for parts in found.values())
    rng = np.random.default_rng(0)
    for name, values in (("content_two_tower", content), ("ids alone", ids)):
        whole = metrics.estimate(values, rng)
        print(
            f"\n{len(values)} people, cold items, recall@100: {name} {whole.mean:.4f} [{whole.low:.4f}, {whole.high:.4f}]"
        )
    gain = metrics.estimate(content - 3 * ids, rng)
    print(f"content less three times ids: {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
    assert gain.low > 0


def cold_recall(
    config: TowersConfig, dataset: Dataset, holdout: Holdout, is_cold: np.ndarray, n_cold: np.ndarray, seed: int
) -> np.ndarray:
    """Share of each user's cold targets among the first 100, of users who have some."""
    answer = fit_exact(config, dataset, seed).retrieve(holdout.queries, 100)
    hit = metrics.hits(answer, holdout.targets, len(is_cold)) & is_cold[answer.items]
    has_some = n_cold > 0
    return hit.sum(axis=1)[has_some] / n_cold[has_some]
