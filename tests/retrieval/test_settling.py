"""How soon planted paths are where they stay."""

import numpy as np
import pytest

from retrieval.convergence import Positions
from retrieval.settling import curves_of, settling

N, DIM, NIGHTS = 200, 8, 6


def nights_of(share_left: float) -> list[Positions]:
    """Items of before that hardly move, and twenty new ones that leave a share of their way to go every night."""
    rng = np.random.default_rng(0)
    home, start = rng.standard_normal((N, DIM)), rng.standard_normal((N, DIM))
    first_seen = np.where(np.arange(N) < 180, 0, 100).astype(np.int32)
    ids = [f"i{row:03d}" for row in range(N)]
    found = []
    for night in range(NIGHTS):
        turn, _ = np.linalg.qr(rng.standard_normal((DIM, DIM)))
        left = np.where(first_seen == 100, share_left**night, 0.0)[:, None]
        # A little way, so that a straight line and the arc of unit vectors are nearly the same.
        place = home + 0.2 * left * start + 0.001 * rng.standard_normal((N, DIM))
        found.append(Positions.of(100 + night, ids, first_seen, place @ turn))
    return found


@pytest.mark.parametrize(("share_left", "half"), [(0.5, 1.0), (0.25, 0.67)])
def test_halving_every_night_is_half_way_after_one(share_left: float, half: float) -> None:
    nights = nights_of(share_left)
    found = settling(curves_of(nights, nights[-1].ids, 14, 3), 3)
    assert found is not None and (found.n_cohorts, found.n_items) == (1, 20)
    assert found.nights_to_half == pytest.approx(half, abs=0.1)
    assert found.left == pytest.approx([share_left**age for age in range(4)], abs=0.05)
    assert found.nights_to_half < found.nights_to_nine_tenths
    assert found.lead > 20


def test_nothing_is_said_of_cohorts_that_were_not_followed_long_enough() -> None:
    nights = nights_of(0.5)
    assert settling(curves_of(nights, nights[-1].ids, 14, NIGHTS), NIGHTS) is None
