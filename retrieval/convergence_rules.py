"""What a recipe asks of fresh items' vectors, and what is said of a cohort that was followed."""

import math
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from retrieval.convergence import Curve
from retrieval.rules import FrozenModel

State = Literal["early", "converging", "failing"]
NOISE = 1e-4
"""Distances between unit vectors below this are the numbers' own."""
MOST_LEFT = 2 / 3
"""Of its lead over established items a cohort may have at most this share left after half of its nights; of its pace
then, this share is slowing down."""
STILL = 0.1
"""Rows whose inner distances change by less than this share of the established items' are not moved by anybody."""
_FACTOR = "If these items may move more than established ones, raise convergence.factor."


class ConvergenceConfig(FrozenModel):
    """Until when a fresh item's vector has to settle, and when a cohort is told to do so or not."""

    settled_days: int = Field(default=14, ge=2, le=365)
    """Days after which an item counts as established; cohorts are followed as long."""
    min_items: int = Field(default=20, ge=2)
    """Items of a cohort, with fewer of which nothing is said of it."""
    min_nights: int = Field(default=5, ge=3)
    """Nights after its first one before anything is said of a cohort: what it has to settle in."""
    factor: float = Field(default=2.0, gt=1.0, allow_inf_nan=False)
    """How many times as far as established items in the same nights its items may move."""
    blocks: bool = False
    """Whether a cohort that fails holds the release until a person decides, or only warns."""

    @model_validator(mode="after")
    def _nights_fit(self) -> Self:
        if self.min_nights > self.settled_days:
            raise ValueError(
                f"min_nights is {self.min_nights} and settled_days {self.settled_days}: no cohort is followed as long"
            )
        return self


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a cohort."""

    state: State
    observed: str
    expected: str
    cure: str

    def sentence(self) -> str:
        """All of it in words."""
        if self.state == "early":
            return f"Too early to tell: {self.observed}, and {self.expected} needed."
        said = f"{self.observed[0].upper()}{self.observed[1:]}"
        return f"{said}; expected {self.expected}. {self.cure}" if self.state == "failing" else f"{said}."


def judge(curve: Curve, config: ConvergenceConfig) -> Verdict:
    """Frozen, not shrinking, restless, or converging; nothing where items or nights are too few.

    With d(t) the cohort's median distance to its settled vectors and e(t) the established items' between the same
    nights, the lead is q(t) = d(t) / e(t); s(t) and g(t) are the median movements of night t. It fails when

    - its inner distances changed by less than STILL of the established items': nobody moves its rows;
    - q(0) > factor, q(n // 2) > MOST_LEFT q(0) and, on average since then, s / g > sqrt(factor): a walk keeps its lead
      and goes on, a settling cohort loses it; items that jump one by one, when they are first chosen, do not go on;
    - s / g > factor in both of the last two nights, unless it is younger than settled_days and s / g is at most
      MOST_LEFT of what it was in the middle of its nights: that is on its way.
    """
    early = _too_early(curve, config)
    if early is not None:
        return early
    lead = [d.median / max(e, NOISE) for d, e in zip(curve.delta, curve.established, strict=True)]
    pace = [s / max(g, NOISE) for s, g in zip(curve.steps, curve.drift, strict=True)]
    n, half = curve.n_nights, curve.n_nights // 2
    if _is_frozen(curve, config):
        return Verdict(
            "failing",
            f"{curve.n_chosen} of {curve.n_items} items were chosen in {n} nights, but the distances between them "
            f"changed by {curve.inner:.4f} in all, those between established items by {curve.inner_established:.4f}",
            f"at least {STILL * curve.inner_established:.4f}",
            "Nobody moves these rows: check that training reaches rows added since the last night.",
        )
    goes_on = sum(pace[half:]) > (n - half) * math.sqrt(config.factor)
    if lead[0] > config.factor and lead[half] > MOST_LEFT * lead[0] and goes_on:
        return Verdict(
            "failing",
            f"the distance to where it is now was {lead[0]:.2f} times the established items' on its first night and "
            f"still {lead[half]:.2f} times {half} nights later",
            f"at most {MOST_LEFT * lead[0]:.2f} by then",
            f"Nothing places these items: check that they have texts, topics and attributes. {_FACTOR}",
        )
    is_slowing = n < config.settled_days and pace[-1] <= MOST_LEFT * pace[half]
    if min(pace[-2:]) > config.factor and not is_slowing:
        return Verdict(
            "failing",
            f"after {n} nights it still moved {pace[-1]:.2f} times as far as established items, "
            f"and {pace[-2]:.2f} times the night before",
            f"at most {config.factor:g} times, or slowing down",
            f"Look at what these items have in common, and at the source's learning rate. {_FACTOR}",
        )
    return Verdict(
        "converging",
        f"{n} nights after its first one it moves {pace[-1]:.2f} times as far as established items; its distance to "
        f"where it is now was {lead[0]:.2f} times theirs at first and {lead[half]:.2f} times {half} nights later",
        f"at most {config.factor:g} times, or slowing down",
        "",
    )


def _too_early(curve: Curve, config: ConvergenceConfig) -> Verdict | None:
    for found, least, what in (
        (curve.n_items, config.min_items, "items"),
        (curve.n_nights, config.min_nights, "nights after the first"),
    ):
        if found < least:
            return Verdict("early", f"{found} {what}", f"{least} are", "")
    return None


def _is_frozen(curve: Curve, config: ConvergenceConfig) -> bool:
    moves = curve.inner_established > NOISE * curve.n_nights
    return curve.n_chosen >= config.min_items and moves and curve.inner < STILL * curve.inner_established
