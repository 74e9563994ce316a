"""Rankings on disk: whole lists, ascending keys, files of bounded size, the same bytes each time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.batch import Answers
from retrieval.domain import UNKNOWN, Candidates
from retrieval.vocabulary import Vocabulary
from storage import rankings
from storage.rankings import write_rankings

USERS = Vocabulary.of([f"u{n:03d}" for n in range(60)], "user")
ITEMS = Vocabulary.of([f"i{n}" for n in range(9)], "item")
FACTS = {"day": "2026-11-22", "recipe_id": "abc"}


def answers(n: int, block: int = 7, seed: int = 0) -> Iterator[Answers]:
    """Some rankings are short, some empty; every third user is not asked for."""
    rng = np.random.default_rng(seed)
    rows = np.array([row for row in range(len(USERS)) if row % 3][:n], np.int32)
    for start in range(0, n, block):
        part = rows[start : start + block]
        items = np.argsort(rng.random((len(part), len(ITEMS))), axis=1)[:, :5].astype(np.int32)
        items[np.arange(5) >= rng.integers(0, 6, (len(part), 1))] = UNKNOWN
        scores = -np.sort(-rng.random(items.shape).astype(np.float32), axis=1)
        yield Answers(part, Candidates(items, np.where(items == UNKNOWN, -np.inf, scores).astype(np.float32)))


def write(folder: Path, n: int, rows_per_file: int) -> list[Path]:
    assert write_rankings(folder, answers(n), USERS, ITEMS, rows_per_file=rows_per_file, facts=FACTS) == n
    return sorted(folder.iterdir())


def by_hand(n: int) -> list[dict[str, object]]:
    return [
        {
            "user_id": f"u{row:03d}",
            "items": [f"i{item}" for item in items if item >= 0],
            "scores": [score for item, score in zip(items, scores, strict=True) if item >= 0],
        }
        for found in answers(n)
        for row, items, scores in zip(
            found.rows, found.candidates.items.tolist(), found.candidates.scores.tolist(), strict=True
        )
    ]


@pytest.mark.parametrize(("n", "rows_per_file"), [(40, 100), (40, 16), (40, 10), (40, 40), (40, 1), (3, 2), (0, 10)])
def test_rows_come_back_as_they_were_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, rows_per_file: int
) -> None:
    monkeypatch.setattr(rankings, "ROWS_PER_GROUP", 8)
    files = write(tmp_path / "users", n, rows_per_file)
    assert [file.name for file in files] == [f"part-{number:05d}.parquet" for number in range(len(files))]
    sizes = [pq.read_metadata(file).num_rows for file in files]
    assert sizes[:-1] == [rows_per_file] * (len(files) - 1) and sizes[-1] <= rows_per_file
    rows = pa.concat_tables([pq.read_table(file) for file in files]).to_pylist()
    assert rows == by_hand(n)
    ids = [row["user_id"] for row in rows]
    assert ids == sorted(set(ids))


def test_columns_say_that_nothing_is_null_and_the_footer_what_they_are_of(tmp_path: Path) -> None:
    (file,) = write(tmp_path / "users", 10, 100)
    schema = pq.read_schema(file)
    assert schema.names == ["user_id", "items", "scores"]
    assert schema.types[0] == pa.string()
    assert [schema.field(name).type.value_type for name in ("items", "scores")] == [pa.string(), pa.float32()]
    assert not any(field.nullable for field in schema)
    assert not any(schema.field(name).type.value_field.nullable for name in ("items", "scores"))
    assert {name.decode(): value.decode() for name, value in schema.metadata.items()} == FACTS


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, 40, 16) for name in ("one", "other"))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]


def test_who_found_each_item_stands_beside_it(tmp_path: Path) -> None:
    sources, rng = ["popular", "item_knn", "two_tower"], np.random.default_rng(5)
    found = [replace(block, finders=rng.random((*block.candidates.items.shape, 3)) < 0.5) for block in answers(40)]
    how = {"rows_per_file": 16, "facts": FACTS, "sources": sources}
    write_rankings(tmp_path / "users", iter(found), USERS, ITEMS, **how)
    table = pa.concat_tables([pq.read_table(file) for file in sorted((tmp_path / "users").iterdir())])
    of_items = table.schema.field("sources").type.value_field
    assert not table.schema.field("sources").nullable
    assert not of_items.nullable and not of_items.type.value_field.nullable
    assert [{k: v for k, v in row.items() if k != "sources"} for row in table.to_pylist()] == by_hand(40)
    expected = [
        [[n for n, by in zip(sources, place, strict=True) if by] for item, place in zip(*row, strict=True) if item >= 0]
        for block in found
        for row in zip(block.candidates.items.tolist(), block.finders.tolist(), strict=True)  # type: ignore[union-attr]
    ]
    assert table["sources"].to_pylist() == expected
