"""The spaces of two nights laid over each other: vectors learnt anew turn as a whole, which changes no answer.

Source: Schoenemann 1966, the orthogonal Procrustes problem.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

ENOUGH = 2
"""With fewer common items than this many times the dimensions, a rotation fits what is no rotation."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The rotation that brings one night's vectors closest to the next night's."""

    rotation: Float64[np.ndarray, "dim dim"]
    residual: float
    """What no rotation explains: the distance that is left, as a share of the later vectors' own length."""
    n_items: int
    """How many items it was found on."""


def align(before: Float[np.ndarray, "items dim"], after: Float[np.ndarray, "items dim"]) -> Alignment:
    """The rotation R, reflections among them, that minimises |before R - after|, row by row the same items.

    R = U V^T, where U S V^T is the singular value decomposition of before^T after.
    """
    earlier, later = before.astype(np.float64), after.astype(np.float64)
    left, _, right = np.linalg.svd(earlier.T @ later)
    rotation = left @ right
    residual = np.linalg.norm(earlier @ rotation - later) / max(float(np.linalg.norm(later)), 1e-12)
    return Alignment(rotation, float(residual), len(earlier))
