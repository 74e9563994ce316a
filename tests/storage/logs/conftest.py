"""Logs that know a catalogue."""

from typing import Any

import pytest
from rows import EARLIER, item


@pytest.fixture
def stocked(place: Any) -> Any:
    """A place whose catalogue holds i1 and i2 since the day before."""
    place.land("items", EARLIER, [item("i1"), item("i2")])
    return place
