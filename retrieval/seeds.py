"""Named random generators from one root seed: the same name always gives the same stream, no two names share one."""

import hashlib

import numpy as np


def derived_seed(root: int, *names: object) -> int:
    """A seed of 63 bits for a named purpose."""
    text = "/".join(map(str, (root, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(root: int, *names: object) -> np.random.Generator:
    """A generator for a named purpose."""
    return np.random.default_rng(derived_seed(root, *names))
