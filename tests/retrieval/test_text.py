"""Equal texts have equal vectors, and agreement of neighbours is a share."""

import numpy as np
import pytest

from retrieval.text import HashedEncoder, neighbour_agreement, unit

TEXTS = ["rye bread loaf", "rye bread bun", "steel hammer", "", "Rye Bread Loaf"]


def test_hashed_encoder_says_the_same_each_time_and_in_any_company() -> None:
    vectors = HashedEncoder(32).encode(TEXTS)
    np.testing.assert_array_equal(HashedEncoder(32).encode(TEXTS), vectors)
    np.testing.assert_array_equal(HashedEncoder(32).encode(TEXTS[::-1])[::-1], vectors)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, 32)


def test_words_shared_are_similarity_shared() -> None:
    vectors = HashedEncoder(64).encode(TEXTS)
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]
    np.testing.assert_array_equal(vectors[0], vectors[4])


def test_vectors_have_length_one_but_for_a_text_without_words() -> None:
    lengths = np.linalg.norm(HashedEncoder(32).encode(TEXTS), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0, 1], rtol=1e-5)


def test_digest_tells_encoders_of_different_width_apart() -> None:
    assert HashedEncoder(32).digest == HashedEncoder(32).digest != HashedEncoder(64).digest


def test_unit_of_a_zero_row_is_zero() -> None:
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)), [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_an_encoding_agrees_wholly_with_itself_and_with_its_rotation() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.standard_normal((60, 8)).astype(np.float32))
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0].astype(np.float32)
    assert neighbour_agreement(vectors, vectors) == 1.0
    assert neighbour_agreement(vectors, vectors @ rotation) == pytest.approx(1.0, abs=0.005)


def test_agreement_is_the_share_of_neighbours_in_common() -> None:
    # On a circle: 0, 1 and 2 close together, then 3, 4 and 5; in the other encoding 2 and 3 have changed places.
    angles = np.radians([0, 1, 3, 90, 91, 93])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    other = circle[[0, 1, 3, 2, 4, 5]]

    def nearest(vectors: np.ndarray, row: int) -> set[int]:
        similarity = [float(vectors[row] @ vector) if other != row else -2.0 for other, vector in enumerate(vectors)]
        return set(sorted(range(6), key=lambda index: -similarity[index])[:2])

    by_hand = [len(nearest(circle, row) & nearest(other, row)) / 2 for row in range(6)]
    assert neighbour_agreement(circle, other, k=2) == pytest.approx(np.mean(by_hand))
    assert 0 < np.mean(by_hand) < 1


def test_unrelated_encodings_agree_by_chance_alone() -> None:
    rng = np.random.default_rng(1)
    one, other = (rng.standard_normal((200, 8)).astype(np.float32) for _ in range(2))
    assert neighbour_agreement(one, other) == pytest.approx(10 / 199, abs=0.03)
