"""One look at a lake: what is wrong with it, what has begun, what is over. It needs no orchestrator."""

import datetime as dt
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from retrieval.errors import LamplighterError
from storage.bundle import CONVERGENCE, REPORT, VERDICT
from storage.incidents import Book, Entry, opened_book, read_book
from storage.layout import Lake
from storage.logs import open_logs
from storage.logs.reading import Recorded
from storage.manifest import MANIFEST
from storage.releases import Release, ReleaseStore
from storage.room import free_bytes
from validation import conditions
from validation.conditions import Candidate, Outcome
from validation.health import GIB
from validation.incidents import KINDS, Incident, Kind, Limits, changes, in_order, without_consequences
from validation.verdict import Check

OF_A_NIGHT: tuple[Kind, ...] = ("data-quality", "gate", "night-failed", "convergence")
"""What a night judges at its end; the others depend on the hour and on limits that are the watch's."""
Tell = Callable[[Lake, Sequence[Entry]], None]
"""Tell people what has begun and what is over; it sets each entry's flags once that is done."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look found."""

    opened: list[Incident] = field(default_factory=list)
    resolved: list[Incident] = field(default_factory=list)
    open: list[Entry] = field(default_factory=list)
    unseen: dict[Kind, str] = field(default_factory=dict)
    """Kinds that could not be judged, and why; what is open of them stays so."""

    def as_plain(self) -> dict[str, Any]:
        """What was found as JSON has it."""
        return {
            "opened": [incident.id for incident in self.opened],
            "resolved": [incident.id for incident in self.resolved],
            "open": [entry.incident | {"opened_at": entry.opened_at} for entry in self.open],
            "unseen": self.unseen,
        }


def watch(
    lake: Lake,
    store: ReleaseStore,
    limits: Limits,
    at: dt.datetime,
    *,
    kinds: Collection[Kind] = KINDS,
    outcomes: Sequence[Outcome] = (),
    tell: Tell | None = None,
    clock: dt.datetime | None = None,
) -> Watched:
    """Judge the lake, write down what has begun and what is over, and tell what nobody was told yet.

    `outcomes` are ends of nights that the lake does not know of. Without `tell` nobody is told; the next look that can
    tell does so. `clock` is when it is written down, where `at` is a time that was only taken for now.
    """
    with opened_book(lake.incidents) as book:
        book.since = book.since or at.isoformat()
        known = {night["run"] for night in book.nights}
        for outcome in outcomes:
            if outcome.run not in known:
                book.note_night(_as_plain(outcome))
        found, unseen = _found(lake, store, limits, at, book, kinds)
        watched = _written(book, found, [kind for kind in kinds if kind not in unseen], clock or at, unseen)
        if tell is not None:
            tell(lake, book.untold())
    return watched


def note_outcome(lake: Lake, outcome: Outcome) -> None:
    """Write down how a night ended."""
    with opened_book(lake.incidents) as book:
        book.note_night(_as_plain(outcome))


def open_and_past(lake: Lake) -> Book:
    """What is open and what was."""
    return read_book(lake.incidents)


def _written(
    book: Book, found: list[Incident], judged: list[Kind], at: dt.datetime, unseen: dict[Kind, str]
) -> Watched:
    """The book brought up to what was found."""
    before = [Incident.from_plain(entry.incident) for entry in book.open]
    opened, resolved = changes(before, found, judged)
    over = {incident.id for incident in resolved}
    for entry in [entry for entry in book.open if entry.id in over]:
        book.close(entry, at)
    book.open += [Entry(incident.as_plain(), at.isoformat()) for incident in in_order(opened)]
    return Watched(opened, resolved, list(book.open), unseen)


def _found(
    lake: Lake, store: ReleaseStore, limits: Limits, at: dt.datetime, book: Book, kinds: Collection[Kind]
) -> tuple[list[Incident], dict[Kind, str]]:
    """Every incident that holds now, and the kinds that could not be judged."""
    ids, nights = {entry.id for entry in book.open}, [_outcome(night) for night in book.nights]
    since = dt.datetime.fromisoformat(book.since or at.isoformat())
    releases = _Releases(store)
    looks: dict[Kind, Callable[[], list[Incident]]] = {
        "data-quality": lambda: _data_quality(lake, nights, limits, ids),
        "gate": lambda: conditions.kept_back(releases.candidates(), releases.live_day, releases.live_id),
        "night-failed": lambda: conditions.night_failed(nights),
        "night-missing": lambda: conditions.night_missing(releases.newest_day, since, at, limits),
        "index-age": lambda: conditions.index_old(
            releases.live_id, releases.live_day, at, limits, releases.link(releases.live)
        ),
        "convergence": releases.not_settling,
        "disk": lambda: conditions.disk_low(
            free_bytes(lake.root) / GIB, str(lake.root), at.date(), limits, is_open="disk.lake" in ids
        ),
    }
    found, unseen = list[Incident](), dict[Kind, str]()
    for kind in kinds:
        try:
            found += looks[kind]()
        except (LamplighterError, OSError) as error:  # what cannot be read is no proof that anything is over
            unseen[kind] = str(error)
    return without_consequences(found, ids), unseen


def _data_quality(lake: Lake, nights: Sequence[Outcome], limits: Limits, ids: Collection[str]) -> list[Incident]:
    """What rules say of the landed partitions; of files that cannot be used, what the last night said."""
    recorded: list[Recorded] = []
    if lake.logs.exists():
        with open_logs(lake.logs, read_only=True) as logs:
            recorded = logs.recorded()
    checks = [_check(plain) for entry in recorded for plain in entry.checks]
    refused = {(entry.counts.kind, entry.counts.day) for entry in recorded if entry.counts.is_refused}
    loaded = {(entry.counts.kind, entry.counts.day) for entry in recorded} - refused
    blocking = [check for check in checks if (check.kind, check.day) in refused]
    blocking += [_refused_correction(entry) for entry in recorded if entry.refused_correction]
    blocking += [check for check in _last_unusable(nights) if (check.kind, check.day) not in loaded]

    def link(day: dt.date) -> str | None:
        page = lake.quality(day)
        return page.as_uri() if page.exists() else None

    kept = [check for check in checks if (check.kind, check.day) in loaded]
    return conditions.data_blocked([*blocking, *kept], link, limits, ids) + conditions.data_warned(kept, link)


def _last_unusable(nights: Sequence[Outcome]) -> list[Check]:
    """What the last finished night could not use, and those after it: a night tries again what is not in the logs."""
    last = max((night.at for night in nights if night.state == "completed" and night.tried_all), default=None)
    return [check for night in nights if last is None or night.at >= last for check in night.unusable]


def _refused_correction(entry: Recorded) -> Check:
    return Check(
        kind=entry.counts.kind,
        day=entry.counts.day,
        about="schema",
        rule="correction",
        meaning="other files landed later for a day that is in the logs",
        severity="block",
        passed=False,
        observed="refused by the rules, so what was loaded before stays",
        expected="a correction that passes",
        cure="Land the day again, or put back the files that were loaded.",
    )


class _Releases:
    """What the store says, each thing read once and only when it is asked for."""

    def __init__(self, store: ReleaseStore) -> None:
        self.store = store

    @cached_property
    def live_id(self) -> str | None:
        return self.store.current_id()

    @cached_property
    def live(self) -> Release | None:
        return self.store.get(self.live_id) if self.live_id else None

    @property
    def live_day(self) -> dt.date | None:
        return self.live.day if self.live else None

    @property
    def newest_day(self) -> dt.date | None:
        return self.made[-1].day if self.made else None

    @cached_property
    def made(self) -> list[Release]:
        """Every release that can be read, by day and then in the order they were made."""
        start = dt.datetime.min.replace(tzinfo=dt.UTC)
        found = self.store.releases()[0]
        return sorted(found, key=lambda r: (r.day, self.store.place.touched(f"{r.id}/{MANIFEST}") or start))

    def candidates(self) -> list[Candidate]:
        """The releases of days after the live one."""
        return [self._candidate(r) for r in self.made if self.live_day is None or r.day > self.live_day]

    def not_settling(self) -> list[Incident]:
        """What the newest night found of fresh items."""
        if not self.made:
            return []
        newest = self.made[-1]
        spaces = json.loads(self.store.read(newest, CONVERGENCE))["spaces"]
        link = self.link(newest)
        return conditions.not_settling(spaces, newest.day, f"{link}#convergence" if link else None)

    def link(self, release: Release | None) -> str | None:
        """Where its report is."""
        if release is None:
            return None
        return f"{release.uri}/{REPORT}" if "://" in release.uri else (Path(release.uri) / REPORT).absolute().as_uri()

    def _candidate(self, release: Release) -> Candidate:
        verdict = json.loads(self.store.read(release, VERDICT))
        checks = tuple(_check(plain) for plain in [*verdict["acceptance"], *verdict["gate"]])
        return Candidate(release.id, release.day, release.decision, checks, self.link(release))


def _check(plain: Any) -> Check:
    return Check(**{**plain, "day": dt.date.fromisoformat(plain["day"])})


def _as_plain(outcome: Outcome) -> dict[str, Any]:
    checks = [asdict(check) | {"day": check.day.isoformat()} for check in outcome.unusable]
    plain = asdict(outcome) | {"day": outcome.day.isoformat(), "at": outcome.at.isoformat()}
    return plain | {"unusable": checks}


def _outcome(plain: dict[str, Any]) -> Outcome:
    day, at = dt.date.fromisoformat(plain["day"]), dt.datetime.fromisoformat(plain["at"])
    return Outcome(**{**plain, "day": day, "at": at, "unusable": tuple(_check(c) for c in plain["unusable"])})
