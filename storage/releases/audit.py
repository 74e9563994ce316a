"""The trail of changes: one object a change, written before it is made, so that none is ever without a trace."""

import datetime as dt
import json
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Literal

from retrieval.errors import ReleaseError
from storage.releases.places import Place
from storage.releases.pointer import Pointer

AUDIT = "audit"
Change = Literal["promote", "rollback", "remove"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody's intent to change what is live, or to remove a release."""

    id: str
    at: str
    who: str
    why: str
    change: Change
    former: str | None
    """The release that was live."""
    to: str | None
    after: str | None
    """The change that had made the former one live: what ties the trail together."""
    held: bool = False
    done: bool = False
    """Whether it came about; worked out when the trail is read."""


def write_entry(
    place: Place,
    change: Change,
    release: str,
    pointer: Pointer | None,
    *,
    at: dt.datetime,
    who: str,
    why: str,
    held: bool = False,
) -> Entry:
    """Leave the trace of a change that is about to be made.

    A damaged pointer cannot tell which change made it: then the newest entry is taken for it.
    """
    id_ = f"{at.astimezone(dt.UTC):%Y%m%dT%H%M%S%fZ}-{uuid.uuid4().hex}"
    after = pointer.change if pointer else next((n.removesuffix(".json") for n in reversed(place.names(AUDIT))), None)
    was_live = pointer.release if pointer else None
    former, to = (release, None) if change == "remove" else (was_live, release)
    entry = Entry(id_, at.isoformat(), who, why, change, former, to, after, held)
    content = {name: value for name, value in asdict(entry).items() if name not in {"id", "done"}}
    place.create(f"{AUDIT}/{id_}.json", json.dumps(content, indent=1).encode())
    return entry


def read_trail(place: Place, pointer: Pointer | None, since: dt.datetime | None = None) -> list[Entry]:
    """Every change or attempt at one, oldest first; `since` leaves out what is older.

    A change of the pointer is done when the pointer, or a later change that was done, carries it.
    """
    start = f"{since.astimezone(dt.UTC):%Y%m%dT%H%M%S%fZ}" if since else ""
    entries = [_read(place, name) for name in place.names(AUDIT) if name >= start]
    moves = {entry["id"]: entry for entry in entries if entry["change"] != "remove"}
    rank: dict[str, int] = {}  # of the changes that were done; the newest has the highest
    head = pointer.change if pointer else None
    while head is not None and head in moves and head not in rank:
        rank[head] = -len(rank)
        head = moves[head]["after"]
    removed = {entry["former"] for entry in entries if entry["change"] == "remove"} - set(place.names())
    trail = [
        Entry(**entry, done=entry["former"] in removed if entry["change"] == "remove" else entry["id"] in rank)
        for entry in entries
    ]
    return sorted(trail, key=lambda entry: (entry.at, rank.get(entry.id, 1)))


def _read(place: Place, name: str) -> dict[str, Any]:
    try:
        content = json.loads(place.read(f"{AUDIT}/{name}"))
        return {"id": name.removesuffix(".json")} | content
    except (ValueError, TypeError, FileNotFoundError) as error:
        raise ReleaseError(f"{place.uri}/{AUDIT}/{name} is damaged ({error}). Remove it to read the others.") from error
