"""Files of other versions: an older one is saved and brought up to date, a newer one left alone."""

from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from rows import DAY, EARLIER, day_of, event, item

from retrieval.errors import LogsError
from retrieval.rules import Rules
from storage.logs import open_logs
from storage.logs.upkeep import problems
from storage.logs.versions import VERSION, backups

VERSION_1 = """
CREATE TABLE events (day DATE NOT NULL, event_id VARCHAR, user_id VARCHAR NOT NULL, item_id VARCHAR NOT NULL,
    action VARCHAR NOT NULL, occurred_at TIMESTAMP NOT NULL, value DOUBLE, condition VARCHAR, position INTEGER,
    served_by VARCHAR, context VARCHAR);
CREATE TABLE items (day DATE NOT NULL, item_id VARCHAR NOT NULL, title VARCHAR NOT NULL, description VARCHAR,
    topics VARCHAR[], attributes VARCHAR, available_from DATE, available_until DATE, embedding FLOAT[]);
CREATE TABLE users (day DATE NOT NULL, user_id VARCHAR NOT NULL, attributes VARCHAR);
CREATE TABLE quarantine (kind VARCHAR NOT NULL, day DATE NOT NULL, file VARCHAR NOT NULL, line BIGINT NOT NULL,
    reasons VARCHAR[] NOT NULL, content VARCHAR NOT NULL);
CREATE TABLE partitions (kind VARCHAR NOT NULL, day DATE NOT NULL, digest VARCHAR NOT NULL, n_landed BIGINT NOT NULL,
    n_loaded BIGINT NOT NULL, n_refused BIGINT NOT NULL, n_duplicates BIGINT NOT NULL, checks VARCHAR NOT NULL,
    CHECK (n_landed = n_loaded + n_refused + n_duplicates));
"""


def land(place: Any) -> None:
    attributes = {"age": "3"}
    place.land("items", EARLIER, [item("i1", topics=["a"], attributes={"k": "v"}, embedding=[0.5]), item("i2")])
    place.land("users", EARLIER, [{"user_id": "u1", "attributes": attributes}])
    place.land("events", EARLIER, [event(day=EARLIER, value=2.0, context={"store": "7"}), event("", day=EARLIER)])
    place.land("events", DAY, [event("u2", event_id="e"), event("u1"), event("u1")])


@pytest.fixture
def old(place: Any, places: Callable[[], Any]) -> Any:
    """A place whose logs are of version 1 and hold what is landed there."""
    land(place)
    new = places()
    land(new)
    new.load(EARLIER, DAY)
    place.logs.parent.mkdir(parents=True)
    with duckdb.connect(place.logs) as con:
        con.execute(VERSION_1)
        con.execute(f"ATTACH '{new.logs}' AS new (READ_ONLY)")
        for kind in ("events", "items", "users"):
            con.execute(
                f"INSERT INTO {kind} BY NAME SELECT * EXCLUDE ({'file, line, landed' if kind == 'events' else 'file, line'}) FROM new.{kind}"
            )
        con.execute("INSERT INTO quarantine BY NAME SELECT * REPLACE ('/landing/' || file AS file) FROM new.quarantine")
        con.execute(
            """INSERT INTO partitions SELECT kind, day, 'digest of old', n_landed, n_loaded, n_quarantined, n_duplicates, '[]'
               FROM new.partitions"""
        )
    return place


def test_an_old_file_is_brought_up_to_date_with_everything_it_holds(old: Any, places: Callable[[], Any]) -> None:
    fresh = places()
    land(fresh)
    fresh.load(EARLIER, DAY)
    with open_logs(old.logs) as logs:
        assert problems(logs) == []
        assert [entry.judged_by for entry in logs.recorded()] == [""] * 4
    with old.opened() as logs, fresh.opened() as others:
        assert logs.digest(DAY) == others.digest(DAY)
        assert logs.days_loaded() == others.days_loaded()
        assert logs.catalogue(DAY, Rules()).equals(others.catalogue(DAY, Rules()))
        assert logs.people(DAY, ["store"]).equals(others.people(DAY, ["store"]))
        assert logs.interactions(EARLIER, DAY).equals(others.interactions(EARLIER, DAY))
    for table in ("profiles", "seen_users", "quarantine", "contents"):
        assert old.rows(f"FROM {table} ORDER BY ALL") == fresh.rows(f"FROM {table} ORDER BY ALL")
    assert old.rows("SELECT DISTINCT file FROM events") == [("version-1",)]


def test_the_old_file_is_saved_beside_before_it_is_changed(old: Any) -> None:
    with duckdb.connect(old.logs, read_only=True) as con:
        before = con.execute("SELECT * FROM events ORDER BY ALL").fetchall()
    with open_logs(old.logs):
        pass
    (saved,) = backups(old.logs).iterdir()
    with duckdb.connect(saved, read_only=True) as con:
        assert con.execute("SELECT * FROM events ORDER BY ALL").fetchall() == before
    with open_logs(old.logs):
        pass
    assert list(backups(old.logs).iterdir()) == [saved]


def test_in_migrated_logs_days_are_loaded_replaced_and_compared_as_in_fresh_ones(
    old: Any, places: Callable[[], Any]
) -> None:
    rules = Rules(min_trailing_days=1, min_drift_rows=1)
    fresh = places()
    land(fresh)
    fresh.load(EARLIER, DAY)
    for place in (old, fresh):
        place.land("events", day_of(-2), [event(day=day_of(-2))])
        place.land("events", day_of(1), [event("u3", day=day_of(1)), event("u1", hour=3)])
    volumes = [
        {day: found["volume_ratio"] for day, found in place.metrics(day_of(-2), rules=rules).items()}
        for place in (old, fresh)
    ]
    assert volumes[0] == volumes[1]
    assert set(volumes[0]) == {day_of(-2), EARLIER, DAY}
    for place in (old, fresh):
        place.load(day_of(1), DAY, rules=Rules())
        with place.opened() as logs:
            assert problems(logs) == []
    with old.opened() as logs, fresh.opened() as others:
        assert logs.digest(day_of(1)) == others.digest(day_of(1))


def test_an_old_file_is_not_read_before_it_is_brought_up_to_date(old: Any) -> None:
    with pytest.raises(LogsError, match=r"is of version 1, older than .* `lamplighter nightly`"), old.opened():
        pytest.fail("an old file was read")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_file_is_refused_and_stays_as_it_is(stocked: Any, read_only: bool) -> None:
    stocked.load(EARLIER)
    with duckdb.connect(stocked.logs) as con:
        con.execute(f"UPDATE about SET version = {VERSION + 1}")
    before = stocked.logs.read_bytes()
    refusal = pytest.raises(LogsError, match=rf"of version {VERSION + 1}, and this software knows {VERSION}")
    with refusal, open_logs(stocked.logs, read_only=read_only):
        pytest.fail("a newer file was opened")
    assert stocked.logs.read_bytes() == before


def test_sums_made_by_another_library_are_made_again(stocked: Any) -> None:
    stocked.land("events", DAY, [event()])
    stocked.load(EARLIER, DAY)
    before = stocked.content()
    with duckdb.connect(stocked.logs) as con:
        con.execute("UPDATE about SET library = 'v0.1'; UPDATE contents SET digest = 7")
    with open_logs(stocked.logs) as logs:
        assert problems(logs) == []
    assert stocked.content() == before
