"""The book of incidents: what is open, what was, and how nights ended. Written whole, by one process at a time."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from retrieval.errors import IncidentsError
from storage.durable import locked, write_durable

FORMAT = 1
MOST_PAST, MOST_NIGHTS = 500, 100
Plain = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """One incident, from when to when, and whether people were told."""

    incident: Plain
    opened_at: str
    resolved_at: str | None = None
    told_opened: bool = False
    told_resolved: bool = False

    @property
    def id(self) -> str:
        return f"{self.incident['kind']}.{self.incident['key']}"

    @property
    def opened(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.opened_at)

    @property
    def resolved(self) -> dt.datetime | None:
        return dt.datetime.fromisoformat(self.resolved_at) if self.resolved_at else None


@dataclass(slots=True)
class Book:
    """All that is remembered between two looks."""

    since: str | None = None
    """When this lake was first watched."""
    watched: str | None = None
    """When it was last watched."""
    open: list[Entry] = field(default_factory=list)
    past: list[Entry] = field(default_factory=list)
    nights: list[Plain] = field(default_factory=list)
    """How the last runs of nights ended, oldest first."""

    def note_night(self, outcome: Plain) -> None:
        """Remember how a run ended; a run is known by its id."""
        others = [night for night in self.nights if night["run"] != outcome["run"]]
        self.nights = sorted([*others, outcome], key=lambda night: str(night["at"]))[-MOST_NIGHTS:]

    def close(self, entry: Entry, at: dt.datetime) -> None:
        """Move an incident to the past."""
        entry.resolved_at = at.isoformat()
        self.open.remove(entry)
        self.past = [*self.past, entry][-MOST_PAST:]

    def untold(self) -> list[Entry]:
        """Incidents of whose beginning or end people were not told yet, oldest first.

        What began and ended without anybody being told is not worth waking anybody for.
        """
        over = [entry for entry in self.past if entry.told_opened and not entry.told_resolved]
        return over + [entry for entry in self.open if not entry.told_opened]


def read_book(path: Path) -> Book:
    """The book as it was last written; an empty one where there is none.

    Raises:
        IncidentsError: when it is damaged.
    """
    try:
        plain = json.loads(path.read_bytes())
        if plain["format"] != FORMAT:
            raise IncidentsError(f"{path} is of format {plain['format']}, and this software knows {FORMAT}. Use newer.")
        entries = {part: [Entry(**entry) for entry in plain[part]] for part in ("open", "past")}
        return Book(plain["since"], plain["watched"], entries["open"], entries["past"], list(plain["nights"]))
    except FileNotFoundError:
        return Book()
    except (ValueError, KeyError, TypeError) as error:
        raise IncidentsError(
            f"{path} is damaged ({error}). Remove it: what still holds is found, and told, again."
        ) from error


@contextmanager
def opened_book(path: Path) -> Iterator[Book]:
    """The book to write in, while no other process does; it is kept when the block ends, also by an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(".lock")):
        book = read_book(path)
        try:
            yield book
        finally:
            write_durable(path, json.dumps(asdict(book) | {"format": FORMAT}, indent=1).encode())
