"""What a backfill has to do for each day of a span, by what is done already."""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from retrieval.schema import Kind


class Mode(StrEnum):
    """Which days of a span are done."""

    missing = "missing"
    failed = "failed"
    all = "all"


class Steps(StrEnum):
    """How far each day is taken; each step includes those before it."""

    logs = "logs"
    train = "train"
    evaluate = "evaluate"


@dataclass(frozen=True, slots=True)
class DayState:
    """How far one day is."""

    day: dt.date
    landed: frozenset[Kind] = frozenset()
    recorded: frozenset[Kind] = frozenset()
    """What the logs have judged, loaded or refused."""
    is_refused: bool = False
    """Whether a rule refused it."""
    is_correction_refused: bool = False
    """Whether a rule refused what landed for it later; what was there before is in the logs."""
    was_tried: bool = False
    """Whether a night or a backfill looked at it and left a page of what it found."""
    waits: bool = False
    """Whether events that landed later wait for a backfill of this day."""
    release: str | None = None
    """The newest release of the day, by the recipe and of the logs as they are."""
    is_release_refused: bool = False

    @property
    def is_unloaded(self) -> bool:
        return bool(self.landed - self.recorded) or self.waits

    @property
    def is_in_logs(self) -> bool:
        """Whether a night of it could be run."""
        return "events" in self.landed and "events" in self.recorded and not self.is_refused

    @property
    def is_unusable(self) -> bool:
        """Whether its files were looked at, and nothing of them is in the logs."""
        return bool(self.landed - self.recorded) and self.was_tried

    def wants_logs(self, mode: Mode) -> bool:
        """Whether it has to be loaded."""
        wanted = {
            Mode.missing: self.is_unloaded,
            Mode.failed: bool(self.landed) and (self.is_refused or self.is_correction_refused or self.is_unusable),
            Mode.all: bool(self.landed) or self.waits,
        }
        return wanted[mode]

    def wants_night(self, mode: Mode) -> bool:
        """Whether it has to be trained, where it is in the logs: by itself, whatever is loaded before."""
        wanted = {
            Mode.missing: self.release is None and not self.is_refused,
            Mode.failed: self.is_release_refused,
            Mode.all: True,
        }
        return "events" in self.landed and wanted[mode]

    def sentence(self) -> str:
        """How far it is, in a few words."""
        said = {
            "events that landed later wait for it": not self.landed and self.waits,
            "nothing landed": not self.landed,
            "refused by a rule": self.is_refused,
            "its files could not be used": self.is_unusable,
            "landed, not loaded": bool(self.landed - self.recorded),
            "loaded, its correction was refused by a rule": self.is_correction_refused,
            "loaded, events that landed later wait for it": self.waits,
            "loaded, no release": self.release is None,
            f"loaded, release {self.release} was refused": self.is_release_refused,
        }
        return next((text for text, holds in said.items() if holds), f"loaded, release {self.release}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill has to do, by the states of its days."""

    load: tuple[dt.date, ...]
    nights: tuple[dt.date, ...]

    @classmethod
    def of(cls, states: Sequence[DayState], mode: Mode, steps: Steps) -> "Plan":
        """What is done for days as they are now.

        A day that is loaded changes what every later one has learnt from, so their releases are missing then, too.
        """
        load = tuple(state.day for state in states if state.wants_logs(mode))
        if steps is Steps.logs:
            return cls(load, ())
        nights = [
            state.day
            for state in states
            if state.wants_night(mode)
            or ("events" in state.landed and state.day in load)
            or (mode is Mode.missing and load and state.day > load[0] and state.is_in_logs)
        ]
        return cls(load, tuple(nights))

    @property
    def days(self) -> tuple[dt.date, ...]:
        return tuple(sorted({*self.load, *self.nights}))

    def of_day(self, day: dt.date, steps: Steps) -> str:
        """What would be done for a day, in a few words; empty where there is nothing to do."""
        night = {Steps.logs: "", Steps.train: "train", Steps.evaluate: "train, evaluate, keep a release"}[steps]
        parts = ["load" if day in self.load else "", night if day in self.nights else ""]
        return ", ".join(part for part in parts if part)


def nights_after_loading(states: Sequence[DayState], loaded: Collection[dt.date], mode: Mode) -> tuple[dt.date, ...]:
    """The days to train, by how far they are once the logs are loaded; `loaded` are those that this took in."""
    wanted = [s for s in states if s.wants_night(mode) or (mode is Mode.failed and s.day in loaded)]
    return tuple(state.day for state in wanted if state.is_in_logs)
