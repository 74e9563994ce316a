"""Several sources' rankings into one: by ranks, by shares of the places, or by what scores were worth before."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from jaxtyping import Float64, Int32
from pydantic import Discriminator, Field, Tag

from retrieval.calibration import UNCALIBRATED, Calibration
from retrieval.dealing import deal, dealers
from retrieval.domain import Candidates
from retrieval.fusing import fused
from retrieval.rules import FrozenModel

BLEND = "blend"
"""The name under which the blend of all sources is measured and asked for."""
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class BlendConfig(FrozenModel, ABC):
    """How one ranking is made of several."""

    kind: str
    depth: int = Field(default=300, ge=1)
    """Candidates taken of each source."""

    @abstractmethod
    def weight(self, name: str) -> float:
        """How much a source counts; 0 leaves it out."""

    @abstractmethod
    def named(self) -> dict[str, Collection[str]]:
        """The sources that each key names."""

    @abstractmethod
    def among(self, names: Collection[str]) -> Self:
        """The blend of some sources alone; if it leaves all of these out, they count the same."""

    @abstractmethod
    def blend(self, found: Mapping[str, Candidates], k: int, calibration: Calibration = UNCALIBRATED) -> Candidates:
        """The best k items over all sources, with scores above 0."""

    @abstractmethod
    def credits(
        self,
        found: Mapping[str, Candidates],
        items: Int32[np.ndarray, "queries k"],
        ranks: Int32[np.ndarray, "queries k sources"],
        calibration: Calibration = UNCALIBRATED,
    ) -> Float64[np.ndarray, "queries k sources"]:
        """What each source gave to each item's score, in the order of `found`; 0 where `ranks` is 0."""

    def counted(self, found: Mapping[str, Candidates]) -> dict[str, Candidates]:
        """The rankings of the sources that are not left out."""
        return {name: ranking for name, ranking in found.items() if self.weight(name) > 0}


class RankFusionConfig(BlendConfig):
    """Weighted reciprocal rank fusion: an item scores the sum over sources of weight / (constant + rank).

    Ties go to the lower item row.
    Source: Cormack, Clarke and Buettcher, SIGIR 2009, with a weight a source.
    """

    kind: Literal["rrf"] = "rrf"
    constant: float = Field(default=60.0, ge=0)
    """Damps the lead of first ranks."""
    weights: dict[str, Weight] = Field(default_factory=dict)
    """Weight by source; 1 where not named, 0 leaves a source out of the blend."""

    def weight(self, name: str) -> float:
        return self.weights.get(name, 1.0)

    def named(self) -> dict[str, Collection[str]]:
        return {"weights": self.weights}

    def among(self, names: Collection[str]) -> Self:
        weights = {name: self.weight(name) for name in names}
        return self.model_copy(update={"weights": weights if any(weights.values()) else {}})

    def blend(self, found: Mapping[str, Candidates], k: int, calibration: Calibration = UNCALIBRATED) -> Candidates:
        rankings = self.counted(found)
        points = [
            self.weight(name) / (self.constant + 1 + np.arange(ranking.items.shape[1]))
            for name, ranking in rankings.items()
        ]
        return fused(list(rankings.values()), points, k)

    def credits(
        self,
        found: Mapping[str, Candidates],
        items: Int32[np.ndarray, "queries k"],
        ranks: Int32[np.ndarray, "queries k sources"],
        calibration: Calibration = UNCALIBRATED,
    ) -> Float64[np.ndarray, "queries k sources"]:
        weights = np.array([self.weight(name) for name in found])
        return np.where(ranks > 0, weights / (self.constant + np.maximum(ranks, 1)), 0)


class DealtConfig(BlendConfig, ABC):
    """Places dealt to sources by their shares (`retrieval/dealing.py`): what one does not use flows on."""

    def blend(self, found: Mapping[str, Candidates], k: int, calibration: Calibration = UNCALIBRATED) -> Candidates:
        return deal(found, {name: self.weight(name) for name in found}, k)

    def credits(
        self,
        found: Mapping[str, Candidates],
        items: Int32[np.ndarray, "queries k"],
        ranks: Int32[np.ndarray, "queries k sources"],
        calibration: Calibration = UNCALIBRATED,
    ) -> Float64[np.ndarray, "queries k sources"]:
        """All to the source that dealt the item."""
        dealer = dealers(found, {name: self.weight(name) for name in found}, items)
        return (dealer[:, :, None] == np.arange(len(found))).astype(np.float64)


class QuotaConfig(DealtConfig):
    """A share of the places for each source."""

    kind: Literal["quota"]
    shares: dict[str, Weight] = Field(min_length=1)
    """Share by source, scaled to sum 1; 0 where not named, which leaves a source out of the blend."""

    def weight(self, name: str) -> float:
        return self.shares.get(name, 0.0)

    def named(self) -> dict[str, Collection[str]]:
        return {"shares": self.shares}

    def among(self, names: Collection[str]) -> Self:
        shares = {name: self.weight(name) for name in names}
        return self.model_copy(update={"shares": shares if any(shares.values()) else dict.fromkeys(names, 1.0)})


class _SomeOrAll(BlendConfig, ABC):
    """A blend in which sources count or do not."""

    without: tuple[str, ...] = ()
    """Sources that are left out of the blend."""

    def weight(self, name: str) -> float:
        return 0.0 if name in self.without else 1.0

    def named(self) -> dict[str, Collection[str]]:
        return {"without": self.without}

    def among(self, names: Collection[str]) -> Self:
        is_nothing_left = not any(self.weight(name) for name in names)
        return self.model_copy(update={"without": ()}) if is_nothing_left else self


class RoundRobinConfig(_SomeOrAll, DealtConfig):
    """The sources deal in turn, in the recipe's order: equal shares."""

    kind: Literal["round_robin"]


class CalibratedConfig(_SomeOrAll):
    """An item scores the probability that it is chosen: 1 - product over its sources of (1 - precision at its score).

    That takes sources to err independently, and makes too much of the agreement of sources that are alike; the greatest
    precision alone would make nothing of any agreement. The curves are those that the release that the night went on
    from measured on its own held-out day: never on the day that the blend is judged by.
    """

    kind: Literal["calibrated"]

    def blend(self, found: Mapping[str, Candidates], k: int, calibration: Calibration = UNCALIBRATED) -> Candidates:
        rankings = self.counted(found)
        points = [_surprise(calibration.precision(name, ranking)) for name, ranking in rankings.items()]
        best = fused(list(rankings.values()), points, k)
        return Candidates(best.items, np.where(np.isneginf(best.scores), -np.inf, -np.expm1(-best.scores)))

    def credits(
        self,
        found: Mapping[str, Candidates],
        items: Int32[np.ndarray, "queries k"],
        ranks: Int32[np.ndarray, "queries k sources"],
        calibration: Calibration = UNCALIBRATED,
    ) -> Float64[np.ndarray, "queries k sources"]:
        """The logarithms, which add up: -log(1 - precision)."""
        credits = np.zeros(ranks.shape, np.float64)
        for source, (name, ranking) in enumerate(found.items()):
            points = self.weight(name) * _surprise(calibration.precision(name, ranking))
            at = np.take_along_axis(points, np.maximum(ranks[:, :, source] - 1, 0), 1)
            credits[:, :, source] = np.where(ranks[:, :, source] > 0, at, 0)
        return credits


def _surprise(precision: Float64[np.ndarray, "queries places"]) -> Float64[np.ndarray, "queries places"]:
    return -np.log1p(-precision)


def _kind(value: Any) -> str:
    found = value.get("kind", "rrf") if isinstance(value, Mapping) else value.kind
    return str(found)


AnyBlend = Annotated[
    Annotated[RankFusionConfig, Tag("rrf")]
    | Annotated[QuotaConfig, Tag("quota")]
    | Annotated[RoundRobinConfig, Tag("round_robin")]
    | Annotated[CalibratedConfig, Tag("calibrated")],
    Discriminator(_kind),
]
"""The blends, told apart by `kind`; rrf where it is not said."""
