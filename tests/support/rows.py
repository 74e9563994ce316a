"""Rows to land: an event or an item in one line, of the day most tests are about."""

import datetime as dt
from typing import Any

DAY = dt.date(2026, 3, 5)
EARLIER = DAY - dt.timedelta(1)


def day_of(offset: int) -> dt.date:
    """The day so many days after `DAY`."""
    return DAY + dt.timedelta(offset)


def at(day: dt.date, hour: float = 12) -> dt.datetime:
    """A moment so many hours after a day began."""
    return dt.datetime.combine(day, dt.time(), dt.UTC) + hour * dt.timedelta(hours=1)


def event(user: str = "u1", item: str = "i1", day: dt.date = DAY, hour: float = 12, **more: Any) -> dict[str, Any]:
    """A purchase."""
    return {"user_id": user, "item_id": item, "action": "buy", "occurred_at": at(day, hour)} | more


def item(id_: str, **more: Any) -> dict[str, Any]:
    """A listed item."""
    return {"item_id": id_, "title": f"title of {id_}"} | more
