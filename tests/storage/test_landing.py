"""What lies in the landing zone: partitions, their digests, and files that are not read."""

import datetime as dt
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import ContractError, PartitionError
from retrieval.rules import Action, Rules
from storage.landed import require_usable
from storage.landing import Landing
from storage.logs import Staged, Verdict, open_logs, settle

DAY = dt.date(2026, 3, 5)
HEADER = b"user_id,item_id,action,occurred_at\n"
ROW = b"u1,i1,buy,2026-03-05T10:00:00Z\n"


def land(root: Path, files: dict[str, bytes], day: dt.date = DAY) -> Landing:
    folder = root / "events" / f"day={day}"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Landing(str(root))


def test_days_are_ascending_and_end_where_asked(tmp_path: Path) -> None:
    for offset in (3, 0, 7, 1):
        land(tmp_path, {"a.csv": HEADER}, DAY + dt.timedelta(offset))
    zone = Landing(str(tmp_path))
    assert zone.days("events") == [DAY + dt.timedelta(offset) for offset in (0, 1, 3, 7)]
    assert zone.days("events", until=DAY + dt.timedelta(3)) == [DAY + dt.timedelta(offset) for offset in (0, 1, 3)]
    assert zone.days("items") == []


def test_a_folder_that_names_no_day_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "events" / "day=2026-02-30").mkdir(parents=True)
    with pytest.raises(ContractError, match=r"day=2026-02-30 names no day.*YYYY-MM-DD"):
        Landing(str(tmp_path)).days("events")


def test_equal_bytes_have_equal_digests_wherever_they_lie(tmp_path: Path) -> None:
    files = {"a.csv": HEADER + ROW, "b.csv": HEADER}
    one, two = land(tmp_path / "one", files), land(tmp_path / "two", files)
    assert one.partition("events", DAY).digest == two.partition("events", DAY).digest


@pytest.mark.parametrize(
    "other",
    [
        {"a.csv": HEADER + ROW[:-2] + b"\n", "b.csv": HEADER},
        {"a.csv": HEADER + ROW},
        {"a.csv": HEADER + ROW, "c.csv": HEADER},
        {"a.csv": HEADER, "b.csv": HEADER + ROW},
        {"a.csv": HEADER + ROW + b"b.csv\0" + HEADER},
    ],
    ids=["one byte", "a file less", "another name", "swapped", "two files run together"],
)
def test_other_bytes_have_another_digest(tmp_path: Path, other: dict[str, bytes]) -> None:
    first = land(tmp_path / "one", {"a.csv": HEADER + ROW, "b.csv": HEADER}).partition("events", DAY)
    assert land(tmp_path / "two", other).partition("events", DAY).digest != first.digest


@settings(max_examples=20, deadline=None)
@given(content=st.binary(min_size=1, max_size=200), data=st.data())
def test_a_single_flipped_bit_changes_the_digest(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    flipped = bytearray(content)
    flipped[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    roots = [tmp_path_factory.mktemp("bits") for _ in range(2)]
    digests = {
        land(root, {"a.csv": bytes(bits)}).partition("events", DAY).digest
        for root, bits in zip(roots, (content, flipped), strict=True)
    }
    assert len(digests) == 2


def test_files_that_are_hidden_or_start_with_an_underscore_are_not_read(tmp_path: Path) -> None:
    plain = land(tmp_path / "plain", {"a.csv": HEADER}).partition("events", DAY)
    noise = {".a.csv": b"half", "_SUCCESS": b"", "_tmp.parquet": b"x", ".DS_Store": b"\0"}
    noisy = land(tmp_path / "noisy", {"a.csv": HEADER, **noise}).partition("events", DAY)
    assert [Path(file.path).name for file in noisy.files] == ["a.csv"]
    assert noisy.digest == plain.digest


def test_a_day_that_did_not_land_names_the_newest_that_did(tmp_path: Path) -> None:
    land(tmp_path, {"a.csv": HEADER}, DAY - dt.timedelta(9))
    zone = land(tmp_path, {"a.csv": HEADER}, DAY - dt.timedelta(2))
    with pytest.raises(ContractError, match=r"no events landed for 2026-03-05.*newest landed day: 2026-03-03"):
        zone.partition("events", DAY)


def test_an_empty_landing_says_that_no_day_landed(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="newest landed day: none"):
        Landing(str(tmp_path)).partition("events", DAY)


@pytest.mark.parametrize("files", [{}, {"_SUCCESS": b"", ".part.csv": HEADER}], ids=["nothing", "hidden files only"])
def test_an_empty_folder_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(ContractError, match=r"day=2026-03-05 is empty.*Land the day's files"):
        land(tmp_path, files).partition("events", DAY)


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv.gz", "a", "a.json"])
def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError) as refusal:
        land(tmp_path, {name: b"x"}).partition("events", DAY)
    assert name in str(refusal.value)
    assert all(ending in str(refusal.value) for ending in (".parquet", ".csv", ".jsonl"))


@pytest.fixture
def memory() -> Iterator[str]:
    root = f"/{uuid.uuid4().hex}"
    filesystem = fsspec.filesystem("memory")
    yield f"memory:/{root}"
    filesystem.rm(root, recursive=True)


def test_a_landing_on_another_filesystem_is_loaded_like_a_folder(tmp_path: Path, memory: str) -> None:
    filesystem = fsspec.filesystem("memory")
    items = b"item_id,title\ni1,One\n"
    for root, write in ((str(tmp_path), None), (memory.removeprefix("memory:/"), filesystem)):
        for kind, content in (("items", items), ("events", HEADER + ROW)):
            path = f"{root}/{kind}/day={DAY}/a.csv"
            if write is None:
                Path(path).parent.mkdir(parents=True)
                Path(path).write_bytes(content)
            else:
                write.pipe_file(path, content)
    digests, loaded = [], []
    for uri, name in ((str(tmp_path), "local"), (memory, "memory")):
        zone = Landing(uri)
        assert zone.days("events") == [DAY]
        with open_logs(tmp_path / f"{name}.duckdb") as logs:
            partitions = [zone.partition(kind, DAY) for kind in ("items", "events")]
            with logs.transaction():
                staged = Staged.landed(logs.connection, zone, partitions)
                staged.judge_catalogue()
                staged.judge_events({"buy": Action(sign="+")}, Rules(), [])
                settle(
                    staged,
                    {(p.kind, p.day): Verdict(False, {}, []) for p in partitions},
                    {(p.kind, p.day): "tests" for p in partitions},
                )
            digests.append(logs.digest(DAY))
            loaded.append(logs.interactions(DAY, DAY).to_pylist())
    assert digests[0] == digests[1]
    assert loaded[0] == loaded[1] != []


def test_a_torn_file_on_another_filesystem_is_named(tmp_path: Path, memory: str) -> None:
    path = f"{memory.removeprefix('memory:/')}/events/day={DAY}/torn.parquet"
    fsspec.filesystem("memory").pipe_file(path, b"PAR1" + b"\0" * 100)
    zone = Landing(memory)
    with (
        open_logs(tmp_path / "logs.duckdb") as logs,
        pytest.raises(ContractError, match=r"torn\.parquet"),
        logs.transaction(),
    ):
        Staged.landed(logs.connection, zone, [zone.partition("events", DAY)])


def test_every_cut_of_a_csv_file_short_of_a_whole_line_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "events" / f"day={DAY}"
    folder.mkdir(parents=True)
    whole = b"user_id,item_id,action,occurred_at\nu1,i1,buy,2026-03-05T10:00:00\nu2,i1,buy,2026-03-05T11:00:00\n"
    landing = Landing(str(tmp_path))
    for length in range(1, len(whole) + 1):
        (folder / "a.csv").write_bytes(whole[:length])
        (file,) = landing.partition("events", DAY).files
        if whole[:length].endswith(b"\n"):
            require_usable(file, landing.filesystem)
        else:
            with pytest.raises(PartitionError, match=r"a\.csv does not end with a newline"):
                require_usable(file, landing.filesystem)


@pytest.mark.parametrize("make", ["folder", "pipe", "link to nothing", "link to itself", "link out"])
def test_what_is_no_file_of_the_landing_zone_is_named_not_opened(tmp_path: Path, make: str) -> None:
    folder = tmp_path / "landing" / "events" / f"day={DAY}"
    folder.mkdir(parents=True)
    path, outside = folder / "part.jsonl", tmp_path / "outside.jsonl"
    outside.write_text("{}\n")
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link to nothing": lambda: path.symlink_to(folder / "nothing"),
        "link to itself": lambda: path.symlink_to(path),
        "link out": lambda: path.symlink_to(outside),
    }[make]()
    with pytest.raises(PartitionError, match=r"part\.jsonl is (no file|a link that leads out)"):
        Landing(str(tmp_path / "landing")).partition("events", DAY)


@pytest.mark.parametrize("name", [b"\xff\xfe.jsonl", b"\x1b[31mred.jsonl\n"])
def test_a_name_that_cannot_be_shown_is_named_printably(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / "events" / f"day={DAY}"
    folder.mkdir(parents=True)
    with open(os.fsencode(folder) + b"/" + name, "wb") as file:  # noqa: PTH123
        file.write(b"{}\n")
    with pytest.raises(PartitionError) as refusal:
        Landing(str(tmp_path)).partition("events", DAY)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "name", ["xday=2026-03-05", "day=2026-03-05x", "day=2026-3-5", "day=２０２６-03-05", "day=2026-03-05\n"]
)
def test_a_folder_that_only_resembles_a_day_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "events" / name).mkdir(parents=True)
    assert Landing(str(tmp_path)).days("events") == []


def test_a_csv_file_that_begins_with_an_empty_line_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "events" / f"day={DAY}"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("\nuser_id,item_id,action,occurred_at\nu,i,buy,2026-03-05\n")
    landing = Landing(str(tmp_path))
    (file,) = landing.partition("events", DAY).files
    with pytest.raises(PartitionError, match="begins with an empty line"):
        require_usable(file, landing.filesystem)
