"""Where factors lie in an index: scores stay, items without factors come last, likeness is that of users' scores."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from retrieval.domain import Dataset
from retrieval.errors import ModelError
from retrieval.factors import FactorSpace, balance_of, carried_over, normalised_sums, refuse_empty, ridge_map
from retrieval.synthetic import planted_world
from retrieval.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def space() -> FactorSpace:
    rng = np.random.default_rng(1)
    factors = rng.standard_normal((60, 4)).astype(np.float32) * rng.uniform(0.01, 2, (60, 1)).astype(np.float32)
    factors[::6] = 0
    offset = np.where(np.arange(60) % 6 == 0, 0, rng.uniform(0, 1, 60)).astype(np.float32)
    return FactorSpace(factors, offset, balance_of(users()))


def users() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((30, 4)).astype(np.float32) @ np.diag([5, 1, 0.1, 0.01]).astype(
        np.float32
    )


def test_the_inner_product_of_an_item_and_a_user_is_that_of_their_factors_and_the_offset(space: FactorSpace) -> None:
    found = space.queries(users()) @ space.items().T
    wanted = users() @ space.factors.T + space.offset
    has = np.arange(60) % 6 != 0
    np.testing.assert_allclose(found[:, has], wanted[:, has], rtol=1e-3, atol=1e-3)


def test_items_without_factors_come_behind_all_others_for_everybody(space: FactorSpace) -> None:
    against_all = -np.abs(users()) * 10
    for asked in (users(), against_all.astype(np.float32)):
        scores = space.queries(asked) @ space.items().T
        has = np.arange(60) % 6 != 0
        assert (scores[:, ~has].max(axis=1) <= scores[:, has].min(axis=1)).all()


def test_all_items_are_equally_long_and_no_two_lie_in_one_point(space: FactorSpace) -> None:
    items = space.items()
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), np.linalg.norm(items[0]), rtol=1e-4)
    assert len(np.unique(items, axis=0)) == len(items)
    np.testing.assert_array_equal(items, space.items())


def test_an_item_is_most_like_the_one_that_users_score_most_nearly_alike(space: FactorSpace) -> None:
    has = np.flatnonzero(np.arange(60) % 6 != 0)
    scores = users() @ space.factors.T + space.offset
    found = space.seeds(space.items()[has]) @ space.items()[has].T
    apart = ((scores[:, has][:, :, None] - scores[:, has][:, None, :]) ** 2).mean(axis=0)
    np.fill_diagonal(apart, np.inf)
    np.fill_diagonal(found, -np.inf)
    nearest, second = np.sort(apart, axis=1)[:, 0], np.sort(apart, axis=1)[:, 1]
    clear = second > 1.5 * nearest
    assert clear.sum() > 10
    assert (found.argmax(axis=1) == apart.argmin(axis=1))[clear].mean() > 0.9


def test_nothing_without_factors_is_like_anything(space: FactorSpace) -> None:
    scores = space.seeds(space.items()) @ space.items().T
    has = np.arange(60) % 6 != 0
    assert (scores[:, ~has].max(axis=1) < scores[:, has].min(axis=1)).all()


def test_a_normalised_sum_is_the_weighted_sum_over_the_root_of_the_weights() -> None:
    chosen = sp.csr_array(np.array([[2.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], np.float32))
    factors = np.array([[1, 0], [0, 4], [3, 3]], np.float32)
    wanted = [[2 / np.sqrt(2.5), 2 / np.sqrt(2.5)], [0, 0], [3, 3]]
    np.testing.assert_allclose(normalised_sums(chosen, factors), wanted, rtol=1e-6)


def test_the_ridge_map_finds_a_planted_one_and_shrinks_with_the_ridge() -> None:
    rng = np.random.default_rng(3)
    inputs, planted = rng.standard_normal((500, 3)).astype(np.float32), rng.standard_normal((3, 2))
    targets = (inputs @ planted).astype(np.float32)
    np.testing.assert_allclose(ridge_map(inputs, targets, 1e-6), planted, atol=1e-3)
    damped = inputs.T @ inputs + 0.5 * np.trace(inputs.T @ inputs) / 3 * np.eye(3)
    np.testing.assert_allclose(ridge_map(inputs, targets, 0.5), np.linalg.solve(damped, inputs.T @ targets), rtol=1e-4)


def test_former_rows_are_found_again_by_their_ids_and_empty_ones_are_not() -> None:
    ids = Vocabulary(pa.array(["a", "b", "c", "d"]), "item")
    former, former_ids = np.array([[1, 1], [0, 0], [3, 3]], np.float32), pa.array(["b", "c", "d"])
    start = np.full((4, 2), 9, np.float32)
    assert carried_over(start, ids, former, former_ids).tolist() == [[9, 9], [1, 1], [9, 9], [3, 3]]


def test_a_log_without_positives_is_refused_with_its_cure() -> None:
    dataset: Dataset = planted_world(n_users=5, n_items=8, n_days=2).dataset(planted_world(n_days=2).days[-1])
    with pytest.raises(ModelError, match="als: there is no positive event before 2024-01-02.*Land at least"):
        refuse_empty(sp.csr_array((5, 8), dtype=np.float32), replace(dataset), "als")
