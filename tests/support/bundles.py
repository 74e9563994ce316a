"""Small releases to move about."""

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.bundle import FORMAT, MODEL, RECIPE, RELEASE, REPORT, SOURCES
from storage.releases import Release, ReleaseStore

DAY = dt.date(2026, 3, 5)
NOW = dt.datetime(2026, 3, 6, 4, tzinfo=dt.UTC)


def day_of(offset: int) -> dt.date:
    return DAY + dt.timedelta(offset)


def fill_with(files: dict[str, bytes]) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

    return fill


def facts_of(id_: str, day: dt.date, parent: str | None, beside: str | None) -> dict[str, Any]:
    facts = {
        "format": FORMAT,
        "id": id_,
        "day": day.isoformat(),
        "parent": parent,
        "recipe_name": "small",
        "recipe_id": "abc",
    }
    return facts | {"decision": "promote", "reasons": [], "compared_with": beside}


def filler(day: dt.date, parent: str | None, payload: str = "x", beside: str | None = None) -> Callable[[Path], None]:
    files = {
        RELEASE: json.dumps(facts_of(payload, day, parent, beside), indent=1).encode(),
        RECIPE: b'{"sources": {"knn": {"kind": "item_knn"}}}',
        REPORT: f"<p>{payload}</p>".encode(),
        f"{SOURCES}/knn/{MODEL}/weights.npy": random.Random(payload).randbytes(300),
    }
    return fill_with(files)


def contents(id_: str, parent: str | None) -> dict[str, bytes]:
    """Every file of a release whose bytes follow from its id, and from its parent's in one of them."""
    facts = facts_of(id_, dt.date.fromisoformat(id_[:10]), parent, parent)
    rng = random.Random(id_)
    parts = {f"{SOURCES}/{name}/{MODEL}/weights.npy": rng.randbytes(20_000) for name in "ab"}
    return {RELEASE: json.dumps(facts).encode(), RECIPE: id_.encode(), REPORT: id_.encode() * 100} | parts


def add(store: ReleaseStore, offset: int, name: str = "a", parent: str | None = None) -> str:
    id_ = f"{day_of(offset)}-{name}"
    store.add(id_, filler(day_of(offset), parent, id_, store.current_id()))
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
