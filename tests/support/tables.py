"""Planted rankings whose worth is known, for tests of dealing and mixing."""

import numpy as np

from retrieval.domain import UNKNOWN, Candidates, Ragged
from retrieval.quotas import Hand


def candidates(rows: list[list[int]], width: int) -> Candidates:
    items = np.full((len(rows), width), UNKNOWN, np.int32)
    for row, ranking in enumerate(rows):
        items[row, : len(ranking)] = ranking
    return Candidates(items, np.where(items == UNKNOWN, -np.inf, 0).astype(np.float32))


def ragged(rows: list[list[int]]) -> Ragged:
    owners = np.array([row for row, values in enumerate(rows) for _ in values], np.int64)
    return Ragged.from_owners(owners, np.array([v for values in rows for v in values], np.int32), len(rows))


def random_hand(n_users: int, n_sources: int = 3, n_items: int = 60, width: int = 20, seed: int = 0) -> Hand:
    """Sources of falling quality over the same targets, with short rankings among them."""
    rng = np.random.default_rng(seed)
    targets = [sorted(rng.permutation(n_items)[: rng.integers(1, 6)].tolist()) for _ in range(n_users)]
    found = {}
    for source in range(n_sources):
        rows = []
        for wanted in targets:
            liked = rng.random(n_items)
            liked[wanted] += 0.6 / (1 + source) * rng.random(len(wanted))
            rows.append(np.argsort(-liked)[: rng.integers(0, width + 1) if rng.random() < 0.2 else width].tolist())
        found[f"s{source}"] = candidates(rows, width)
    return Hand(found, ragged(targets), n_items, width)


def planted_hand(n_users: int = 200, width: int = 20) -> Hand:
    """Of 20 targets a user, `left` names the first 10 in its first half, `right` the other 10, `echo` says what `left` says, `noise` none.

    With 20 places the best deal gives half to `left` and half to `right`.
    """
    rng = np.random.default_rng(1)
    targets, rows = [], {name: [] for name in ("left", "right", "echo", "noise")}
    for _ in range(n_users):
        items = rng.permutation(100).tolist()
        wanted, other = items[:20], items[20:]
        targets.append(sorted(wanted))
        rows["left"].append(wanted[:10] + other[:10])
        rows["right"].append(wanted[10:] + other[10:20])
        rows["echo"].append(wanted[:10] + other[:10])
        rows["noise"].append(other[20:40])
    return Hand({name: candidates(found, width) for name, found in rows.items()}, ragged(targets), 100, width)
