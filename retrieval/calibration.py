"""What a source's score was worth: how often an item of that score was chosen on a day that the source had not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from jaxtyping import Float, Float64
from scipy.optimize import isotonic_regression

from retrieval import metrics
from retrieval.domain import UNKNOWN, Candidates, Ragged

LEVELS = 64
"""Most levels of score that are told apart, more of them among the highest, where precision changes fastest."""
LEAST_PLACES = 50
"""Places that the highest level holds at least."""
SHRINKAGE = 20.0
"""Places' worth of the source's mean that are added to each level: few places are little evidence."""
PRIOR_DAMPING = 10.0
"""An item at a rank that nothing is known of is taken to be chosen with probability 1 / (damping + rank)."""
PRIOR_SHARE = 0.01
"""What the rank counts beside a known score: enough to order what is of one level."""
HIGHEST = 0.95
"""No score is worth certainty."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The precision at a few scores, both ascending; linear in between, and level beyond the ends."""

    scores: Float64[np.ndarray, " knots"]
    precision: Float64[np.ndarray, " knots"]

    def at(self, scores: Float[np.ndarray, "queries places"]) -> Float64[np.ndarray, "queries places"]:
        return np.interp(np.where(np.isfinite(scores), scores, self.scores[0]), self.scores, self.precision)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve for each source that was measured."""

    curves: Mapping[str, Curve] = field(default_factory=dict)

    @classmethod
    def measured(cls, found: Mapping[str, Candidates], targets: Ragged, n_items: int) -> Self:
        """What the scores of each source were worth on the questions whose answers are known."""
        curves = {name: _curve(ranking, targets, n_items) for name, ranking in found.items()}
        return cls({name: curve for name, curve in curves.items() if curve is not None})

    def precision(self, source: str, found: Candidates) -> Float64[np.ndarray, "queries places"]:
        """The probability that each of a source's candidates is chosen, by its score; by its rank where none is known.

        Unmeasured, an item of rank r has 1 / (10 + r): about what a day of baskets gives a good source, so that a
        source of which nothing is known yet neither drowns nor drowns out the others.
        """
        prior = np.broadcast_to(1 / (PRIOR_DAMPING + 1 + np.arange(found.items.shape[1])), found.items.shape)
        curve = self.curves.get(source)
        if curve is None:
            return prior
        return np.minimum((1 - PRIOR_SHARE) * curve.at(found.scores) + PRIOR_SHARE * prior, HIGHEST)

    def only(self, names: Sequence[str]) -> "Calibration":
        """The curves of some sources."""
        return Calibration({name: curve for name, curve in self.curves.items() if name in names})

    def as_plain(self) -> dict[str, dict[str, list[float]]]:
        """The curves as JSON has them."""
        return {
            name: {"scores": curve.scores.tolist(), "precision": curve.precision.tolist()}
            for name, curve in self.curves.items()
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Mapping[str, Sequence[float]]]) -> Self:
        """The calibration that gave these curves."""
        return cls(
            {name: Curve(*(np.asarray(curve[k]) for k in ("scores", "precision"))) for name, curve in plain.items()}
        )


UNCALIBRATED = Calibration()


def _curve(found: Candidates, targets: Ragged, n_items: int) -> Curve | None:
    """Isotonic regression of hit on score, over levels of score whose means are drawn towards the source's.

    Source: Zadrozny and Elkan, KDD 2002.
    """
    is_found = found.items != UNKNOWN
    scores, hits = found.scores[is_found].astype(np.float64), metrics.hits(found, targets, n_items)[is_found]
    if not len(scores):
        return None
    level = _levels(scores)
    n_places = np.bincount(level)
    means = np.bincount(level, hits) + SHRINKAGE * hits.mean()
    fitted = isotonic_regression(means / (n_places + SHRINKAGE), weights=n_places)
    n_of_step = np.add.reduceat(n_places, fitted.blocks[:-1])
    score_of_step = np.add.reduceat(np.bincount(level, scores), fitted.blocks[:-1]) / n_of_step
    return Curve(score_of_step, fitted.x[fitted.blocks[:-1]])


def _levels(scores: Float64[np.ndarray, " places"]) -> np.ndarray:
    """Which level each score is of, ascending and without gaps; equal scores are of one level."""
    tails = np.geomspace(1, min(1, LEAST_PLACES / len(scores)), LEVELS)
    edges = np.unique(np.quantile(scores, 1 - tails))
    return np.unique(np.searchsorted(edges, scores, side="right"), return_inverse=True)[1]
