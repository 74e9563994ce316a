"""A user out of the logs: every table, every export, and whatever lands of them again."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rows import DAY, EARLIER, event

from retrieval.rules import Action, Rules
from storage.logs import Logs, Staged, Verdict, open_logs, settle
from storage.logs.erasure import Erased, forget, forget_in_exports
from storage.logs.quarantine import Wanted
from storage.logs.upkeep import problems

WHO = "person-7f3a"
RULES = Rules()


@pytest.fixture
def known(stocked: Any) -> Any:
    """Logs in which the user has rows of every fate, and others have, too."""
    stocked.land("users", DAY, [{"user_id": WHO}, {"user_id": "u1"}])
    stocked.land("events", EARLIER, [event(WHO, day=EARLIER), event("u1", day=EARLIER)], "a.jsonl")
    rows = [event(WHO), event(WHO), event(WHO, "ghost"), event(WHO, day=EARLIER, hour=3), event(WHO, day=EARLIER)]
    rows += [event("u1", value="x"), event(WHO, value="x", context={"store": WHO}), event("u1"), event("")]
    stocked.land("events", DAY, rows, "b.jsonl")
    stocked.load(EARLIER, DAY, rules=RULES)
    return stocked


def erased(place: Any, user: str = WHO) -> Erased:
    with open_logs(place.logs) as logs, logs.transaction():
        return forget(logs, user)


def n_rows(logs: Logs, user: str) -> dict[str, int]:
    tables = [name for (name,) in logs.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    sql = "SELECT count(*) FROM {} t WHERE contains(to_json(t)::VARCHAR, ?)"
    return {name: logs.connection.execute(sql.format(name), [user]).fetchall()[0][0] for name in tables}


def test_no_table_holds_a_forgotten_user_and_others_lose_nothing(known: Any) -> None:
    others = known.rows("FROM events WHERE user_id = 'u1' ORDER BY ALL")
    assert erased(known) == Erased(events=3, users=1, quarantined=2)
    with known.opened() as logs:
        assert set(n_rows(logs, WHO).values()) == {0}
        assert problems(logs) == []
    assert known.rows("FROM events ORDER BY ALL") == others
    assert [row["user_id"] for *_, row in known.quarantine()] == ["u1", ""]


def test_the_counts_of_a_forgotten_users_partitions_still_add_up(known: Any) -> None:
    erased(known)
    with known.opened() as logs:
        counts = {(e.counts.kind, e.counts.day): e.counts for e in logs.recorded()}
    of_day = counts["events", DAY]
    assert (of_day.landed, of_day.loaded, of_day.quarantined, of_day.forgotten, of_day.late) == (9, 1, 2, 4, 0)
    assert all(c.landed == c.loaded + c.quarantined + c.duplicates + c.forgotten for c in counts.values())


def test_who_is_forgotten_twice_or_was_never_there_changes_nothing_more(known: Any) -> None:
    erased(known)
    before = known.content()
    assert erased(known) == Erased(0, 0, 0)
    assert known.content() == before
    assert erased(known, "nobody") == Erased(0, 0, 0)
    assert known.content() == before
    assert known.rows("SELECT count(*) FROM forgotten") == [(2,)]


def test_what_lands_again_of_a_forgotten_user_stays_out_and_is_counted(known: Any) -> None:
    erased(known)
    with known.opened() as logs:
        before = logs.digest(DAY)
    counts = {(entry.kind, entry.day): entry for entry in known.load(EARLIER, DAY, rules=RULES)}
    of_day = counts["events", DAY]
    assert (of_day.landed, of_day.loaded, of_day.quarantined, of_day.forgotten) == (9, 1, 2, 6)
    assert (counts["users", DAY].loaded, counts["users", DAY].forgotten) == (1, 1)
    assert [line for _, line, *_ in known.quarantine()] == [6, 9]
    with known.opened() as logs:
        assert set(n_rows(logs, WHO).values()) == {0}
        assert (logs.digest(DAY), problems(logs)) == (before, [])


def test_a_partition_of_nobody_else_is_kept_with_its_counts_when_it_is_judged_again(stocked: Any) -> None:
    stocked.land("events", DAY, [event(WHO), event(WHO), event(WHO, hour=3)])
    stocked.load(EARLIER, DAY)
    erased(stocked)
    with open_logs(stocked.logs) as logs, logs.transaction():
        staged = Staged.kept(logs.connection, [entry.partition for entry in logs.recorded("events")])
        staged.judge_catalogue()
        staged.judge_events({"buy": Action(sign="+")}, RULES, [])
        (counts,) = settle(staged, {("events", DAY): Verdict(False, {}, [])}, {("events", DAY): "tests"})
    assert (counts.landed, counts.loaded, counts.duplicates, counts.forgotten) == (3, 0, 1, 2)


def test_the_mark_of_a_forgotten_user_tells_not_who_it_is(known: Any) -> None:
    erased(known)
    ((token,),) = known.rows("FROM forgotten")
    assert WHO not in token
    assert known.rows(f"SELECT sha256('{WHO}') = '{token}'") == [(False,)]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_exports_lose_the_rows_of_a_forgotten_user_and_keep_the_others(known: Any, tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "it's exports"
    target = folder / f"rows.{ending}"
    with known.opened() as logs:
        assert Wanted().export(logs, target) == 4
        Wanted(day=EARLIER).export(logs, folder / f"none.{ending}")
        Wanted(reason="missing_user").export(logs, folder / f"other.{ending}")
    other = (folder / f"other.{ending}").read_bytes()
    (folder / "notes.txt").write_text("mine")
    assert forget_in_exports(folder, WHO) == 1
    assert WHO.encode() not in target.read_bytes()
    assert (folder / f"other.{ending}").read_bytes() == other
    if ending == "parquet":
        assert pq.read_table(target).num_rows == 2
    else:
        assert len(target.read_text().splitlines()) == 2
    assert forget_in_exports(folder, WHO) == 0
    assert forget_in_exports(tmp_path / "absent", WHO) == 0
