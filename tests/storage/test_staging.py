"""Landed files into rows: three formats that say the same, and files that cannot be used."""

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.errors import ContractError
from retrieval.rules import Rules
from retrieval.schema import Kind

DAY = dt.date(2026, 3, 5)
EARLIER = DAY - dt.timedelta(1)
NOON = dt.datetime(2026, 3, 5, 12, 0, 0, 250_000, tzinfo=dt.UTC)
ENDINGS = ("parquet", "csv", "jsonl")

ITEMS: list[dict[str, Any]] = [
    {
        "item_id": "i1",
        "title": 'Shoes, "red"',
        "description": "line one\nline two",
        "topics": ["sport", "sport/run"],
        "attributes": {"brand": "Ä&B", "size": "42"},
        "available_from": dt.date(2026, 1, 1),
        "available_until": dt.date(2026, 12, 31),
        "embedding": [0.5, -0.25],
    },
    {"item_id": "i2", "title": "Ball", "topics": [], "attributes": {}, "available_from": None},
    {"item_id": "i3", "title": "Hat", "attributes": {"size": "9"}},
]
USERS: list[dict[str, Any]] = [{"user_id": "u1", "attributes": {"region": "north"}}, {"user_id": "u2"}]
EVENTS: list[dict[str, Any]] = [
    {
        "user_id": "u1",
        "item_id": "i1",
        "action": "buy",
        "occurred_at": NOON,
        "event_id": "e1",
        "value": 2.5,
        "condition": "sport",
        "position": 3,
        "served_by": "r1/knn",
        "context": {"store": "7", "device": "phone"},
    },
    {"user_id": "u2", "item_id": "i2", "action": "rate", "occurred_at": NOON, "value": 4.0, "context": {"store": "8"}},
    {"user_id": "u1", "item_id": "i3", "action": "buy", "occurred_at": NOON + dt.timedelta(hours=1)},
]


def events(n: int) -> list[dict[str, Any]]:
    return [
        {"user_id": f"u{i}", "item_id": "i1", "action": "buy", "occurred_at": NOON, "event_id": f"e{i}"}
        for i in range(n)
    ]


def land_items(place: Any, day: dt.date = EARLIER) -> None:
    place.land("items", day, ITEMS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_logs_the_rows_that_were_written(place: Any, ending: str) -> None:
    file = f"part.{ending}"
    for kind, rows in (("items", ITEMS), ("users", USERS), ("events", EVENTS)):
        place.land(kind, DAY, rows, file)
    place.load(DAY)
    found = place.content()
    first = dt.datetime(2026, 3, 5, 12, 0, 0, 250_000)
    store, device = '{"store":"8"}', '{"device":"phone","store":"7"}'
    assert found["events"] == [
        (DAY, DAY, file, 1, "u1", "i1", "buy", first, "e1", 2.5, "sport", 3, "r1/knn", device),
        (DAY, DAY, file, 2, "u2", "i2", "rate", first, None, 4.0, None, None, None, store),
        (DAY, DAY, file, 3, "u1", "i3", "buy", first + dt.timedelta(hours=1), None, None, None, None, None, None),
    ]
    assert found["users"] == [(DAY, file, 1, "u1", '{"region":"north"}'), (DAY, file, 2, "u2", None)]
    assert [row[:3] for row in found["items"]] == [(DAY, file, line) for line in (1, 2, 3)]
    ids, titles, descriptions, topics, attributes, since, until, embeddings = zip(
        *[row[3:] for row in found["items"]], strict=True
    )
    assert ids == ("i1", "i2", "i3")
    assert titles == ('Shoes, "red"', "Ball", "Hat")
    assert descriptions == ("line one\nline two", None, None)
    assert topics == (["sport", "sport/run"], [], None)
    assert attributes == ('{"brand":"Ä&B","size":"42"}', "{}", '{"size":"9"}')
    assert since == (dt.date(2026, 1, 1), None, None)
    assert until == (dt.date(2026, 12, 31), None, None)
    assert embeddings == ([0.5, -0.25], None, None)


@pytest.mark.parametrize(
    "attributes",
    [
        pa.array([{"size": "42", "brand": "B"}, {"size": "9", "brand": None}]),
        pa.array([[("brand", "B"), ("size", "42")], [("size", "9")]], pa.map_(pa.string(), pa.string())),
        pa.array(['{"size": 42,  "brand": "B"}', '{"size": "9"}']),
    ],
    ids=["struct", "map", "JSON text"],
)
def test_attributes_are_the_same_as_struct_as_map_and_as_text(place: Any, attributes: pa.Array) -> None:
    folder = place.folder("items", DAY)
    folder.mkdir(parents=True)
    pq.write_table(
        pa.table({"item_id": ["a", "b"], "title": ["A", "B"], "attributes": attributes}), folder / "x.parquet"
    )
    place.load(DAY)
    assert place.rows("SELECT attributes FROM items ORDER BY item_id") == [
        ('{"brand":"B","size":"42"}',),
        ('{"size":"9"}',),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"item_id": "a", "title": "A", "topics": ["x", 1]}\n'),
        ("a.jsonl", b'{"item_id": "a", "title": "A", "topics": "[\\"x\\", \\"1\\"]"}\n'),
        ("a.csv", b'item_id,title,topics\na,A,"[""x"", 1]"\n'),
    ],
    ids=["list", "text of JSON", "CSV"],
)
def test_topics_are_the_same_as_a_list_and_as_text(place: Any, name: str, content: bytes) -> None:
    place.land("items", DAY, content, name)
    place.load(DAY)
    assert place.rows("SELECT topics FROM items") == [(["x", "1"],)]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-03-05T01:30:00+02:00", None),
        ("2026-03-04T23:30:00-03:00", dt.datetime(2026, 3, 5, 2, 30)),
        ("2026-03-05T01:30:00Z", dt.datetime(2026, 3, 5, 1, 30)),
        ("2026-03-05 01:30:00", dt.datetime(2026, 3, 5, 1, 30)),
        ("2026-03-05 01:30:00.123456+00", dt.datetime(2026, 3, 5, 1, 30, 0, 123_456)),
    ],
)
def test_a_time_with_an_offset_is_turned_to_utc_before_its_day_is_judged(
    place: Any, ending: str, written: str, utc: dt.datetime | None
) -> None:
    land_items(place)
    row = {"user_id": "u", "item_id": "i1", "action": "buy", "occurred_at": written}
    place.land("events", DAY, [row], f"a.{ending}")
    place.load(EARLIER, DAY)
    if utc is None:
        assert place.quarantine()[0][2] == ["outside_day"]
    else:
        assert place.rows("SELECT occurred_at FROM events") == [(utc,)]


def test_typed_parquet_times_of_any_zone_and_unit_are_utc(place: Any) -> None:
    land_items(place)
    folder = place.folder("events", DAY)
    folder.mkdir(parents=True)
    moment = dt.datetime(2026, 3, 5, 1, 30)
    for number, type_ in enumerate(
        (pa.timestamp("ns"), pa.timestamp("ms", "Asia/Tokyo"), pa.timestamp("us", "UTC"), pa.timestamp("s"))
    ):
        local = moment.replace(tzinfo=dt.UTC) if type_.tz else moment
        columns = {"user_id": [f"u{number}"], "item_id": ["i1"], "action": ["buy"]}
        pq.write_table(pa.table(columns | {"occurred_at": pa.array([local], type_)}), folder / f"{number}.parquet")
    place.load(EARLIER, DAY)
    assert place.rows("SELECT user_id, occurred_at FROM events ORDER BY ALL") == [(f"u{n}", moment) for n in range(4)]


def test_numbers_as_ids_become_their_text(place: Any) -> None:
    place.land("items", DAY, b'{"item_id": 7, "title": 1984}\n{"item_id": "x7", "title": "t"}\n', "a.jsonl")
    folder = place.folder("events", DAY)
    folder.mkdir(parents=True)
    times = pa.array([NOON] * 2, pa.timestamp("us", "UTC"))
    columns = {"user_id": pa.array([1, 2**60]), "item_id": pa.array([7, 7], pa.int32()), "action": ["buy"] * 2}
    pq.write_table(pa.table(columns | {"occurred_at": times}), folder / "a.parquet")
    line = {"user_id": 12345678901234567890123, "item_id": 7, "action": "buy", "occurred_at": str(NOON)}
    place.land("events", DAY, json.dumps(line).encode(), "b.jsonl")
    place.load(DAY)
    assert place.rows("SELECT user_id FROM events ORDER BY ALL") == [
        ("1",),
        ("1152921504606846976",),
        ("12345678901234567890123",),
    ]
    assert place.rows("SELECT item_id, title FROM items ORDER BY ALL") == [("7", "1984"), ("x7", "t")]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "identity", ["2026-3-5", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "007", "1e5", "true", "#1", "10:00:00"]
)
def test_an_id_is_kept_to_the_letter_whatever_it_looks_like(place: Any, ending: str, identity: str) -> None:
    land_items(place)
    row = {"user_id": identity, "item_id": "i1", "action": "buy", "occurred_at": str(NOON)}
    place.land("events", DAY, [row], f"a.{ending}")
    place.load(EARLIER, DAY)
    assert place.rows("SELECT user_id FROM events") == [(identity,)]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["events", "items", "users"])
def test_a_file_that_lacks_a_required_column_is_named_with_the_column(place: Any, ending: str, kind: Kind) -> None:
    rows = {"events": EVENTS, "items": ITEMS, "users": USERS}[kind]
    lost = {"events": "occurred_at", "items": "title", "users": "user_id"}[kind]
    place.land(kind, DAY, rows, f"good.{ending}")
    place.land(kind, DAY, [{k: v for k, v in row.items() if k != lost} for row in rows], f"lacking.{ending}")
    with pytest.raises(ContractError) as refusal:
        place.load(DAY)
    assert f"lacking.{ending}" in str(refusal.value)
    assert f"no column {lost}" in str(refusal.value)


def garbage(_: bytes) -> bytes:
    return random.Random(3).randbytes(4_000)


def nothing(_: bytes) -> bytes:
    return b""


def cut(whole: bytes) -> bytes:
    """Half of it, ending within a row."""
    half = whole[: len(whole) // 2]
    return half.rstrip(b"\n")[:-25]


def scrambled(whole: bytes) -> bytes:
    """A Parquet file whose footer is whole and whose pages are not."""
    return whole[:200] + b"\xff" * (len(whole) // 2 - 200) + whole[len(whole) // 2 :]


BROKEN = [(ending, harm, 30) for ending in ENDINGS for harm in (garbage, cut)]
BROKEN += [("parquet", nothing, 30), ("csv", nothing, 30)]  # JSON of no lines says as much as a header of no rows
BROKEN += [("parquet", scrambled, 30), ("parquet", scrambled, 30_000), ("csv", cut, 30_000), ("jsonl", cut, 30_000)]


@pytest.mark.parametrize(
    ("ending", "harm", "n"), BROKEN, ids=[f"{harm.__name__} {ending} {n}" for ending, harm, n in BROKEN]
)
def test_a_broken_file_is_named_and_the_logs_stay_as_they_were(
    places: Callable[[], Any], ending: str, harm: Callable[[bytes], bytes], n: int
) -> None:
    place = places()
    land_items(place)
    place.land("events", DAY, events(10))
    place.load(EARLIER, DAY)
    before = place.content()
    good = place.land("events", DAY, events(n), f"aaa.{ending}")
    place.land("events", DAY, harm(good.read_bytes()), f"broken.{ending}")
    with pytest.raises(ContractError) as refusal:
        place.load(DAY)
    assert str(place.folder("events", DAY) / f"broken.{ending}") in str(refusal.value)
    assert place.content() == before


def test_a_csv_row_with_too_many_fields_is_named_not_skipped(place: Any) -> None:
    land_items(place)
    text = "user_id,item_id,action,occurred_at\n" + "u,i1,buy,2026-03-05\n" * 30_000 + "u,i1,buy,2026-03-05,x\n"
    place.land("events", DAY, text.encode(), "a.csv")
    with pytest.raises(ContractError, match=r"a\.csv"):
        place.load(EARLIER, DAY)


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_without_rows_is_a_day_of_no_rows(place: Any, ending: str, accept: bool) -> None:
    place.land("events", DAY, [], f"a.{ending}")
    (counts,) = place.load(DAY, accept=accept)
    assert (counts.day, counts.is_refused) == (DAY, not accept)
    assert (counts.landed, counts.loaded, counts.quarantined, counts.duplicates, counts.late) == (0, 0, 0, 0, 0)


def test_an_unreadable_value_sets_its_row_aside_with_file_line_and_the_text_that_landed(place: Any) -> None:
    land_items(place)
    text = (
        "user_id,item_id,action,occurred_at,value,position,context\n"
        "u1,i1,buy,2026-03-05T10:00:00,1.5,1,\n"
        "u2,i1,buy,2026-03-05T10:00:00,x,1,\n"
        "u3,i1,buy,junk,1,1,\n"
        "u4,i1,buy,soon,many,first,\n"
        'u5,i1,buy,2026-03-05T10:00:00,1,1,"[1, 2]"\n'
        "u6,i1,buy,2026-03-05T10:00:00,1,1,not JSON\n"
    )
    place.land("events", DAY, b"user_id,item_id,action,occurred_at\nu0,i1,buy,2026-03-05T10:00:00\n", "a.csv")
    place.land("events", DAY, text.encode(), "b.csv")
    place.load(EARLIER, DAY)
    found = [(name, line, sorted(reasons)) for name, line, reasons, _ in place.quarantine()]
    assert found == [
        ("b.csv", 2, ["unreadable_value"]),
        ("b.csv", 3, ["unreadable_time"]),
        ("b.csv", 4, ["unreadable_time", "unreadable_value"]),
        ("b.csv", 5, ["malformed_context"]),
        ("b.csv", 6, ["malformed_context"]),
    ]
    contents = {content["user_id"]: content for *_, content in place.quarantine()}
    assert contents["u2"]["value"] == "x"
    assert contents["u3"]["occurred_at"] == "junk"
    assert (contents["u4"]["occurred_at"], contents["u4"]["value"], contents["u4"]["position"]) == (
        "soon",
        "many",
        "first",
    )
    assert contents["u6"]["context"] == "not JSON"
    assert place.rows("SELECT user_id FROM events ORDER BY ALL") == [("u0",), ("u1",)]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_empty_text_is_an_absent_value_not_an_unreadable_one(place: Any, ending: str) -> None:
    land_items(place)
    row = {"user_id": "u", "item_id": "i1", "action": "buy", "occurred_at": str(NOON), "value": "", "context": ""}
    place.land("events", DAY, [row], f"a.{ending}")
    place.load(EARLIER, DAY)
    assert place.rows("SELECT value, context FROM events") == [(None, None)]


@pytest.mark.parametrize("attributes", ["[1,2]", "5", '"text"', "{", '{"a":1,"a":2}'])
def test_attributes_that_are_no_map_are_set_aside_and_the_catalogue_stays_readable(place: Any, attributes: str) -> None:
    rows = [{"item_id": "i1", "title": "One", "attributes": attributes}, {"item_id": "i2", "title": "Two"}]
    place.land("items", DAY, rows, "a.csv")
    place.load(DAY)
    assert [reasons for _, _, reasons, _ in place.quarantine()] == [["unreadable_value"]]
    with place.opened() as logs:
        assert logs.catalogue(DAY, Rules())["item_id"].to_pylist() == ["i2"]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("infinity", "unreadable_time"),
        ("-infinity", "unreadable_time"),
        ("9999-12-31", "future_time"),
        ("290000-12-31", "future_time"),
        ("0001-01-01", "outside_day"),
    ],
)
def test_a_far_time_is_set_aside_and_nothing_worse(place: Any, written: str, reason: str) -> None:
    land_items(place)
    rows = [{"user_id": "u", "item_id": "i1", "action": "buy", "occurred_at": t} for t in (written, str(NOON))]
    place.land("events", DAY, rows, "a.csv")
    place.load(EARLIER, DAY)
    assert [reasons for _, _, reasons, _ in place.quarantine()] == [[reason]]


def test_rows_belong_to_the_day_of_their_folder_whatever_their_file_is_called(place: Any) -> None:
    land_items(place)
    place.land("events", DAY, events(3), "export-day=2026-03-01.parquet")
    place.land("events", DAY, events(5)[3:], "day=7.parquet")
    counts = {(entry.kind, entry.day): entry for entry in place.load(EARLIER, DAY)}
    assert counts["events", DAY].loaded == 5
    assert place.rows("SELECT DISTINCT day FROM events") == [(DAY,)]


def test_a_name_with_a_quote_is_read(place: Any) -> None:
    land_items(place)
    place.land("events", DAY, events(2), "it's; DROP TABLE events.parquet")
    place.load(EARLIER, DAY)
    assert place.rows("SELECT count(*) FROM events") == [(2,)]


def test_columns_outside_the_contract_do_no_harm(place: Any) -> None:
    land_items(place)
    row = {"user_id": "u", "item_id": "i1", "action": "buy", "occurred_at": str(NOON), "day": "x", "file": 1, "raw": 2}
    place.land("events", DAY, [row], "a.jsonl")
    place.land("events", DAY, [row | {"user_id": "v", "line": None}], "b.csv")
    place.load(EARLIER, DAY)
    assert place.rows("SELECT user_id, day FROM events ORDER BY ALL") == [("u", DAY), ("v", DAY)]


def test_files_with_different_columns_make_one_day(place: Any) -> None:
    land_items(place)
    place.land("events", DAY, [EVENTS[0]], "a.parquet")
    place.land("events", DAY, [EVENTS[1]], "b.csv")
    place.land("events", DAY, [EVENTS[2]], "c.jsonl")
    counts = {(entry.kind, entry.day): entry for entry in place.load(EARLIER, DAY)}
    assert (counts["events", DAY].landed, counts["events", DAY].loaded) == (3, 3)


def test_nothing_is_read_from_a_partition_that_is_not_asked_for(place: Any, tmp_path: Path) -> None:
    land_items(place)
    place.land("events", DAY, events(2))
    place.land("events", DAY + dt.timedelta(1), b"torn", "torn.parquet")
    place.load(EARLIER, DAY)
    assert place.rows("SELECT count(*) FROM events") == [(2,)]
