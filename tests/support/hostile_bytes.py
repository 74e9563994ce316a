"""Whole files of good days, broken: cut, flipped, doubled, mixed with one another, in other encodings."""

import datetime as dt
import gzip
import random
from typing import cast

from hostile import ENDINGS, Case, Make, as_bytes, good_rows, hostile

from retrieval.schema import Kind

KINDS: tuple[Kind, ...] = ("events", "events", "events", "items", "users")


def truncated(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def bits_flipped(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def bytes_replaced(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(rng.choice([1, 4, 32])):
        broken[rng.randrange(len(broken))] = rng.choice([0, 0xFF, 0x7F, 0x80, ord('"'), ord("\n"), ord("{"), ord(",")])
    return bytes(broken)


def end_broken(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Where Parquet has its footer, which every other byte is found by."""
    broken = bytearray(data)
    for _ in range(rng.choice([1, 2, 4])):
        broken[-1 - rng.randrange(min(600, len(broken)))] = rng.randrange(256)
    return bytes(broken)


def _block(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice([1, 7, 64, 500]))


def block_doubled(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    start, end = _block(data, rng)
    return data[:end] + data[start:]


def block_zeroed(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    start, end = _block(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def block_removed(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    start, end = _block(data, rng)
    return data[:start] + data[end:]


def blocks_swapped(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    size = rng.choice([8, 64, 256])
    first, second = sorted(rng.sample(range(max(2, len(data) // size)), 2))
    blocks = [data[k : k + size] for k in range(0, len(data), size)]
    if second < len(blocks):
        blocks[first], blocks[second] = blocks[second], blocks[first]
    return b"".join(blocks)


def end_of_another(data: bytes, other: bytes, rng: random.Random) -> bytes:
    size = int.from_bytes(other[-8:-4], "little") + 8 if other.endswith(b"PAR1") else rng.randrange(len(other))
    own = int.from_bytes(data[-8:-4], "little") + 8 if data.endswith(b"PAR1") else rng.randrange(len(data))
    return data[:-own] + other[-size:]


def start_of_another(data: bytes, other: bytes, rng: random.Random) -> bytes:
    cut = rng.randrange(len(other))
    return other[:cut] + data[cut:]


def garbage_added(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    garbage = rng.choice([b"\n", b"\0", b"\0" * 4096, b"PAR1", b"{}", b",,,,\n", rng.randbytes(50), b"\n\n\n"])
    return data + garbage if rng.random() < 0.7 else garbage + data


def bytes_inserted(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.choice([b"\n", b"\r", b"\0", b'"', b"\\", b"}", b"\xff\xfe", b"\xed\xa0\x80"]) + data[at:]


MUTATIONS = (
    truncated,
    bits_flipped,
    bytes_replaced,
    end_broken,
    block_doubled,
    block_zeroed,
    block_removed,
    blocks_swapped,
    end_of_another,
    start_of_another,
    garbage_added,
    bytes_inserted,
)


def _mutated(ending: str) -> Make:
    def make(n: int, rng: random.Random, day: dt.date) -> Case:
        kind = KINDS[n // len(MUTATIONS) % len(KINDS)]
        data, other = (as_bytes(kind, good_rows(kind, day, rng, size), ending) for size in (12, 30))
        return Case(kind, {f"part.{ending}": MUTATIONS[n % len(MUTATIONS)](data, other, rng)})

    make.__name__ = f"mutated_{ending}"
    return make


for _ending, _times in (("parquet", 156), ("csv", 108), ("jsonl", 108)):
    hostile(_times)(_mutated(_ending))

ENCODINGS = ("latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32", "utf-7", "cp037", "shift_jis")


@hostile(len(ENCODINGS) * 2)
def other_encoding(n: int, rng: random.Random, day: dt.date) -> Case:
    rows = [*good_rows("events", day, rng), good_rows("events", day, rng, 1)[0] | {"user_id": "ñandú¥"}]
    ending = ENDINGS[1 + n % 2]
    text = as_bytes("events", rows, ending).decode()
    return Case("events", {f"part.{ending}": text.encode(ENCODINGS[n // 2], "replace")})


BYTES = (
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\x80",
    b"\0",
    b"a\0b",
    b"\xe2\x82",
    b"\xfe\xff",
    b"\x1b[31m",
)


@hostile(len(BYTES) * 2)
def bytes_in_an_id(n: int, rng: random.Random, day: dt.date) -> Case:
    ending = ENDINGS[1 + n % 2]
    rows = good_rows("events", day, rng)
    rows[5]["user_id"] = "HERE"
    data = as_bytes("events", rows, ending).replace(b"HERE", BYTES[n // 2])
    return Case("events", {f"part.{ending}": data}, len(rows))


def _wrong_ending(day: dt.date, rng: random.Random, ending: str) -> list[bytes]:
    rows = good_rows("events", day, rng)
    return [as_bytes("events", rows, other) for other in ENDINGS if other != ending]


@hostile(39)
def no_such_file(n: int, rng: random.Random, day: dt.date) -> Case:
    """Files that hold something else than their names say."""
    ending = ENDINGS[n % 3]
    good = as_bytes("events", good_rows("events", day, rng), ending)
    contents = [
        b"",
        b"\n",
        b"\0" * 10_000,
        rng.randbytes(5000),
        b"PAR1PAR1",
        b"PAR1" + bytes(4) + b"PAR1",
        b"PAR1" + b"\xff" * 4 + b"PAR1",
        *_wrong_ending(day, rng, ending),
        gzip.compress(good),
        b"<html><body>404 Not Found</body></html>\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
        good + good,
    ]
    return Case("events", {f"part.{ending}": contents[n // 3 % len(contents)]})


@hostile(12)
def several_files(n: int, rng: random.Random, day: dt.date) -> Case:
    """Good files beside a broken one: all of the day is used, or nothing."""
    ending = ENDINGS[n % 3]
    rows = good_rows("events", day, rng)
    data = as_bytes("events", rows, ending)
    files = {f"a.{other}": as_bytes("events", rows, other) for other in ENDINGS}
    return Case("events", files | {f"z.{ending}": cast(bytes, MUTATIONS[n % 4](data, data, rng))})
