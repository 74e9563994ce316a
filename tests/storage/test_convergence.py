"""The history of fresh items' vectors: what is written is read, once, by whoever comes."""

import datetime as dt
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from lineages import FIRST, planted, settling

from retrieval.alignment import Alignment
from retrieval.convergence import Positions, aligned
from retrieval.errors import HistoryError
from storage.convergence import History, NightOfSpace

DAY = dt.date(2026, 3, 5)


def night(id_: str, kept: Positions) -> NightOfSpace:
    return NightOfSpace(id_, "towers", f"sha-{id_}", kept)


def turn_of(before: Positions, after: Positions) -> Alignment:
    found = aligned(before, after, 8, 1)
    assert found is not None
    return found


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "convergence" / "history.duckdb")


def fill(history: History, nights: list[Positions]) -> None:
    for k, kept in enumerate(nights):
        turn = turn_of(nights[k - 1], kept) if k else None
        history.write(night(f"n{k}", kept), f"n{k - 1}" if k else None, turn)


def rows(history: History) -> list[tuple[Any, ...]]:
    with duckdb.connect(history.path) as connection:
        tables = ("nights", "vectors", "rotations", "curves", "verdicts")
        return [tuple(connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()) for name in tables]


def test_a_lineage_is_read_as_it_was_written_bit_by_bit(history: History) -> None:
    nights = planted(settling, n_nights=4)
    fill(history, nights)
    found = history.lineage("n3", 0)
    assert [n.day for n in found.nights] == [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]
    for read, written in zip(found.nights, nights, strict=True):
        np.testing.assert_array_equal(read.ids, written.ids)
        np.testing.assert_array_equal(read.vectors, written.vectors)
        np.testing.assert_array_equal(read.first_seen, written.first_seen)
    for read_turn, before, after in zip(found.turns, nights, nights[1:], strict=False):
        np.testing.assert_array_equal(read_turn.rotation, turn_of(before, after).rotation)


def test_a_lineage_ends_at_its_first_day_and_where_nothing_leads_back(history: History) -> None:
    nights = planted(settling, n_nights=4)
    fill(history, nights)
    assert len(history.lineage("n3", FIRST + 2).nights) == 2
    history.write(night("n2", nights[2]), "n1", None)
    found = history.lineage("n3", 0)
    assert (len(found.nights), len(found.turns)) == (2, 1)
    history.forget_before(FIRST + 3)
    assert [history.has(f"n{k}") for k in range(4)] == [False, False, False, True]
    assert len(history.lineage("n3", 0).nights) == 1


def test_a_night_written_twice_has_no_row_twice(history: History) -> None:
    nights = planted(settling, n_nights=3)
    fill(history, nights)
    once = rows(history)
    fill(history, nights)
    assert rows(history) == once


def findings(sentence: str = "It settles.") -> list[dict[str, Any]]:
    delta = [{"low": 0.1, "median": 0.2, "high": 0.3}, {"low": 0.0, "median": 0.0, "high": 0.0}]
    figures = {"n_items": 30, "n_nights": 1, "nights_to_half": 0.5, "nights_to_nine_tenths": None}
    cohort = {"first_seen": "2026-03-04", "delta": delta, "established": [0.1, 0.0], "state": "early"} | figures
    return [{"space": "towers", "cohorts": [cohort | {"sentence": sentence}]}]


def test_the_findings_of_a_night_made_again_take_the_place_of_its_own(history: History) -> None:
    history.write_findings("r", DAY, findings())
    history.write_findings("r", DAY, findings("It does not."))
    history.write_findings("r", DAY - dt.timedelta(1), findings("It did."))
    history.write_findings("other", DAY, findings("Elsewhere."))
    found = history.newest()
    assert [(row["recipe"], row["sentence"]) for row in found["verdicts"]] == [
        ("other", "Elsewhere."),
        ("r", "It does not."),
    ]
    assert [row["median"] for row in found["curves"] if row["recipe"] == "r"] == [0.2, 0.0]
    history.write_findings("r", DAY, [])
    assert [row["sentence"] for row in history.newest()["verdicts"] if row["recipe"] == "r"] == ["It did."]


def write_one(path: Path, k: int) -> None:
    kept = planted(settling, n_nights=1, seed=k)[0]
    History(path).write(night(f"n{k}", kept), None, None)
    History(path).write_findings("r", DAY + dt.timedelta(k), findings())


def test_nights_at_the_same_time_wait_for_each_other(history: History) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: write_one(history.path, k), range(8)))
    other = multiprocessing.get_context("spawn").Process(target=write_one, args=(history.path, 8))
    other.start()
    write_one(history.path, 9)
    other.join()
    assert other.exitcode == 0
    assert all(history.has(f"n{k}") for k in range(10))
    assert len(history.lineage("n8", 0).nights[0].ids) == 230


def test_a_file_that_is_no_history_is_named_with_what_to_do(history: History) -> None:
    with pytest.raises(HistoryError, match="does not exist: no night was run yet"):
        history.newest()
    history.path.parent.mkdir(parents=True)
    history.path.write_bytes(b"not a database" * 1000)
    with pytest.raises(
        HistoryError, match=r"history.duckdb cannot be opened .* Remove it: the next night makes it again"
    ):
        history.newest()
