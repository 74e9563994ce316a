"""The logs looked through and made smaller."""

import random
from typing import Any

import duckdb
import pytest
from rows import DAY, EARLIER, event, item

from retrieval.errors import LogsError
from retrieval.rules import Rules
from storage.logs import open_logs
from storage.logs.upkeep import problems, vacuum


@pytest.fixture
def full(stocked: Any) -> Any:
    """Logs with rows of every kind, late ones and some set aside."""
    stocked.land("users", DAY, [{"user_id": "u1", "attributes": {"age": "3"}}, {"user_id": ""}])
    stocked.land("events", EARLIER, [event(day=EARLIER), event("u2", day=EARLIER)])
    stocked.land("events", DAY, [event(), event("u3", day=EARLIER), event(""), event(item="ghost")])
    stocked.load(EARLIER, DAY, rules=Rules())
    return stocked


def found(place: Any) -> list[str]:
    with place.opened() as logs:
        return problems(logs)


def test_logs_that_nobody_touched_have_no_problem(full: Any) -> None:
    assert found(full) == []


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("UPDATE events SET value = 9 WHERE user_id = 'u2'", "events of 2026-03-04: 3 rows that are not those loaded."),
        ("UPDATE events SET user_id = 'u1' WHERE user_id = 'u3'", "the first days of 1 users are not those of their events."),
        ("UPDATE items SET title = 'x' WHERE item_id = 'i1'", "items of 2026-03-04: 2 rows that are not those loaded."),
        ("UPDATE users SET attributes = '{}'", "users of 2026-03-05: 1 rows that are not those loaded."),
        ("DELETE FROM events WHERE user_id = 'u3'", "events of 2026-03-04: 2 rows instead of 3."),
        ("DELETE FROM events WHERE day = '2026-03-05'", "events of 2026-03-05: 0 rows instead of 1."),
        ("INSERT INTO items BY NAME SELECT DATE '2026-01-01' AS day, 'f' AS file, 1 AS line, 'i' AS item_id, 't' AS title",
         "items of 2026-01-01: 1 rows instead of 0."),
        ("INSERT INTO events FROM events LIMIT 1", "4 rows instead of 3"),
        ("DELETE FROM quarantine WHERE kind = 'users'",
         "users landed for 2026-03-05: counted 1 loaded and 1 quarantined, but 1 and 0 are there."),
        ("UPDATE partitions SET n_loaded = 1, n_duplicates = 1 WHERE kind = 'events' AND day = '2026-03-05'",
         "events landed for 2026-03-05: counted 1 loaded and 2 quarantined, but 2 and 2 are there."),
        ("DELETE FROM seen_users WHERE user_id = 'u1'", "the first days of 1 users are not those of their events."),
        ("UPDATE events SET day = '2026-03-05' WHERE user_id = 'u3'", "events of 2026-03-05: 2 rows instead of 1."),
    ],
)  # fmt: skip
def test_what_was_changed_by_hand_is_found(full: Any, harm: str, sentence: str) -> None:
    with duckdb.connect(full.logs) as con:
        con.execute(harm)
    assert any(sentence in problem for problem in found(full))


def test_vacuum_keeps_everything_but_the_bytes_of_deleted_rows(full: Any) -> None:
    texts = [random.Random(k).randbytes(300).hex() for k in range(2_000)]
    full.land("items", DAY, [item(f"i{k}", description=text) for k, text in enumerate(texts)])
    full.load(DAY, kinds=("items",))
    full.land("items", DAY, [item("i3")])
    full.load(DAY, kinds=("items",))
    assert any(text[:12].encode() in full.logs.read_bytes() for text in texts)
    before = full.content() | {"about": full.rows("FROM about"), "seen": full.rows("FROM seen_users ORDER BY ALL")}
    n_before, n_after = vacuum(full.logs)
    assert n_after == full.logs.stat().st_size <= n_before
    assert not any(text[:12].encode() in full.logs.read_bytes() for text in texts)
    assert (
        full.content() | {"about": full.rows("FROM about"), "seen": full.rows("FROM seen_users ORDER BY ALL")} == before
    )
    assert found(full) == []
    full.load(DAY, kinds=("items",))
    assert found(full) == []
    assert {path.name for path in full.logs.parent.iterdir() if path.suffix in (".vacuum", ".wal")} == set()


def test_vacuum_waits_for_no_writer(full: Any) -> None:
    with open_logs(full.logs), pytest.raises(LogsError, match="is being written by"):
        vacuum(full.logs)


def test_after_vacuum_the_counts_are_still_held_to_add_up(full: Any) -> None:
    vacuum(full.logs)
    with duckdb.connect(full.logs) as con, pytest.raises(duckdb.ConstraintException):
        con.execute("UPDATE partitions SET n_loaded = n_loaded + 1")
