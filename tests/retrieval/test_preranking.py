"""A preranker puts first what it was taught to want, and leaves the rest as the head had it."""

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Candidates
from retrieval.preranking import Preranker, features, learnt
from retrieval.spaces import Space


def test_features_are_similarities_head_by_head_and_the_rate() -> None:
    rng = np.random.default_rng(0)
    spaces = {
        name: Space(rng.standard_normal((9, 4)).astype(np.float32), worth=np.arange(9, dtype=np.float32))
        for name in ("engagement", "relevance")
    }
    asked = {name: rng.standard_normal((2, 4)).astype(np.float32) for name in spaces}
    items = np.array([[3, 8, 0], [1, UNKNOWN, 2]], np.int32)
    found = features(items, asked, spaces)
    for query, place in ((0, 0), (0, 1), (1, 2)):
        item = items[query, place]
        wanted = [spaces[name].targets[item] @ asked[name][query] for name in spaces] + [float(item)]
        assert found[query, place] == pytest.approx(wanted, rel=1e-5)


def test_what_is_learnt_is_the_lowest_point_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    given, truth = rng.standard_normal((400, 12, 3)), np.array([2.0, -1.0, 0.0])
    odds = np.exp(given @ truth)
    found = learnt(given, odds / odds.sum(axis=1, keepdims=True))
    assert found == pytest.approx(truth, abs=0.08)


def test_order_follows_the_weights_and_padding_stays_last() -> None:
    space = Space(np.eye(4, dtype=np.float32), worth=np.array([0, 3, 2, 9], np.float32))
    found = Candidates(np.array([[0, 1, 2, UNKNOWN]], np.int32), np.array([[3, 2, 1, -np.inf]], np.float32))
    asked = {"engagement": np.zeros((1, 4), np.float32)}
    ranked = Preranker(np.array([0.0, 1.0])).rank(found, asked, {"engagement": space})
    assert ranked.items.tolist() == [[1, 2, 0, UNKNOWN]]
    assert Preranker.none(1).rank(found, asked, {"engagement": space}) is found
