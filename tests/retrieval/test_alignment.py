"""One night's space laid over the next one's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lineages import random_rotation, unit

from retrieval.alignment import align


def test_a_turned_space_is_turned_back_exactly() -> None:
    rng = np.random.default_rng(0)
    vectors, turn = unit(rng.standard_normal((80, 6))), random_rotation(rng, 6)
    found = align(vectors, vectors @ turn)
    np.testing.assert_allclose(found.rotation, turn, atol=1e-9)
    assert found.residual < 1e-9
    assert found.n_items == 80


def test_no_other_rotation_comes_closer() -> None:
    """The slow twin: every small turn away from what was found, in every plane, leaves more over."""
    rng = np.random.default_rng(1)
    before = unit(rng.standard_normal((60, 4)))
    after = unit(before @ random_rotation(rng, 4) + 0.3 * rng.standard_normal((60, 4)))
    found = align(before, after)
    assert found.residual == pytest.approx(left(before, found.rotation, after))
    for i in range(4):
        for j in range(i):
            for angle in (-0.1, -0.001, 0.001, 0.1):
                plane = np.eye(4)
                plane[[i, i, j, j], [i, j, i, j]] = [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]
                assert left(before, found.rotation @ plane, after) > found.residual


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_what_is_found_is_orthogonal_and_never_worse_than_not_turning(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = (unit(rng.standard_normal((4 * dim, dim))) for _ in range(2))
    found = align(before, after)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(dim), atol=1e-9)
    assert found.residual <= left(before, np.eye(dim), after) + 1e-12


def left(before: np.ndarray, rotation: np.ndarray, after: np.ndarray) -> float:
    return float(np.linalg.norm(before @ rotation - after) / np.linalg.norm(after))
