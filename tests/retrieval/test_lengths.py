"""Vectors made equally long keep the order by inner product and gain that by angle."""

import numpy as np

from retrieval.lengths import equally_long, zero_added


def test_lengths_become_equal_and_inner_products_stay() -> None:
    rng = np.random.default_rng(0)
    items = (rng.standard_normal((40, 5)) * rng.uniform(0.1, 9, (40, 1))).astype(np.float32)
    queries = rng.standard_normal((7, 5)).astype(np.float32)
    longer, asked = equally_long(items), zero_added(queries)
    np.testing.assert_allclose(np.linalg.norm(longer, axis=1), np.linalg.norm(items, axis=1).max(), rtol=1e-5)
    np.testing.assert_allclose(asked @ longer.T, queries @ items.T, rtol=1e-5, atol=1e-5)


def test_the_order_by_angle_is_the_order_by_inner_product() -> None:
    items = np.array([[1.0, 0.0], [5.0, 5.0], [0.0, 0.1]], np.float32)
    query = np.array([[1.0, 0.2]], np.float32)
    longer, asked = equally_long(items), zero_added(query)
    cosines = (asked @ longer.T)[0] / np.linalg.norm(longer, axis=1)
    assert np.argsort(-cosines).tolist() == np.argsort(-(query @ items.T)[0]).tolist() == [1, 0, 2]


def test_no_vectors_stay_none() -> None:
    assert equally_long(np.zeros((0, 3), np.float32)).shape == (0, 4)
