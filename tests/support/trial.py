"""Hostile partitions beside good ones through the ingest stage, and everything that has to hold afterwards."""

import datetime as dt
import hashlib
import os
import stat
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from hostile import Case, as_jsonl, case, good_rows
from hostile_text import lines_of, rows_of_csv

from retrieval.errors import ContractError, LamplighterError
from retrieval.rules import Action, Rules
from retrieval.schema import Kind
from storage.layout import Lake
from storage.logs import open_logs
from storage.logs.upkeep import problems
from tasks.ingest import Ingested, ingest
from tasks.judge import Judge, Pass

GOOD = dt.date(2026, 3, 1)
NEXT = dt.date(2026, 3, 2)
ACTIONS = {"buy": Action(sign="+"), "rate": Action(sign="+", min_value=4)}
ANYTHING = {
    f"max_{share}_share": 1.0
    for share in (
        "null",
        "unknown_action",
        "outside_day",
        "bad_value",
        "malformed_context",
        "refused",
        "bad_item",
        "bad_user",
    )
}
LENIENT = Rules(late_days=0, min_catalogue_ratio=0, min_rows=0, **ANYTHING)  # type: ignore[arg-type]
STRICT = Rules(late_days=0)
TABLES = dict.fromkeys(
    ("events", "late_events", "items", "users", "quarantine", "contents", "seen_users", "profiles"), "*"
)
TABLES["partitions"] = "* EXCLUDE (metrics, checks)"
Held = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """A landing zone, a lake, and a folder that belongs to neither."""

    root: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "lake")

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def folder(self, kind: Kind, day: dt.date) -> Path:
        return self.landing / kind / f"day={day}"

    def lay_good(self) -> None:
        """A catalogue, users and one day of events."""
        self.outside.mkdir(parents=True)
        rng = Random(1)
        items = [row | {"item_id": f"i{k}"} for k, row in enumerate(good_rows("items", GOOD, rng, 5))]
        for kind, rows in (
            ("items", items),
            ("users", good_rows("users", GOOD, rng)),
            ("events", good_rows("events", GOOD, rng)),
        ):
            self.folder(kind, GOOD).mkdir(parents=True)
            (self.folder(kind, GOOD) / "good.jsonl").write_bytes(as_jsonl(rows))

    def lay(self, hostile: Case, day: dt.date) -> None:
        folder = self.folder(hostile.kind, day)
        folder.mkdir(parents=True)
        for name, data in hostile.files.items():
            (folder / name).write_bytes(data)
        if hostile.lay:
            hostile.lay(folder, self.outside)

    def run(self, first: dt.date, last: dt.date, rules: Rules, **how: Any) -> Ingested:
        return ingest.fn(self.lake, str(self.landing), (first, last), rules, ACTIONS, **how)

    def held(self) -> Held:
        """How much every table of the logs holds, and the sum of its rows' hashes.

        By what a partition was judged is left out: beside days that have landed since, its metrics may be others.
        """
        with open_logs(self.lake.logs, read_only=True) as logs:
            return {
                table: logs.connection.execute(
                    f"SELECT count(*), sum(hash(t)::HUGEINT) FROM (SELECT {columns} FROM {table}) t"
                ).fetchall()[0]
                for table, columns in TABLES.items()
            }

    def outside_the_lake(self) -> list[tuple[Any, ...]]:
        """Everything beside the lake: names, sizes, times and bytes."""
        found: list[tuple[Any, ...]] = []
        for folder, folders, files in os.walk(os.fsencode(self.root)):
            if folder == os.fsencode(self.root) and b"lake" in folders:
                folders.remove(b"lake")
            for name in sorted(folders + files):
                path = Path(os.fsdecode(folder), os.fsdecode(name))
                entry = path.lstat()
                digest = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(entry.st_mode) else ""
                found.append((os.fsencode(path), entry.st_mode, entry.st_size, entry.st_mtime_ns, digest))
        return sorted(found)


def faults(names: Sequence[str], root: Path, rules: Rules) -> list[str]:
    """What does not hold of these cases, each on a day of its own of one landing zone."""
    place, cases = Place(root), {}
    place.lay_good()
    place.run(GOOD, GOOD, rules)
    for offset, name in enumerate(names, 1):
        day = GOOD + dt.timedelta(offset)
        cases[day] = case(name, day)
        place.lay(cases[day], day)
    beside = place.outside_the_lake()
    try:
        found = _checked(place, cases, rules)
    except LamplighterError as error:
        found = [f"the whole ingest raised {type(error).__name__}: {str(error)[:300]}"]
    except Exception as error:
        found = [
            f"raised {type(error).__name__}: {str(error)[:300]} {''.join(traceback.format_tb(error.__traceback__)[-2:])}"
        ]
    if place.outside_the_lake() != beside:
        found.append("something was written beside the lake")
    return found


def blamed(names: Sequence[str], root: Path, rules: Rules) -> list[str]:
    """The faults of these cases, each with the name of its case; where a fault does not tell, found by halving."""
    found = faults(names, root / "all", rules)
    if len(names) == 1 or all(fault.startswith(tuple(f"{name}: " for name in names)) for fault in found):
        return found if len(names) > 1 else [f"{names[0]}: {fault.removeprefix(names[0] + ': ')}" for fault in found]
    half = len(names) // 2
    halves = blamed(names[:half], root / "first", rules) + blamed(names[half:], root / "second", rules)
    return halves or [f"only together {list(names)}: {fault}" for fault in found]


def _checked(place: Place, cases: dict[dt.date, Case], rules: Rules) -> list[str]:
    last = max(cases)
    former = _good_rows(place)
    done = place.run(GOOD, last, rules)
    held = place.held()
    found = _wrong_in_logs(place, cases, done)
    if _good_rows(place) != former:
        found.append("the good day is another now")
    # A second plain ingest looks only at what was left out, one with reload at everything: each trial has one of them.
    is_reload = rules is STRICT or len(cases) % 2 == 1
    again = place.run(GOOD, last, rules, reload=is_reload)
    if again.logs_digest != done.logs_digest or place.held() != held:
        found.append(f"a second ingest, reload={is_reload}, changed the logs: {_changes(held, place.held())}")
    if again.refused != done.refused:
        found.append(f"a second ingest refused {sorted(again.refused)}, the first {sorted(done.refused)}")
    if not is_reload:
        found += _judged_again(place, held, rules)
    held = place.held()
    for day, hostile in cases.items():
        found += _refused_alone(place, hostile, day, done, rules)
    if place.held() != held:
        found.append("a refused day changed the logs")
    return found


def _judged_again(place: Place, held: Held, rules: Rules) -> list[str]:
    """What the logs keep says by itself what it said when it landed; how a refused row is spelt may change."""
    with open_logs(place.lake.logs) as logs:
        with logs.transaction():
            Judge(rules, ACTIONS).again(logs, [entry.partition for entry in logs.recorded()], Pass())
        found = [f"after judging what is kept: {problem}" for problem in problems(logs)]
    kept = place.held()
    if kept | {"quarantine": kept["quarantine"][:1]} != held | {"quarantine": held["quarantine"][:1]}:
        found.append(f"judging again what the logs keep changed them: {_changes(held, kept)}")
    return found


def _wrong_in_logs(place: Place, cases: dict[dt.date, Case], done: Ingested) -> list[str]:
    found: list[str] = []
    with open_logs(place.lake.logs) as logs:
        found += problems(logs)
        entries = {(e.counts.kind, e.counts.day): e.counts for e in logs.recorded()}
        for day, hostile in cases.items():
            counts = entries.get((hostile.kind, day))
            if counts is None:
                found += [] if day in done.refused else [f"{hostile.name}: neither loaded nor refused"]
                found += [f"{hostile.name}: should be used: {done.refused.get(day)}"] if hostile.is_usable else []
                where = " UNION ALL ".join(
                    f"SELECT 1 FROM {t} WHERE {'landed' if 'events' in t else 'day'} = $day"
                    for t in ("events", "late_events", "quarantine")
                )
                if hostile.kind == "events" and logs.connection.execute(where, {"day": day}).fetchall():
                    found.append(f"{hostile.name}: left out, and has rows")
                continue
            if hostile.is_usable is False:
                found.append(f"{hostile.name}: should be refused, and landed {counts.landed}")
            accounted = counts.loaded + counts.quarantined + counts.duplicates + counts.forgotten
            expected = _expected_rows(hostile)
            if counts.landed != accounted or expected not in (None, counts.landed):
                found.append(f"{hostile.name}: {expected} rows, landed {counts.landed}, accounted for {accounted}")
            lost = hostile.users and hostile.users - _users(logs, hostile.kind, day)
            if lost:
                found.append(f"{hostile.name}: lost user {[user[:60] for user in lost]}")
    return found


def _expected_rows(hostile: Case) -> int | None:
    """How many rows have to land: as the case says, or as a plain reader of its only file counts."""
    if hostile.rows is not None or len(hostile.files) != 1:
        return hostile.rows
    ((name, data),) = hostile.files.items()
    if name.endswith(".jsonl"):
        return lines_of(data)
    return rows_of_csv(data) if name.endswith(".csv") else None


def _users(logs: Any, kind: Kind, day: dt.date) -> set[str]:
    rows = logs.connection.execute(
        f"""SELECT user_id FROM {kind} WHERE day = $day UNION
            SELECT content ->> '$.user_id' FROM quarantine WHERE kind = $kind AND day = $day""",
        {"day": day, "kind": kind},
    )
    return {user for (user,) in rows.fetchall()}


def _refused_alone(place: Place, hostile: Case, day: dt.date, done: Ingested, rules: Rules) -> list[str]:
    """A day that was left out stops the night that requires it, with a sentence for whoever landed it."""
    if day not in done.refused:
        return []
    found = []
    message = done.refused[day]
    with open_logs(place.lake.logs, read_only=True) as logs:
        is_judged = any(entry.counts.kind == hostile.kind for entry in logs.recorded(day=day))
    if not is_judged:
        try:
            place.run(day, day, rules, required=day)
            found.append(f"{hostile.name}: left out, but usable when required")
        except ContractError as error:
            message = str(error)
    else:
        try:
            done.require(day)
            found.append(f"{hostile.name}: refused by a rule, but may be used")
        except ContractError as error:
            message = str(error)
    return found + [f"{hostile.name}: {fault}: {message!r}" for fault in faults_of_message(message, day)]


def faults_of_message(message: str, day: dt.date) -> list[str]:
    """What keeps a message from being one sentence that names the day and ends with what to do."""
    found = [] if str(day) in message else ["does not name the day"]
    found += [] if message.isprintable() else ["is more than a line of printable characters"]
    found += [] if message.endswith(".") and ". " in message else ["does not say what to do"]
    return found + ([] if len(message) < 2000 else ["is very long"])


def _good_rows(place: Place) -> list[tuple[Any, ...]]:
    with open_logs(place.lake.logs, read_only=True) as logs:
        content = logs.connection.execute(
            "SELECT kind, n_rows, digest FROM contents WHERE day = ? ORDER BY kind", [GOOD]
        ).fetchall()
        return content + [tuple(replace(e.counts).__repr__().split()) for e in logs.recorded(day=GOOD)]


def _changes(before: Held, after: Held) -> dict[str, Any]:
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}
