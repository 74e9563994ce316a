"""MovieLens, both sets: tiny raw folders, and the real ones where they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from storage.datasets import import_dataset

SHARED = Path(__file__).parents[4] / "shared" / "data"
Query = Callable[[str], list[Any]]


def landed(name: str, source: Path, landing: Path) -> Query:
    import_dataset(name, landing=str(landing), source=source)
    connection = duckdb.connect()
    for kind in ("events", "items", "users"):
        connection.execute(
            f"CREATE VIEW {kind} AS FROM read_parquet('{landing}/{kind}/*/*.parquet', hive_partitioning = true)"
        )
    return lambda query: connection.execute(query).fetchall()


@pytest.fixture
def hundred_thousand(tmp_path: Path) -> Query:
    raw = tmp_path / "movielens_100k"
    raw.mkdir()
    (raw / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "1\t10\t5\t881250949\n1\t20\t3\t881250950\n2\t10\t4\t882337400\n2\t30\t1\t882337401\n3\t30\t2\t882337401\n"
    )
    (raw / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '10\tToy Story\t1995\tAnimation Children\'s Comedy\n20\tunknown\tV\tunknown\n30\tAmélie "2"\t1996\tSci-Fi\n'
    )
    (raw / "ml-100k.user").write_text(
        "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
        "1\t17\tM\tstudent\t85711\n2\t56\tF\tother\t94043\n3\t50\tM\tnone\t1\n"
    )
    return landed("movielens-100k", tmp_path, tmp_path / "landing")


@pytest.fixture
def latest(tmp_path: Path) -> Query:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n2,32,4.0,789652009\n")
    (raw / "movies.csv").write_text(
        'movieId,title,genres\n31,"Net, The (1995)",Action|Thriller\n32,Rocky VI (1986) ,(no genres listed)\n'
        "33,Never Rated (2003),Drama\n34,Older (1950),Drama\n35,Hyena Road,Drama\n"
    )
    rows = (
        "SELECT * FROM (VALUES (31, 'The Net', '1995', 'Action', 'Irwin Winkler', 'A plot.'), "
        "(32, 'Rocky', '1986', 'x', 'N/A', 'N/A'), (99, 'No film', '1', 'x', 'x', 'x')) t(movieId,title,year,genres,director,plot)"
    )
    duckdb.execute(f"COPY ({rows}) TO '{raw}/plots.parquet'")
    return landed("movielens-latest-small", raw, tmp_path / "landing")


def test_a_rating_keeps_its_stars_and_its_second(hundred_thousand: Query) -> None:
    rows = hundred_thousand(
        "SELECT day::VARCHAR, user_id, item_id, action, epoch(occurred_at), value FROM events WHERE item_id = '20'"
    )
    assert rows == [("1997-12-04", "1", "20", "rating", 881250950.0, 3.0)]


def test_titles_carry_the_year_where_it_is_one(hundred_thousand: Query) -> None:
    titles = dict(hundred_thousand("SELECT item_id, title FROM items"))
    assert titles == {"10": "Toy Story (1995)", "20": "unknown", "30": 'Amélie "2" (1996)'}


def test_genres_become_topics_and_unknown_is_none(hundred_thousand: Query) -> None:
    topics = dict(hundred_thousand("SELECT item_id, topics FROM items"))
    assert topics == {"10": ["Animation", "Children's", "Comedy"], "20": [], "30": ["Sci-Fi"]}


def test_ages_become_bands_with_their_edges_right(hundred_thousand: Query) -> None:
    ages = dict(hundred_thousand("SELECT user_id, attributes['age'] FROM users"))
    assert ages == {"1": "under 18", "2": "56+", "3": "50-55"}
    assert hundred_thousand("SELECT attributes FROM users WHERE user_id = '1'") == [
        ({"age": "under 18", "gender": "M", "occupation": "student"},)
    ]


def test_a_film_is_listed_up_to_six_days_before_its_first_rating(hundred_thousand: Query) -> None:
    ((before,),) = hundred_thousand("SELECT date_diff('day', day, DATE '1997-12-17') FROM items WHERE item_id = '30'")
    assert 0 <= before <= 6
    assert hundred_thousand("SELECT day::VARCHAR FROM items WHERE item_id = '10'") == [("1997-12-04",)]


def test_users_land_on_the_day_of_their_first_rating(hundred_thousand: Query) -> None:
    days = dict(hundred_thousand("SELECT user_id, day::VARCHAR FROM users"))
    assert days == {"1": "1997-12-04", "2": "1997-12-17", "3": "1997-12-17"}


def test_plots_become_descriptions_and_not_available_is_none(latest: Query) -> None:
    rows = latest("SELECT item_id, title, description, topics, attributes FROM items WHERE item_id < '33' ORDER BY 1")
    assert rows == [
        ("31", "Net, The (1995)", "A plot.", ["Action", "Thriller"], {"year": "1995", "director": "Irwin Winkler"}),
        ("32", "Rocky VI (1986)", None, [], {"year": "1986"}),
    ]


def test_a_film_nobody_rated_is_not_listed_before_its_year(latest: Query) -> None:
    days = dict(latest("SELECT item_id, day::VARCHAR FROM items WHERE item_id > '32'"))
    assert days == {"33": "2003-01-01", "34": "1995-01-09", "35": "1995-01-09"}


def test_half_stars_survive(latest: Query) -> None:
    assert latest("SELECT value FROM events ORDER BY occurred_at") == [(4.0,), (2.5,)]


def test_all_of_the_real_hundred_thousand_comes_out(tmp_path: Path) -> None:
    if not (SHARED / "movielens_100k").is_dir():
        pytest.skip(f"{SHARED / 'movielens_100k'} is absent: real data are not part of the repository")
    query = landed("movielens-100k", SHARED, tmp_path / "landing")
    assert query(
        "SELECT count(*), count(DISTINCT user_id), count(DISTINCT item_id), min(value), max(value) FROM events"
    ) == [(100_000, 943, 1_682, 1.0, 5.0)]
    assert query("SELECT count(*), count(DISTINCT item_id) FROM items") == [(1_682, 1_682)]
    assert query("SELECT count(*) FROM users WHERE len(map_keys(attributes)) = 3") == [(943,)]
    assert query("SELECT count(DISTINCT topic) FROM (SELECT unnest(topics) AS topic FROM items)") == [(18,)]


@pytest.mark.slow
def test_all_of_the_real_latest_small_comes_out(tmp_path: Path) -> None:
    if not (SHARED / "movielens_latest_small").is_dir():
        pytest.skip(f"{SHARED / 'movielens_latest_small'} is absent: real data are not part of the repository")
    query = landed("movielens-latest-small", SHARED, tmp_path / "landing")
    assert query("SELECT count(*), count(DISTINCT user_id), count(DISTINCT item_id) FROM events") == [
        (100_004, 671, 9_066)
    ]
    assert query("SELECT count(*), count(description) FROM items") == [(9_125, 3_157)]
    assert query("SELECT count(*) FROM users") == [(671,)]
