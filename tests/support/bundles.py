"""Small releases to move about."""

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path

from storage.bundle import MODEL, RECIPE, RELEASE, REPORT, SOURCES
from storage.releases import Release, ReleaseStore

DAY = dt.date(2026, 3, 5)
NOW = dt.datetime(2026, 3, 6, 4, tzinfo=dt.UTC)


def day_of(offset: int) -> dt.date:
    return DAY + dt.timedelta(offset)


def filler(day: dt.date, parent: str | None, payload: str = "x") -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        facts = {"day": day.isoformat(), "parent": parent, "recipe_name": "small", "recipe_id": "abc", "id": payload}
        facts |= {"decision": "promote", "reasons": [], "compared_with": parent}
        (folder / RELEASE).write_text(json.dumps(facts, indent=1))
        (folder / RECIPE).write_text('{"sources": {"knn": {"kind": "item_knn"}}}')
        (folder / REPORT).write_text(f"<p>{payload}</p>")
        (folder / SOURCES / "knn" / MODEL).mkdir(parents=True)
        (folder / SOURCES / "knn" / MODEL / "weights.npy").write_bytes(random.Random(payload).randbytes(300))

    return fill


def add(store: ReleaseStore, offset: int, name: str = "a", parent: str | None = None) -> str:
    id_ = f"{day_of(offset)}-{name}"
    store.add(id_, filler(day_of(offset), parent, id_))
    return id_


def promote(store: ReleaseStore, id_: str, *, at: dt.datetime = NOW, by_hand: bool = False) -> bool:
    return store.promote(id_, at=at, who="night@host", why="a test", by_hand=by_hand).is_live


def roll_back(store: ReleaseStore, to: str | None, *, at: dt.datetime = NOW, hold: bool = True) -> Release:
    return store.rollback(to, at=at, who="ada@host", why="it was bad", hold=hold)


def nights(store: ReleaseStore, n: int) -> list[str]:
    """Nights in a row, each made from the one before, the newest live."""
    ids: list[str] = []
    for offset in range(n):
        ids.append(add(store, offset, parent=ids[-1] if ids else None))
        assert promote(store, ids[-1], at=NOW + dt.timedelta(days=offset))
    return ids
