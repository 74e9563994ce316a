"""Files whose shape alone could take all time or memory, and landing zones laid out wrongly."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hostile import as_parquet
from hostile_names import BESIDE, IMPOSSIBLE
from trial import GOOD, LENIENT, NEXT, Place

from retrieval.errors import ContractError

ROOT = Path(__file__).parents[2]
MAX_SECONDS = 20
MAX_BYTES = 2 << 30
CODE = """
import flows
import json, re, sys, time
from pathlib import Path
from retrieval.errors import LamplighterError
from trial import GOOD, LENIENT, NEXT, Place
import tasks.ingest
start = time.monotonic()
try:
    done = Place(Path(sys.argv[1])).run(GOOD, NEXT, LENIENT, required=NEXT)
    found = [f"{entry.day}: {entry.landed}" for entry in done.counts if entry.day == NEXT]
except LamplighterError as error:
    found = [str(error)]
peak = 1024 * int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])
print(json.dumps([found, time.monotonic() - start, peak]))
"""
REQUIRED = "user_id,item_id,action,occurred_at"
ROW = f"u1,i1,buy,{NEXT}T10:00:00Z"


def a_million_names() -> bytes:
    return f"{REQUIRED},{','.join(f'c{k}' for k in range(1_000_000))}\n{ROW}{',' * 1_000_000}\n".encode()


def short_names() -> bytes:
    """As many columns as a header of a megabyte has room for."""
    names = ",".join(f"{k:x}" for k in range(190_000))
    return f"{REQUIRED},{names}\n{ROW}{',' * 190_000}\n".encode()


def a_million_commas() -> bytes:
    return f"{REQUIRED}{',' * 1_000_000}\n{ROW}{',' * 1_000_000}\n".encode()


def a_million_keys() -> bytes:
    row = dict(zip(REQUIRED.split(","), ROW.split(","), strict=True))
    return json.dumps(row | {f"c{k}": k for k in range(900_000)}).encode() + b"\n"


def a_context_of_a_million_keys() -> bytes:
    row = dict(zip(REQUIRED.split(","), ROW.split(","), strict=True))
    return json.dumps(row | {"context": {f"c{k}": "v" for k in range(900_000)}}).encode() + b"\n"


def hundred_thousand_columns() -> bytes:
    row = dict(zip(REQUIRED.split(","), ROW.split(","), strict=True))
    return as_parquet(pa.table({name: [text] for name, text in (row | {f"c{k}": "" for k in range(100_000)}).items()}))


def a_bomb_of_zeros() -> bytes:
    row = dict(zip(REQUIRED.split(","), ROW.split(","), strict=True))
    table = pa.table({name: [text] for name, text in row.items()})
    bomb = pa.array(["0" * 400_000_000], pa.string())
    return as_parquet(table.append_column("served_by", bomb), compression="zstd", use_dictionary=False)


def a_bomb_of_lines() -> bytes:
    """One line without an end."""
    return b'{"user_id": "' + b"x" * 200_000_000


def a_bomb_of_rows() -> bytes:
    """Two million rows that are all alike, in a few kilobytes."""
    row = dict(zip(REQUIRED.split(","), ROW.split(","), strict=True))
    alike = {
        name: pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0), 2_000_000), [text]) for name, text in row.items()
    }
    return as_parquet(pa.table(alike))


BOMBS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "a million names.csv": (a_million_names, "first line"),
    "short names.csv": (short_names, None),
    "a million commas.csv": (a_million_commas, None),
    "a million keys.jsonl": (a_million_keys, None),
    "a context.jsonl": (a_context_of_a_million_keys, None),
    "columns.parquet": (hundred_thousand_columns, None),
    "zeros.parquet": (a_bomb_of_zeros, None),
    "one line.jsonl": (a_bomb_of_lines, "cannot be read"),
    "one line.csv": (a_bomb_of_lines, "newline"),
    "rows.parquet": (a_bomb_of_rows, "2000000"),
}
"""Files by name: what they hold, and what the answer says where there is but one answer."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.lay_good()
    return place


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_no_file_takes_all_time_or_memory(name: str, place: Place) -> None:
    make, answer = BOMBS[name]
    place.folder("events", NEXT).mkdir(parents=True)
    (place.folder("events", NEXT) / name).write_bytes(make())
    before = place.outside_the_lake()
    ran = subprocess.run(
        [sys.executable, "-c", CODE, place.root],
        cwd=place.root,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"},
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found, seconds, memory = json.loads(ran.stdout.splitlines()[-1])
    print(f"{name}: {seconds:.1f} s, {memory / 2**30:.2f} GiB, {found}"[:300])
    assert answer is None or answer in found[0]
    assert (seconds < MAX_SECONDS, memory < MAX_BYTES) == (True, True), (seconds, memory)
    assert place.outside_the_lake() == before


@pytest.mark.parametrize("name", BESIDE)
def test_a_folder_that_names_no_day_is_not_read(name: str, place: Place) -> None:
    expected = place.run(GOOD, NEXT, LENIENT).logs_digest
    (place.landing / "events" / name).mkdir()
    (place.landing / "events" / name / "part.jsonl").write_text("{}\n")
    before = place.outside_the_lake()
    done = place.run(GOOD.replace(year=1), GOOD.replace(year=9999), LENIENT, reload=True)
    assert (done.refused, place.run(GOOD, NEXT, LENIENT).logs_digest) == ({}, expected)
    assert place.outside_the_lake() == before


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_folder_of_a_day_that_never_was_is_named_and_nothing_is_loaded(name: str, place: Place) -> None:
    place.run(GOOD, GOOD, LENIENT)
    held = place.held()
    (place.landing / "events" / name).mkdir()
    before = place.outside_the_lake()
    with pytest.raises(ContractError, match=rf"{name} names no day\. Rename the folder") as raised:
        place.run(GOOD, NEXT, LENIENT)
    assert str(raised.value).isprintable()
    assert (place.held(), place.outside_the_lake()) == (held, before)


def test_a_kind_that_is_a_file_holds_no_days(place: Place) -> None:
    deep = Place(place.root / "deep")
    deep.landing.mkdir(parents=True)
    (deep.landing / "events").write_text("x")
    before = deep.outside_the_lake()
    with pytest.raises(ContractError, match="no events landed"):
        deep.run(NEXT, NEXT, LENIENT, required=NEXT)
    assert deep.outside_the_lake() == before


@pytest.mark.timeout(30)
def test_a_pipe_is_refused_and_not_waited_for(place: Place) -> None:
    place.folder("events", NEXT).mkdir(parents=True)
    os.mkfifo(place.folder("events", NEXT) / "part.jsonl")
    with pytest.raises(ContractError, match=r"part\.jsonl"):
        place.run(NEXT, NEXT, LENIENT, required=NEXT)
