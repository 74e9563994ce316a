"""What the command and its workers tell each other: one split, its questions, and the rankings that come back.

Numpy and nothing else, since it is read in the environment of every library. The right answers are not among the files
that a worker is given.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

UNKNOWN = -1
"""The padding of short rankings."""
TRAINING, QUESTIONS, RANKING = "training.npz", "questions-{pairs}.npz", "ranking-{pairs}.npz"


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Arrays that are written to one file and read back."""

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        with np.load(path, allow_pickle=False) as held:
            return cls(**{field.name: held[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Training(_Arrays):
    """Every positive event before the questions are asked; a pair may come several times."""

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray
    """Seconds from 1970-01-01."""
    shape: np.ndarray
    """How many users and items there are."""
    asked_at: np.ndarray
    """Seconds from 1970-01-01, a single number."""

    def of_most_chosen(self, n: int) -> Self:
        """The same events, of the n items that most of them name: for models that no larger catalogue fits."""
        counts = np.bincount(self.items, minlength=int(self.shape[1]))
        kept = np.zeros(len(counts), bool)
        kept[np.argsort(-counts, kind="stable")[:n]] = True
        keep = kept[self.items]
        return type(self)(self.users[keep], self.items[keep], self.times[keep], self.shape, self.asked_at)


@dataclass(frozen=True, slots=True)
class Questions(_Arrays):
    """Who asks, and which items each answer must not hold."""

    users: np.ndarray
    offsets: np.ndarray
    excluded: np.ndarray
    """Question i excludes `excluded[offsets[i]:offsets[i + 1]]`."""

    def __len__(self) -> int:
        return len(self.users)

    def owners(self) -> np.ndarray:
        """The question that each excluded item belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


@dataclass(frozen=True, slots=True)
class Ranking(_Arrays):
    """Items of each question, best first, padded with `UNKNOWN` and minus infinity."""

    items: np.ndarray
    scores: np.ndarray

    @classmethod
    def empty(cls, n_questions: int, k: int) -> Self:
        return cls(np.full((n_questions, k), UNKNOWN, np.int32), np.full((n_questions, k), -np.inf, np.float32))

    @classmethod
    def of_rows(cls, rows: np.ndarray, items: np.ndarray, scores: np.ndarray, n_questions: int, k: int) -> Self:
        """From one entry a question and item, best first in each question; questions ascend."""
        ranking = cls.empty(n_questions, k)
        places = np.arange(len(rows)) - np.searchsorted(rows, rows)
        first = places < k
        ranking.items[rows[first], places[first]] = items[first]
        ranking.scores[rows[first], places[first]] = scores[first]
        return ranking
