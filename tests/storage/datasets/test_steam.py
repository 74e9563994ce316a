"""Steam: reviews by the day, games with dates that cannot all be believed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from storage.datasets import import_dataset

SHARED = Path(__file__).parents[4] / "shared" / "data"
Query = Callable[[str], list[Any]]
REVIEWS = """SELECT * FROM (VALUES
    ('anna', TIMESTAMP_NS '2011-01-01', 1, true), ('anna', TIMESTAMP_NS '2011-03-01', 2, false),
    ('bert', TIMESTAMP_NS '2011-03-01', 2, false), ('bert', TIMESTAMP_NS '2011-03-01', 2, false),
    ('bert', TIMESTAMP_NS '2011-03-02', 77, true)) t(user_id, posted, item_id, recommend)"""
GAMES = """SELECT 'Pub' publisher, ['Action', 'Design &amp; Illustration'] genres, 'Sam & Max' app_name,
    'Sam &amp; Max' title, released release_date, ['Fun', 'Co-op'] tags, ['Single-player'] specs, price, id, 'Dev' developer
    FROM (VALUES (1, TIMESTAMP_NS '2010-05-05', 0.0::DOUBLE), (2, TIMESTAMP_NS '2012-06-01', 9.99::DOUBLE),
        (2, TIMESTAMP_NS '2012-06-01', 9.99::DOUBLE), (3, TIMESTAMP_NS '2013-07-01', 59.99::DOUBLE),
        (4, TIMESTAMP_NS '1999-07-01', 4.99::DOUBLE)) t(id, released, price)"""


def landed(source: Path, landing: Path) -> Query:
    import_dataset("steam", landing=str(landing), source=source)
    connection = duckdb.connect()
    for kind in ("events", "items", "users"):
        connection.execute(
            f"CREATE VIEW {kind} AS FROM read_parquet('{landing}/{kind}/*/*.parquet', hive_partitioning = true)"
        )
    return lambda query: connection.execute(query).fetchall()


@pytest.fixture
def shop(tmp_path: Path) -> Query:
    raw = tmp_path / "steam_reviews"
    raw.mkdir()
    duckdb.execute(f"COPY ({REVIEWS}) TO '{raw}/reviews.parquet'")
    duckdb.execute(f"COPY ({GAMES}) TO '{raw}/games.parquet'")
    return landed(tmp_path, tmp_path / "landing")


def test_every_review_comes_out_repeats_and_unknown_games_included(shop: Query) -> None:
    rows = shop("SELECT day::VARCHAR, user_id, item_id, action FROM events ORDER BY ALL")
    assert rows == [
        ("2011-01-01", "anna", "1", "recommend"),
        ("2011-03-01", "anna", "2", "not_recommend"),
        ("2011-03-01", "bert", "2", "not_recommend"),
        ("2011-03-01", "bert", "2", "not_recommend"),
        ("2011-03-02", "bert", "77", "recommend"),
    ]


def test_entities_are_read_as_what_they_mean(shop: Query) -> None:
    assert shop("SELECT DISTINCT title, topics FROM items") == [("Sam & Max", ["Action", "Design & Illustration"])]


def test_a_game_that_the_catalogue_repeats_is_one_item(shop: Query) -> None:
    assert shop("SELECT count(*) FROM items WHERE item_id = '2'") == [(1,)]


def test_games_land_when_released_but_never_after_their_first_review(shop: Query) -> None:
    days = dict(shop("SELECT item_id, day::VARCHAR FROM items"))
    assert (days["1"], days["3"], days["4"]) == ("2011-01-01", "2013-07-01", "2011-01-01")
    assert "2011-02-23" <= days["2"] <= "2011-03-01"


def test_a_release_date_never_blocks_a_game_already_reviewed(shop: Query) -> None:
    from_ = dict(shop("SELECT item_id, available_from::VARCHAR FROM items"))
    assert from_ == {"1": "2010-05-05", "2": "2011-03-01", "3": "2013-07-01", "4": "1999-07-01"}


def test_price_bands_tags_and_makers_are_attributes(shop: Query) -> None:
    bands = dict(shop("SELECT item_id, attributes['price_band'] FROM items"))
    assert bands == {"1": "free", "2": "5 to 10", "3": "40 and more", "4": "under 5"}
    assert shop("SELECT attributes FROM items WHERE item_id = '1'") == [
        (
            {
                "developer": "Dev",
                "publisher": "Pub",
                "price_band": "free",
                "tags": "Fun, Co-op",
                "specs": "Single-player",
            },
        )
    ]


@pytest.mark.slow
def test_all_real_reviews_and_games_come_out(tmp_path: Path) -> None:
    if not (SHARED / "steam_reviews").is_dir():
        pytest.skip(f"{SHARED / 'steam_reviews'} is absent: real data are not part of the repository")
    query = landed(SHARED, tmp_path / "landing")
    assert dict(query("SELECT action, count(*) FROM events GROUP BY 1")) == {
        "recommend": 43_735,
        "not_recommend": 4_959,
    }
    assert query("SELECT count(*), count(DISTINCT item_id) FROM items") == [(22_524, 22_524)]
    assert query("SELECT count(*) FROM users") == [(22_683,)]
    assert query("SELECT count(*) FROM events ANTI JOIN items USING (item_id)") == [(8_608,)]
    assert query("SELECT count(*) FROM items WHERE regexp_matches(title || topics::VARCHAR, '&[a-z]+;')") == [(0,)]
