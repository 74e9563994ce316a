"""Hostile values and lines in CSV and JSON, and in Parquet's texts."""

import csv
import datetime as dt
import io
import json
import random
from typing import Any

from hostile import ENDINGS, Case, Row, as_bytes, as_csv, as_jsonl, good_rows, hostile

from retrieval.schema import CONTRACTS

TEXTS = (
    *("'; DROP TABLE events; --", '"; DROP TABLE events; --', "x' OR '1'='1", "$$", "$1", "?", "{0}", "%s", "%n%n", "${HOME}"),
    *("100%", "a_b", "_", "%", "\\", "\\\\", "\\n", 'a"b', '""', "'", "''", "`id`", "a,b", "a;b", "a\tb", "a\nb", "a\r\nb", "\r"),
    *("\n", " ", "  x  ", "\t", "", "NULL", "null", "None", "nan", "NaN", "inf", "true", "False", "[]", "{}", "[1]", '{"a":1}'),
    *("0", "007", "1e5", "1.0", "-0", "+1", "0x10", "12345678901234567890", "1_000", "2026-03-05", "12:00", "2026-03-05T10:00:00Z"),
    *("/etc/passwd", "../../x", "C:\\x", "s3://b/k", "file:///etc/passwd", "=cmd|' /C calc'!A0", "@SUM(1)", "-1", "+1+1", "#", "# note"),
    *("\u202eabc", "\u200f", "\u200b", "\ufeff", "e\u0301", "é", "😀", "👩‍👩‍👧", "\U0010ffff", "\ufffd", "\ufffe", "ı", "ß", "𝟙"),
    *("\x00", "a\x00b", "\x1b[31m", "\x7f", "\x85", "\u2028", "day_refused", "landed_file", "<script>alert(1)</script>"),
    *("a" * 600, "ä" * 5000, "x" * 100_000, '"' * 999, "\\" * 999, "{" * 2000, "," * 500),
)  # fmt: skip
ID_COLUMNS = ("user_id", "event_id", "condition", "served_by")


@hostile(len(TEXTS) * 3)
def text_in_events(n: int, rng: random.Random, day: dt.date) -> Case:
    text, ending = TEXTS[n // 3], ENDINGS[n % 3]
    rows = good_rows("events", day, rng)
    for k, column in enumerate((*ID_COLUMNS, "item_id", "action")):
        rows[k][column] = text
    rows[6]["context"] = {text: "x"}
    rows[7]["context"] = {"store": text, "b": "y"}
    rows[8] |= dict.fromkeys(ID_COLUMNS, text)
    return Case("events", {f"part.{ending}": as_bytes("events", rows, ending)}, len(rows), frozenset({text} - {""}))


@hostile(len(TEXTS))
def text_in_catalogue(n: int, rng: random.Random, day: dt.date) -> Case:
    text, ending = TEXTS[n // 2], ENDINGS[rng.randrange(3)]
    kind = "items" if n % 2 else "users"
    rows = good_rows(kind, day, rng)
    rows[0]["item_id" if n % 2 else "user_id"] = text
    rows[1]["attributes"] = {text: text}
    if kind == "items":
        rows[2]["title"] = rows[3]["description"] = text
        rows[4]["topics"] = [text, text]
    users = frozenset({text} - {""}) if kind == "users" else frozenset[str]()
    return Case(kind, {f"part.{ending}": as_bytes(kind, rows, ending)}, len(rows), users)


TIMES: tuple[Any, ...] = (
    *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-1-01-01", "300000-01-01T00:00:00Z", "-290309-01-01", "infinity", "-infinity"),
    *("epoch", "now", "today", "yesterday", "2026-02-30T00:00:00Z", "2026-13-01", "2026-03-05", "2026-03-05 10:00", "10:00:00"),
    *("2026-03-05T24:00:00Z", "2026-03-05T23:59:60Z", "2026-03-05T10:00:00", "2026-03-05T10:00:00+14:00", "2026-03-05T10:00:00-99:00"),
    *("2026-03-05T10:00:00 Europe/Berlin", "05.03.2026", "03/05/2026", "20260305", "Thu Mar  5 2026", "2026-W10-4", "1772704800"),
    *("1772704800000", "1e12", "٢٠٢٦-٠٣-٠٥", "2026-03-05T10:00:00.123456789Z", "2026-03-05T10:00:00,5Z", "x" * 5000, " 2026-03-05 "),
    *("294247-01-10 04:00:54.775807", "294248-01-01", "2026-03-05T10:00:00Z\x00", "", "NULL", "2026-03-05 (BC)", "5877642-06-24"),
    *(0, -1, 1772704800, 1772704800000, 1e300, -1e300, True, None, [], {}, ["2026-03-05"], {"$date": 1}, 2**63, -(2**63), 2**64),
)  # fmt: skip


@hostile(len(TIMES) * 3)
def time_in_events(n: int, rng: random.Random, day: dt.date) -> Case:
    time, ending = TIMES[n // 3], ENDINGS[n % 3]
    rows = good_rows("events", day, rng)
    if ending == "parquet":
        import pyarrow as pa
        from hostile import as_parquet

        schema = CONTRACTS["events"].arrow
        at = schema.get_field_index("occurred_at")
        table = pa.Table.from_pylist(rows, schema=schema)
        texts = [row["occurred_at"].isoformat() for row in rows[:-1]] + [None if time is None else str(time)]
        return Case("events", {"part.parquet": as_parquet(table.set_column(at, "occurred_at", pa.array(texts)))}, 12)
    rows[-1]["occurred_at"] = time
    return Case("events", {f"part.{ending}": as_bytes("events", rows, ending)}, len(rows))


@hostile(30)
def date_in_items(n: int, rng: random.Random, day: dt.date) -> Case:
    ending = ENDINGS[1 + n % 2]
    rows = good_rows("items", day, rng)
    for row, time in zip(rows, rng.sample(TIMES, len(rows)), strict=True):
        row[rng.choice(["available_from", "available_until"])] = time
    return Case("items", {f"part.{ending}": as_bytes("items", rows, ending)}, len(rows))


RAW = (
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "0.1e1", "-0", "-0.0", "1" * 400, "0." + "1" * 400, "1.7976931348623159e308"),
    *("9223372036854775808", "18446744073709551616", "2147483648", "-2147483649", "1.5", "true", "null", '"5"', '"five"', '"0x5"', '""'),
    *("[]", "{}", "[1]", '{"a":1}', "[[]]", '{"a":{"b":{"c":null}}}', '{"a":1,"a":2}', '{"":""}', '{"a":null}', '{"a":[1,{"b":2}]}'),
    *('"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"{}"', '"{\\"a\\":1}"', '"[1,2]"', '"null"', '"\\/"'),
    *('{"\\u0000":"\\u0000"}', '{"\\ud800":"x"}', '{"a":"\\ud800"}', "[null]", '[null,"a"]', '["a",1,true,[],{}]', "[1e400]", "[NaN]"),
    *("01", "1.", ".5", "+1", "0x1", "'a'", "undefined", "tru", '"unended', "[1", '{"a"', '{"a":}', "{a:1}", "[1,]", '{"a":1,}', "/*c*/1"),
    *("[" * 500 + "]" * 500, "[" * 1500 + "]" * 1500, '{"a":' * 1500 + "1" + "}" * 1500, "[" * 100_000 + "]" * 100_000, "[" * 5000),
)  # fmt: skip


@hostile(len(RAW) * 3)
def json_value(n: int, rng: random.Random, day: dt.date) -> Case:
    """One JSON text in one place of one row: two of the columns for each, and a place that the contract does not name."""
    rows = good_rows("events", day, rng)
    kind = "items" if n % 3 == 1 else "events"
    if kind == "items":
        rows = good_rows(kind, day, rng)
    column = rng.choice(CONTRACTS[kind].columns).name if n % 3 else "context"
    if rng.random() < 0.1:
        column = "other"
    rows[4][column] = "HERE"
    return Case(kind, {"part.jsonl": as_jsonl(rows).replace(b'"HERE"', RAW[n // 3].encode())}, len(rows))


@hostile(len(RAW))
def json_in_csv(n: int, rng: random.Random, day: dt.date) -> Case:
    rows = good_rows("events", day, rng)
    rows[2]["context"] = rows[3]["value"] = rows[4]["position"] = RAW[n]
    return Case("events", {"part.csv": as_csv(rows)}, len(rows), is_usable=True)


LINES = (
    *(b"null", b"1", b'"text"', b"[]", b"[1,2]", b"{}", b"true", b"[{}]", b" ", b"\t", b"\r", b"\x0b", b"\0", b"{", b"}", b'{"a"', b"x"),
    *(b"{}{}", b"{} {}", b"{},{}", b'{"user_id":1}{"user_id":2}', b"[]{}", b'{"user_id":"a"},', b"// c", b"#", b"\xef\xbb\xbf{}", b"\xff"),
    *(b'{"user_id":"a","user_id":"b"}', b'{"USER_ID":"a"}', b'{"user_id":{"user_id":"x"}}', b'{"user_id":["x"]}', b'{"":""}', b"---", b"NaN"),
    *(b'{"a":' * 1200 + b"1" + b"}" * 1200, b"[" * 20_000 + b"]" * 20_000, b'{"user_id":' * 3000 + b"1" + b"}" * 3000, b'{"a":"' + b"x" * 10**6 + b'"}'),
)  # fmt: skip


@hostile(len(LINES) * 3)
def json_line(n: int, rng: random.Random, day: dt.date) -> Case:
    """A line that is no row, as the first, in the middle or as the last of a good file."""
    line, at = LINES[n // 3], (0, 6, 12)[n % 3]
    lines = as_jsonl(good_rows("events", day, rng)).splitlines()
    return Case("events", {"part.jsonl": b"\n".join([*lines[:at], line, *lines[at:]]) + b"\n"})


def _random_json(rng: random.Random, depth: int = 0) -> Any:
    pick = rng.randrange(9 if depth < 3 else 7)
    if pick < 5:
        return rng.choice([None, True, 0, -1, 1.5, 10**18, "", "x", "5", "2026-03-05", rng.choice(TEXTS[:120])])
    if pick < 7:
        return rng.choice(["buy", "rate", "u1", "i1", 3, "2026-03-05T10:00:00Z"])
    many = rng.randrange(4)
    if pick == 7:
        return [_random_json(rng, depth + 1) for _ in range(many)]
    return {rng.choice(["a", "b", "", "user_id", "$", "a.b", '"']): _random_json(rng, depth + 1) for _ in range(many)}


@hostile(80)
def mixed_json(n: int, rng: random.Random, day: dt.date) -> Case:
    """Any type in any column of any row, keys missing and added."""
    kind = (*["events"] * 3, "items", "users")[n % 5]
    rows: list[Row] = []
    for row in good_rows(kind, day, rng, 20):
        for name in list(row):
            if rng.random() < 0.2:
                row[name] = _random_json(rng)
            elif rng.random() < 0.05:
                del row[name]
        if rng.random() < 0.1:
            row[rng.choice(["json", "whole", "line", "User_Id", "", "landed_file", "x" * 300])] = _random_json(rng)
        rows.append(dict(rng.sample(sorted(row.items()), len(row))))
    return Case(kind, {"part.jsonl": as_jsonl(rows)}, len(rows))


@hostile(80)
def random_csv(n: int, rng: random.Random, day: dt.date) -> Case:
    """Cells with all that CSV has to quote, written as Python writes them: every row is known."""
    kind = (*["events"] * 3, "items", "users")[n % 5]
    columns = [column.name for column in CONTRACTS[kind].columns]
    rows = good_rows(kind, day, rng, 20)
    for row in rows:
        for name in rng.sample(columns, 1 + rng.randrange(2)):
            row[name] = rng.choice(TEXTS)
    how: dict[str, Any] = {"lineterminator": rng.choice(["\n", "\r\n"])}
    if rng.random() < 0.3:
        how["quoting"] = csv.QUOTE_ALL
    return Case(kind, {"part.csv": as_csv(rows, **how)}, len(rows))


def _csv_files(day: dt.date, rng: random.Random) -> list[tuple[bytes, int | None]]:
    """CSV files of every bad habit, each with its number of rows where all agree on it."""
    rows = good_rows("events", day, rng)
    good = as_csv(rows)
    short = [{name: row[name] for name in CONTRACTS["events"].required} for row in rows]
    simple = as_csv(short, lineterminator="\n").decode()
    names, body = simple.split("\n", 1)

    def joined(*parts: str) -> bytes:
        return "".join(part + "\n" for part in parts).encode()

    bare = body.splitlines()
    n = len(rows)
    return [
        (good, n),
        (joined(names, names, *bare), n + 1),  # a doubled header is a bad row
        (joined(names), 0),
        (names.encode(), None),
        (joined(*bare), None),
        (joined(names.upper(), *bare), None),
        (joined("user_id,user_id,item_id,action,occurred_at", *(f"x,{line}" for line in bare)), None),
        (joined("user_id,User_Id,item_id,action,occurred_at", *(f"x,{line}" for line in bare)), None),
        (joined(names + ",x", *(f"{line},1" for line in bare)), n),
        (joined(names + ",", *(f"{line}," for line in bare)), n),
        (joined(names + ",,", *(f"{line},," for line in bare)), n),
        (joined(names, *(f"{line}," for line in bare)), None),
        (joined(names, *bare[:5], bare[5] + ",extra", *bare[6:]), None),
        (joined(names, *bare[:5], "u1,i1", *bare[6:]), None),
        (joined(names, *(line.rsplit(",", 1)[0] for line in bare)), None),
        (joined(names, "", *bare, "", ""), n),
        (joined("", names, *bare), None),
        (joined("a note", "another", names, *bare), None),
        (joined("# a comment", names, *bare), None),
        (joined(names, "# a comment", *bare), None),
        (joined(names, *(f"#{line}" for line in bare)), n),
        (joined(names, *bare[:3], "#" + bare[3], *bare[4:]), n),
        (joined(names, *(f"{line}#x" for line in bare)), n),
        (joined(names, *bare, "total,12,,"), n + 1),
        (joined(names, *bare, ",,,"), n + 1),
        (joined(names, ",,,", *bare), n + 1),
        (joined(names, "a,b,c,d", *bare), n + 1),
        (joined(names, *(["user_id,item_id,action,occurred_at"] * 3), *bare), n + 3),
        (joined(names.replace(",", ";"), *(line.replace(",", ";") for line in bare)), None),
        (joined(names.replace(",", "\t"), *(line.replace(",", "\t") for line in bare)), None),
        (joined(names, *bare[:4], '"u1,i1,buy,x', *bare[5:]), None),
        (joined(names, *bare[:4], 'u"1,i1,buy,x', *bare[5:]), None),
        (joined(names, *bare[:4], '"u"1,i1,buy,x', *bare[5:]), None),
        (joined(names, *bare[:4], "u1,i1,buy,'2026", *bare[5:]), n),
        (joined(names, *bare[:4], '"u\n1",i1,buy,x', *bare[5:]), n),
        (joined(names, *bare[:4], '"u\r1",i1,buy,x', *bare[5:]), n),
        (joined(names, *bare[:4], '"u""1",i1,buy,x', *bare[5:]), n),
        (joined(names, *bare[:4], '"u\\"1",i1,buy,x', *bare[5:]), None),
        (simple.replace("\n", "\r").encode(), None),
        (simple.replace("\n", "\r", 3).encode(), None),
        (simple.replace("\n", "\r\n", 5).encode(), None),
        (simple.replace("\n", "\n\r", 5).encode(), None),
        (simple.replace("\n", "\r\n").encode(), n),
        (simple.replace("\n", "\x85").encode() + b"\n", None),
        (b"\xef\xbb\xbf" + simple.encode(), n),
        (b"\xef\xbb\xbf" * 2 + simple.encode(), None),
        (simple.replace("u", "\0").encode(), None),
        (simple.encode() + b"\x1a\n", None),
        (b"sep=,\n" + simple.encode(), None),
        (joined(f" {names.replace(',', ' , ')} ", *bare), None),
        (joined(names, *(line.replace(",", " , ") for line in bare)), n),
        (joined(f'"{names.replace(",", chr(34) + "," + chr(34))}"', *bare), n),
        (joined("landed_file,whole,json,rowid,file_number,line,landed," + names, *(f"1,2,3,4,5,6,7,{line}" for line in bare)), n),
        (joined("filename,source,raw,row,place," + names, *(f"1,2,3,4,5,{line}" for line in bare)), n),
        (joined("landed_file,value," + names, *(f"1,x,{line}" for line in bare)), n),
        (joined("user_id", *(["a"] * 10)), None),
        (joined("x", *(["a"] * 10)), None),
        (joined(*([names] * 5000)), 4999),
        (joined(names, *([bare[0]] * 3000)), 3000),
        (joined(names, *([bare[0]] * 25_000), "u1,i1"), None),
        (joined(names, *([bare[0]] * 25_000), '"u1,i1'), None),
        (joined(names, *([bare[0]] * 25_000), "#u1,i1,buy,x"), 25_001),
        (joined(names, *([bare[0]] * 3000), '"' + "x" * 3_000_000 + '",i1,buy,x'), None),
        (joined(names, '"' + "x\n" * 500_000 + '",i1,buy,x'), None),
        (joined(names + ',"a\nb"', *(f"{line},1" for line in bare)), None),
        (joined(names + "," + ",".join(f"c{k}" for k in range(3000)), *(line + "," * 3000 for line in bare)), n),
        (joined(names + ',"' + "x" * 70_000 + '"', *(f"{line},1" for line in bare)), n),
        (joined("\u202euser_id,item_id,action,occurred_at", *bare), None),
        (joined("'; DROP TABLE events; --,\"a\"\"b\"," + names, *(f"1,2,{line}" for line in bare)), n),
    ]  # fmt: skip


@hostile(69)
def bad_csv(n: int, rng: random.Random, day: dt.date) -> Case:
    data, rows = _csv_files(day, rng)[n]
    return Case("events", {"part.csv": data}, rows)


@hostile(12)
def huge_cell(n: int, rng: random.Random, day: dt.date) -> Case:
    """One cell of 1 to 20 MB, in a column of text or where a number is expected."""
    ending, size = ENDINGS[n % 3], (1, 4, 9, 20)[n // 3] * 1_000_000
    rows = good_rows("events", day, rng)
    rows[3]["served_by"] = rng.choice(["x", "ä", '"', "\n"]) * (size // 2)
    return Case("events", {f"part.{ending}": as_bytes("events", rows, ending)}, len(rows))


@hostile(20)
def any_lines(n: int, rng: random.Random, day: dt.date) -> Case:
    """Lines of good files of all formats and kinds, shuffled into one."""
    lines = [
        line
        for kind in ("events", "items", "users")
        for ending in ("csv", "jsonl")
        for line in as_bytes(kind, good_rows(kind, day, rng, 4), ending).splitlines(keepends=True)
    ]
    return Case("events", {f"part.{ENDINGS[1 + n % 2]}": b"".join(rng.sample(lines, len(lines)))})


def rows_of_csv(data: bytes) -> int | None:
    """How many rows Python finds in a CSV file below its header; None where it does not know either."""
    try:
        found = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    return len([row for row in found if row]) - 1


def lines_of(data: bytes) -> int:
    """How many lines that are not blank a file of JSON lines holds."""
    return len([line for line in data.split(b"\n") if line.strip()])


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
