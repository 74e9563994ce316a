"""How many choices a day to expect of an item, whether it has long been on offer or since yesterday."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float32, Int64

FLOOR = 0.003
"""Choices a day expected of an item that has long been on offer and that nobody chooses."""
NEW_DAYS = 7
"""Days after the one it was first seen on in which an item is a newcomer."""
PRIOR_DAYS = 50.0
"""Days of newcomers that the whole catalogue's mean stands in for: one newcomer of one day says little."""


@dataclass(slots=True)
class Exposure:
    """Days on offer, decayed as choices are, and how newcomers have been doing lately.

    A Gamma prior for Poisson rates: an item's rate is (choices + a) / (days on offer + b). Its mean a / b is how often
    newcomers are chosen, so that an item without a past is expected to do as they did, and one that was on offer for
    two days is not taken for one that nobody wanted for a hundred. a is FLOOR times all days there are.
    The day an item is first seen on counts for nothing: where a first choice is what makes it seen, it was chosen then
    for certain.
    Empirical Bayes with exposure is textbook matter (Robbins 1956); which prior, and from whom, is ours.
    """

    first_seen: Int64[np.ndarray, " items"]
    first_day: int
    """Of the log: what was there on it is no newcomer."""
    decay: float
    """What is left of a day after the next."""
    days: Float32[np.ndarray, " items"]
    choices: Float32[np.ndarray, " items"]
    newcomers_choices: float = 0.0
    newcomers_days: float = 0.0

    @classmethod
    def none(cls, first_seen: Int64[np.ndarray, " items"], first_day: int, half_life: float) -> Self:
        """Before the first day of a log."""
        return cls(first_seen, first_day, 0.5 ** (1 / half_life), *np.zeros((2, len(first_seen)), np.float32))

    def walk(self, day: int, choices: Float32[np.ndarray, " items"]) -> None:
        """Let a day pass with each item's choices."""
        age, decay = day - self.first_seen, np.float32(self.decay)
        was_there = self.first_seen <= self.first_day
        counts = (age > 0) | (was_there & (age >= 0))
        self.days = self.days * decay + counts
        self.choices = self.choices * decay + np.where(counts, choices, np.float32(0))
        is_new = ~was_there & (age > 0) & (age <= NEW_DAYS)
        self.newcomers_choices = self.newcomers_choices * self.decay + float(choices[is_new].sum())
        self.newcomers_days = self.newcomers_days * self.decay + int(is_new.sum())

    def rates(self) -> Float32[np.ndarray, " items"]:
        """Choices a day to expect; FLOOR / 2 at least."""
        of_all = float(self.choices.sum()) / max(float(self.days.sum()), 1.0)
        of_newcomers = (self.newcomers_choices + PRIOR_DAYS * of_all) / (self.newcomers_days + PRIOR_DAYS)
        a = FLOOR / (1 - self.decay)
        b = a / max(of_newcomers, FLOOR)
        return ((self.choices + a) / (self.days + b)).astype(np.float32)
