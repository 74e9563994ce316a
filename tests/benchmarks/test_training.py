"""Steps of the two towers against what their matrix products alone allow, and against the loss in its eager form."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import torch
from eager import eager_softmax

from retrieval import training
from retrieval.co_engagement import Together
from retrieval.domain import DAY, FOREVER, Catalogue, Dataset, Histories, People, Ragged
from retrieval.nets.mtmh import Mtmh
from retrieval.nets.two_tower import TwoTower
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.retrievers.two_tower import TwoTowerConfig
from retrieval.training import Trainer, sizes_of
from retrieval.training_mtmh import Trainer as MtmhTrainer
from retrieval.training_mtmh import sizes_of as sizes_of_heads
from retrieval.vocabulary import Vocabulary

pytestmark = pytest.mark.benchmark
N_ITEMS, N_FEATURES, TEXT_DIM, DIM, N_BEFORE = 100_000, 2_000, 384, 64, 30
REPEATS, N_STEPS = 5, 12
CONFIG = TwoTowerConfig(
    inputs=("ids", "content"), dim=DIM, pairs="all", uniform_negatives=0, min_history=0, max_pairs=1 << 20
)


def dataset_of(n_users: int) -> Dataset:
    """As many users as pairs: each chose 30 items in the year before, and one on the last day."""
    rng = np.random.default_rng(0)
    ranks = rng.zipf(1.3, (n_users, N_BEFORE + 1)) % N_ITEMS
    ranks[:, -1] = rng.permutation(N_ITEMS)[:n_users]  # candidates that are all different: the whole B x B
    days = np.sort(rng.integers(0, 364, (n_users, N_BEFORE)), axis=1)
    times = np.concatenate([days, np.full((n_users, 1), 364)], axis=1) * DAY
    users = np.repeat(np.arange(n_users), N_BEFORE + 1)
    histories = Histories.build(users, ranks.ravel(), np.ones(ranks.size), times.ravel(), n_users)
    features = np.sort(rng.integers(0, N_FEATURES, (N_ITEMS, 4)), axis=1)
    names = Vocabulary(pa.array([f"topic1={n:05d}" for n in range(N_FEATURES)]), "item feature")
    none = Vocabulary(pa.array([], pa.string()), "nothing")
    always = np.zeros(N_ITEMS, np.int32)
    catalogue = Catalogue(
        Vocabulary(pa.array([f"i{n:06d}" for n in range(N_ITEMS)]), "item"),
        Ragged.from_owners(np.repeat(np.arange(N_ITEMS), 4), features.ravel(), N_ITEMS), names,
        Ragged.empty(N_ITEMS), none, np.arange(N_ITEMS, dtype=np.int32) % 5000, pa.array([""] * 5000),
        always, always, np.full(N_ITEMS, FOREVER, np.int32),
    )  # fmt: skip
    people = People(Vocabulary(pa.array([f"u{n:06d}" for n in range(n_users)]), "user"), Ragged.empty(n_users), none)
    texts = rng.standard_normal((5000, TEXT_DIM)).astype(np.float32)
    return Dataset(365, catalogue, people, histories, texts / np.linalg.norm(texts, axis=1, keepdims=True))


def trainer_of(batch: int) -> Trainer:
    dataset = dataset_of(batch)
    model = TwoTower(sizes_of(dataset, CONFIG), CONFIG.temperature, torch.Generator().manual_seed(0))
    return Trainer(model, dataset, CONFIG, np.random.default_rng(0))


def steps_of(trainer: Trainer) -> Callable[[], object]:
    """The last day again and again: making the batch and learning it, as a night does for each of its days."""
    batches, trends = trainer.batches, trainer.batches.trends(364)
    ((users, items),) = batches.pairs(364)

    def learn() -> None:
        for _ in range(N_STEPS):
            trainer.step(batches.batch(364, users, items, trends, 0.0))

    return learn


def bare_products(batch: int) -> Callable[[], object]:
    """The three matrix products of an in-batch softmax: its scores, and what they say of queries and of items."""
    queries, items = torch.randn(batch, DIM), torch.randn(batch, DIM)
    scores = torch.empty(batch, batch)

    def multiply() -> None:
        torch.matmul(queries, items.T, out=scores)
        torch.matmul(scores, items)
        torch.matmul(scores.T, queries)

    return multiply


def in_turns(*runs: Callable[[], object]) -> list[float]:
    """The median seconds of each, run one after the other again and again."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(REPEATS):
        for run, taken in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken[1:]) for taken in seconds]


@pytest.mark.parametrize("batch", [2048, 4096, 8192])
def test_a_step_takes_at_most_twice_as_long_as_its_matrix_products(batch: int) -> None:
    steps, products = in_turns(steps_of(trainer_of(batch)), bare_products(batch))
    step = steps / N_STEPS
    print(
        f"\nB = {batch}, d = {DIM}: {batch / step:,.0f} pairs a second ({1e3 * step:.0f} ms a step), its three matrix "
        f"products alone {batch / products:,.0f} ({1e3 * products:.0f} ms): {products / step:.2f} of that"
    )
    if batch == 4096:
        assert step <= 2 * products


def test_large_steps_take_less_than_half_as_long_as_with_the_eager_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, eager = steps_of(trainer_of(8192)), steps_of(trainer_of(8192))

    def eager_step() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(training, "sampled_softmax", eager_softmax)
            eager()

    step, eager_seconds = (seconds / N_STEPS for seconds in in_turns(ours, eager_step))
    print(
        f"\nB = 8,192, d = {DIM}: {8192 / step:,.0f} pairs a second, with the eager loss {8192 / eager_seconds:,.0f}: "
        f"{eager_seconds / step:.2f} times as many"
    )
    assert eager_seconds >= 2.5 * step


HEADS = MtmhConfig(dim=DIM, batch_size=2048, uniform_negatives=0, window_days=2.0, triggers_per_target=1)


def steps_of_heads(trainer: MtmhTrainer, pairs: Together) -> Callable[[], object]:
    """The same pairs again and again: making the batch and learning it with both losses."""
    trends = trainer.batches.trends(364)

    def learn() -> None:
        for _ in range(N_STEPS):
            trainer.step(trainer.batches.batch(pairs, trends, 0.0))

    return learn


def products_of_heads(n_queries: int, n_candidates: int) -> Callable[[], object]:
    """Three products a co-engagement of each head, three of the distillation, and the teacher's scores."""
    one, other = torch.randn(n_queries, DIM), torch.randn(n_candidates, DIM)
    taught = torch.randn(n_queries, TEXT_DIM), torch.randn(n_candidates, TEXT_DIM)
    scores = torch.empty(n_queries, n_candidates)

    def multiply() -> None:
        for _ in range(3):
            torch.matmul(one, other.T, out=scores)
            torch.matmul(scores, other)
            torch.matmul(scores.T, one)
        torch.matmul(taught[0], taught[1].T, out=scores)

    return multiply


def test_a_step_of_two_heads_takes_at_most_twice_as_long_as_its_matrix_products() -> None:
    rng, n = np.random.default_rng(0), HEADS.batch_size
    dataset = dataset_of(n)
    model = Mtmh(sizes_of_heads(dataset, HEADS), HEADS.temperature, torch.Generator().manual_seed(0), are_apart=False)
    trainer = MtmhTrainer(model, dataset, HEADS, rng)
    drawn = rng.permutation(N_ITEMS)[: 2 * n]  # all different: the whole B x B
    pairs = Together(np.zeros(n, np.int64), drawn[:n], drawn[n:], np.ones(n, np.float32))
    steps, products = in_turns(steps_of_heads(trainer, pairs), products_of_heads(n, n))
    step = steps / N_STEPS
    print(
        f"\nMTMH, B = {n}, d = {DIM}: {n / step:,.0f} pairs a second ({1e3 * step:.0f} ms a step), its matrix products "
        f"alone {n / products:,.0f} ({1e3 * products:.0f} ms): {products / step:.2f} of that"
    )
    assert step <= 2 * products
