"""Hostile names, links and folders in a landing zone."""

import datetime as dt
import os
import random
import zlib
from collections.abc import Callable
from pathlib import Path

from hostile import Case, as_bytes, as_jsonl, good_rows, hostile

FILE_NAMES = (
    *("a b", "it's", 'quo"te', "semi;colon", "..", "...x", "new\nline", "tab\tx", "per%cent", "%2e%2e", "ünï", "😀", "a*b", "a?b", "a[b]"),
    *("{a,b}", "a\\b", "~", "$HOME", "`id`", "$(id)", "a|b", "a&b", "#frag", "a=b", "day=2026-01-01", "http:", "s3:", "-rf", "x" * 200),
    *("\x1b[31mred", "\u202egnp", "\x7f", "\r", "null", "CON", "'; DROP TABLE events; --", "x']) --", "landed_file", "a,b", "a::b"),
    *("\ufeff", "e\u0301", "\x01", "a'b'c", "''", "!x", "(a)", "a@b", "a?x=1"),
)  # fmt: skip
ENDS = (".parquet", ".csv", ".jsonl")


@hostile(len(FILE_NAMES) * 2)
def file_name(n: int, rng: random.Random, day: dt.date) -> Case:
    rows = good_rows("events", day, rng)
    end = ENDS[(n // 2 + n % 2) % 3]
    return Case("events", {FILE_NAMES[n // 2] + end: as_bytes("events", rows, end[1:])}, len(rows))


WRONG = ("part", "part.txt", "part.jsonl.gz", "part.csv.gz", "part.parquet.tmp", "part.PARQUET", "part.json", "part.jsonl ", "part.tsv", "x.zip",
    "part.csv\n", "_part.jsonl", ".part.jsonl", "_SUCCESS", ".crc", ".jsonl", "Thumbs.db", "part.parquet~")  # fmt: skip


@hostile(len(WRONG))
def wrong_ending(n: int, rng: random.Random, day: dt.date) -> Case:
    """Endings that are not read; a bomb of zeros in those that are packed."""
    packed = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join(packed.compress(bytes(1 << 20)) for _ in range(50)) + packed.flush()
    data = data if WRONG[n].endswith("gz") else as_jsonl(good_rows("events", day, rng))
    return Case("events", {WRONG[n]: data}, is_usable=False)


def _linked(name: str, target: Callable[[Path, Path], Path | str]) -> Callable[[Path, Path], None]:
    def lay(folder: Path, outside: Path) -> None:
        (folder / name).symlink_to(target(folder, outside))

    return lay


def _secret(folder: Path, outside: Path) -> Path:
    """A good file of the very day that lies outside of the landing zone."""
    day = dt.date.fromisoformat(folder.name[4:])
    secret = outside / f"{day}.jsonl"
    secret.write_bytes(as_jsonl(good_rows("events", day, random.Random(1))))
    return secret


def _passwd(_folder: Path, outside: Path) -> Path:
    (outside / "passwd").write_text("user_id,item_id,action,occurred_at\nroot,i1,buy,0\n")
    return outside / "passwd"


def _relative(folder: Path, outside: Path) -> str:
    return os.path.relpath(_secret(folder, outside), folder)


def _by_another_link(folder: Path, outside: Path) -> Path:
    (folder / "_between").symlink_to(_secret(folder, outside))
    return folder / "_between"


def _folder_link(folder: Path, outside: Path) -> None:
    target = outside / f"of-{folder.name}"
    target.mkdir(exist_ok=True)
    (target / "part.jsonl").write_bytes(_secret(folder, outside).read_bytes())
    folder.rmdir()
    folder.symlink_to(target)


def _subfolder(name: str) -> Callable[[Path, Path], None]:
    def lay(folder: Path, outside: Path) -> None:
        (folder / name).mkdir()
        (folder / name / "part.jsonl").write_bytes(_secret(folder, outside).read_bytes())

    return lay


def _undecodable(folder: Path, _outside: Path) -> None:
    (folder / os.fsdecode(b"\xff\xfe.jsonl")).write_bytes(b"{}\n")


def _file_for_a_folder(folder: Path, _outside: Path) -> None:
    folder.rmdir()
    folder.write_bytes(b"{}\n")


def _own_link(folder: Path, _outside: Path) -> None:
    (folder / "_real").write_bytes(
        as_jsonl(good_rows("events", dt.date.fromisoformat(folder.name[4:]), random.Random(1)))
    )
    (folder / "part.jsonl").symlink_to("_real")


LINKS: tuple[Callable[[Path, Path], None], ...] = (
    _linked("part.jsonl", _secret),
    _linked("part.csv", _passwd),
    _linked("part.jsonl", _relative),
    _linked("part.jsonl", _by_another_link),
    _linked("part.jsonl", lambda folder, outside: outside / "nowhere"),
    _linked("part.jsonl", lambda folder, outside: "part.jsonl"),
    _linked("part.jsonl", lambda folder, outside: outside),
    _linked("part.jsonl", lambda folder, outside: "/dev/null"),
    _linked("part.csv", lambda folder, outside: "/dev/null"),
    _folder_link,
    _subfolder("part.jsonl"),
    _subfolder("part.parquet"),
    _subfolder("x.csv"),
    _subfolder("hour=10"),
    _undecodable,
    _file_for_a_folder,
    lambda folder, outside: None,
)


@hostile(len(LINKS))
def link_or_folder(n: int, rng: random.Random, day: dt.date) -> Case:
    return Case("events", is_usable=False, lay=LINKS[n])


@hostile(1)
def link_inside(n: int, rng: random.Random, day: dt.date) -> Case:
    return Case("events", rows=12, is_usable=True, lay=_own_link)


BESIDE = ("day=2026-3-5", "day=", "day=20260305", "day=2026-03-05 ", "day=2026-03-05.tmp", "DAY=2026-03-05", "2026-03-05", "day=..", "day=%2e%2e",
    "day=2026-03-05;x", "day=２０２６-03-05", "xday=2026-03-05x", "xday=2026-03-05", "_tmp", "..hidden", "'; --", "new\nline", "day=2026-03-05\n")  # fmt: skip
"""Folders that name no day, whatever they look like."""
IMPOSSIBLE = ("day=2026-02-30", "day=2026-13-01", "day=0000-01-01", "day=2026-00-00", "day=9999-99-99")
"""Folders that name a day that never was."""
