"""Replay: rows set aside move to the logs once the rules, the catalogue or the files were mended."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from nights import ACTIONS, NOW, Nights
from rows import DAY, EARLIER, day_of, event, item

from retrieval.rules import Action, Rules
from storage.logs.quarantine import Wanted
from tasks.replay import Replayed, replay

Lakes = Callable[..., Nights]
ANY = Wanted()


def run(nights: Nights, wanted: Wanted = ANY, rules: Rules | None = None, **more: Any) -> list[Replayed]:
    return replay(nights.lake, nights.landing, wanted, rules or nights.rules, ACTIONS | more, at=NOW)


def audits(nights: Nights) -> list[dict[str, Any]]:
    with nights.read() as logs:
        found: list[dict[str, Any]] = logs.audit()
        return found


def test_a_refused_day_is_accepted_after_the_rules_changed_without_its_landed_files(lakes: Lakes) -> None:
    nights, mild = lakes(), Rules(max_null_share=1.0, max_refused_share=1.0)
    rows = [event(f"u{k}", hour=k, value=k / 7, context={"store": "7"}) for k in range(8)]
    nights.write("events", DAY, [*rows, event(""), rows[0], event("late", day=EARLIER)])
    nights.night(DAY)
    assert nights.held() == {}
    twin = lakes()
    shutil.copytree(nights.lake.landing, twin.lake.landing, dirs_exist_ok=True)
    twin.night(DAY, rules=mild)
    shutil.rmtree(nights.lake.landing)
    assert run(nights, Wanted(day=DAY), mild) == [Replayed("events", DAY, "logs", 9, 1, "")]
    assert nights.state() == twin.state()


def test_a_replay_done_twice_moves_nothing_more_and_is_noted_each_time(nights: Nights) -> None:
    nights.land(DAY, n=200, faulty=1)
    nights.night(DAY)
    before = nights.state()
    assert [run(nights), run(nights)] == [[Replayed("events", DAY, "logs", 0, 1, "")]] * 2
    assert nights.state() == before
    note = {"at": NOW.replace(tzinfo=None).isoformat(), "action": "replay", "kind": "events", "day": str(DAY)}
    note |= {"source": "logs", "moved": 0, "left": 1}
    assert audits(nights) == [note, note]


def test_a_replay_of_nothing_is_not_noted(nights: Nights) -> None:
    nights.land(DAY)
    nights.night(DAY)
    assert run(nights) == []
    assert audits(nights) == []


def test_events_of_items_whose_catalogue_lands_later_are_loaded_by_a_replay(lakes: Lakes) -> None:
    def land(nights: Nights) -> None:
        rows = [event(f"u{k}", hour=k / 10) for k in range(100)]
        nights.write("events", DAY, [*rows, event("a", "i2"), event("b", "i3"), event("", "i2")])

    nights, twin = lakes(), lakes()
    for each in (nights, twin):
        land(each)
    nights.night(DAY)
    for each in (nights, twin):
        each.write("items", EARLIER, [item("i2")])
        each.write("items", day_of(1), [item("i3")])
        each.land(day_of(1))
    nights.night(day_of(1))
    assert run(nights, Wanted(reason="unknown_item")) == [Replayed("events", DAY, "logs", 1, 2, "")]
    for day in (DAY, day_of(1)):
        twin.night(day)
    assert nights.state() == twin.state()


def test_a_partition_whose_bytes_changed_is_replayed_from_the_landing(nights: Nights) -> None:
    nights.land(DAY, n=200, faulty=1)
    nights.land(EARLIER, n=200, faulty=1)
    nights.night(DAY)
    nights.land(DAY, n=200)
    found = run(nights, Wanted(reason="missing_user"))
    assert found == [Replayed("events", EARLIER, "logs", 0, 1, ""), Replayed("events", DAY, "landing", 1, 0, "")]
    assert nights.held() == {EARLIER: 199, DAY: 200}


@pytest.mark.parametrize("content", [b"PAR1 torn", None], ids=["torn", "refused"])
def test_a_correction_that_cannot_be_used_leaves_the_partition_and_says_why(
    nights: Nights, content: bytes | None
) -> None:
    nights.land(DAY, n=200, faulty=1)
    nights.night(DAY)
    before = nights.state()
    if content:
        (nights.lake.landing / "events" / f"day={DAY}" / "part.parquet").write_bytes(content)
    else:
        nights.land(DAY, n=200, faulty=150)
    (found,) = run(nights)
    assert (found.source, found.moved, found.left) == ("landing", 0, 1)
    assert ("part.parquet" if content else "null_share") in found.problem
    assert nights.state() == before


def test_a_new_action_lets_its_events_in(nights: Nights) -> None:
    nights.write("events", DAY, [*[event(f"u{k}") for k in range(200)], event() | {"action": "rate"}])
    nights.night(DAY)
    assert run(nights, rate=Action(sign="+")) == [Replayed("events", DAY, "logs", 1, 0, "")]
    assert nights.rows("SELECT action FROM events WHERE action <> 'buy'") == [("rate",)]


def test_items_are_replayed_before_the_events_that_name_them(nights: Nights) -> None:
    nights.write("items", DAY, [item("i2"), *[item("", title="") for _ in range(3)]])
    nights.write("events", DAY, [*[event(f"u{k}") for k in range(200)], event(item="i2")])
    nights.night(DAY)
    found = run(nights, rules=Rules(max_bad_item_share=1.0))
    assert [(entry.kind, entry.moved, entry.left) for entry in found] == [("items", 1, 3), ("events", 1, 0)]


def test_rows_as_odd_as_they_come_are_set_aside_again_for_the_same_reasons(nights: Nights) -> None:
    folder = nights.lake.landing / "events" / f"day={DAY}"
    folder.mkdir(parents=True)
    odd = ["nan,,", "inf,,", ",infinity,", "x,junk,", ',,"{""a"":[1]}"', ',,"[1"', "1e999,0001-01-01,", ",9999-12-31,"]
    lines = [
        f"u{n},i1,buy,{time or DAY},{value},{context}"
        for n, (value, time, context) in enumerate(s.split(",", 2) for s in odd)
    ]
    (folder / "a.csv").write_text("user_id,item_id,action,occurred_at,value,context\n" + "\n".join(lines) + "\n")
    mild = Rules(**dict.fromkeys(("max_outside_day_share", "max_bad_value_share", "max_refused_share"), 1.0))
    nights.night(DAY, rules=mild)
    before = nights.state()
    assert len(before["quarantine"]) >= 7
    (found,) = run(nights, rules=mild)
    assert (found.source, found.moved, found.problem) == ("logs", 0, "")
    assert nights.state() == before


def test_what_waits_for_a_backfill_is_not_moved_by_a_replay(lakes: Lakes) -> None:
    nights = lakes(late_events="backfill")
    nights.write("events", DAY, [*[event(f"u{k}") for k in range(50)], event("late", day=EARLIER)])
    nights.night(DAY)
    assert run(nights) == [Replayed("events", DAY, "logs", 0, 1, "")]
    assert run(nights, rules=Rules(late_events="night")) == [Replayed("events", DAY, "logs", 1, 0, "")]
    assert nights.held() == {EARLIER: 1, DAY: 50}


def test_a_catalogue_that_landed_late_is_loaded_first(nights: Nights) -> None:
    nights.write("events", DAY, [event(f"u{k}") for k in range(100)] + [event(f"v{k}", "late") for k in range(3)])
    nights.night(DAY)
    nights.write("items", DAY, [item("late")])
    (done,) = replay(nights.lake, nights.landing, Wanted(reason="unknown_item"), nights.rules, ACTIONS, at=NOW)
    assert (done.moved, done.left) == (3, 0)
    assert nights.held()[DAY] == 103
