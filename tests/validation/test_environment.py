"""What the environment has to be: versions by their pins, room, clocks."""

import datetime as dt

import pytest

from validation.environment import beside_constraints, clock, libraries, python_version, room
from validation.health import GIB

NOW = dt.datetime(2026, 11, 23, 3, tzinfo=dt.UTC)
HEADER = "Mon, 23 Nov 2026 03:00:10 GMT"


def test_a_library_beside_its_pin_is_named_with_what_was_expected() -> None:
    asked = ["fastapi<0.151", "sqlalchemy<2.1", "duckdb>=2", "moto>=5 ; extra == 'dev'"]
    found = libraries({"fastapi": "0.165.0", "sqlalchemy": "2.0.58"}, asked)
    assert found.state == "bad" and "pip install -c constraints.txt" in found.cure
    assert found.found == "fastapi is 0.165.0, expected <0.151; duckdb is not installed, expected >=2"
    assert libraries({"fastapi": "0.150.0", "sqlalchemy": "2.0.58", "duckdb": "2.0.0"}, asked).state == "ok"


def test_another_version_than_the_tested_one_is_worth_a_look_and_no_fault() -> None:
    constraints = "# tested\ntorch==2.13.0\nPyYAML==6.0.3\nabsent==1.0\n"
    assert beside_constraints({"torch": "2.13.0+cpu", "pyyaml": "6.0.3"}, constraints).state == "ok"
    found = beside_constraints({"torch": "2.14.0", "pyyaml": "6.0.3"}, constraints)
    assert (found.state, found.found) == ("look", "torch 2.14.0 instead of 2.13.0")


@pytest.mark.parametrize(("running", "state"), [("3.11.7", "ok"), ("3.13.1", "look"), ("3.10.9", "bad")])
def test_python_is_what_the_package_needs(running: str, state: str) -> None:
    assert python_version(running, ">=3.11", "3.11").state == state


def test_a_full_disk_is_wrong() -> None:
    assert room(6 * GIB, 5, "/lake").state == "ok"
    assert room(4 * GIB, 5, "/lake").state == "bad"


@pytest.mark.parametrize(
    ("now", "newest", "header", "state"),
    [
        (NOW, None, None, "ok"),
        (NOW, NOW - dt.timedelta(hours=1), HEADER, "ok"),
        (NOW.replace(year=1970), None, None, "bad"),
        (NOW, NOW + dt.timedelta(hours=1), None, "bad"),
        (NOW + dt.timedelta(minutes=5), None, HEADER, "bad"),
    ],
)
def test_a_clock_is_compared_with_what_is_known(
    now: dt.datetime, newest: dt.datetime | None, header: str | None, state: str
) -> None:
    assert clock(now, newest, header).state == state
