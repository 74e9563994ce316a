"""What Prefect was told."""

import time
from typing import Any

import httpx
from prefect.settings import PREFECT_API_URL

SECONDS = 60


def events_of(place: str, event: str, n: int) -> list[dict[str, Any]]:
    """The events with links into a place that the server has kept, once there are so many; it writes in batches."""
    deadline = time.monotonic() + SECONDS
    while True:
        asked = {"filter": {"event": {"name": [event]}}, "limit": 50}
        page = httpx.post(f"{PREFECT_API_URL.value()}/events/filter", json=asked).raise_for_status().json()
        found = [e for e in page["events"] if place in e["payload"]["link"]]
        if len(found) >= n or time.monotonic() > deadline:
            return found
        time.sleep(0.5)
