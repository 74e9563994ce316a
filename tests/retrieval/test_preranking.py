"""A preranker's score is an inner product that an index ranks by, and it puts first what it was taught to want."""

from typing import Final

import numpy as np
import pytest

from retrieval.domain import UNKNOWN
from retrieval.index import IndexConfig, build_tuned
from retrieval.learning_prerankers import features
from retrieval.preranking import Preranker, learnt
from retrieval.text import unit

HEADS: Final = ("engagement", "relevance")


def drawn(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((n, 4)).astype(np.float32) for name in HEADS}


def test_features_are_similarities_head_by_head_and_the_worth() -> None:
    heads, asked, worth = drawn(9, 0), drawn(2, 1), np.arange(9, dtype=np.float32)
    items = np.array([[3, 8, 0], [1, UNKNOWN, 2]], np.int32)
    found = features(items, asked, heads, worth)
    for query, place in ((0, 0), (0, 1), (1, 2)):
        item = items[query, place]
        wanted = [heads[name][item] @ asked[name][query] for name in HEADS] + [float(item)]
        assert found[query, place] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weights", [(2.0, 0.5, 1.5), (3.0, -1.0, 0.2), (0.0, 1.0, -0.5)])
def test_the_inner_product_is_the_weighted_sum_of_what_is_weighed(weights: tuple[float, ...]) -> None:
    heads, asked, worth = drawn(9, 0), drawn(5, 1), np.arange(9, dtype=np.float32)
    preranker = Preranker(np.array(weights))
    everything = np.tile(np.arange(9, dtype=np.int32), (5, 1))
    wanted = features(everything, asked, heads, worth) @ preranker.weights
    found = preranker.of_questions(asked) @ preranker.of_items(heads, worth).T
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    lengths = np.linalg.norm(preranker.of_items(heads, worth), axis=1)
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)


def test_a_graph_finds_items_that_are_seldom_chosen() -> None:
    rng = np.random.default_rng(0)
    heads = {name: unit(rng.standard_normal((3000, 16)).astype(np.float32)) for name in HEADS}
    preranker = Preranker(np.array([6.0, 3.0, 1.0]))
    vectors = preranker.of_items(heads, rng.exponential(1.5, 3000).astype(np.float32))
    _, quality = build_tuned(vectors, preranker.of_questions(heads), IndexConfig())
    assert quality.recall_at_10 > 0.99
    assert quality.links == IndexConfig().links


def test_what_is_learnt_is_the_lowest_point_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    given, truth = rng.standard_normal((400, 12, 3)), np.array([2.0, -1.0, 0.0])
    odds = np.exp(given @ truth)
    found = learnt(given, odds / odds.sum(axis=1, keepdims=True))
    assert found == pytest.approx(truth, abs=0.08)
