"""Online Retail: the dirt must come out as it went in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from retrieval.errors import ContractError
from storage.datasets import import_dataset

SHARED = Path(__file__).parents[4] / "shared" / "data"
Query = Callable[[str], list[Any]]
LINES = [
    ("536365", "71053", "WHITE METAL LANTERN", "6", "2010-12-01 08:26:00", "3.39", "17850.0", "France"),
    ("536365", "71053", "WHITE METAL LANTERN", "6", "2010-12-01 08:26:00", "3.39", "17850.0", "France"),
    ("536380", "71053", "lantern?", "1", "2010-12-01 09:00:00", "-11062.06", None, "United Kingdom"),
    ("C536379", "71053", " WHITE METAL LANTERN ", "-1", "2010-12-02 09:41:00", "3.39", "17850.0", "Spain"),
    ("536400", "22139", None, "56", "2010-12-02 10:00:00", "0.0", None, "United Kingdom"),
    ("536401", "84614A", "thrown away", "-5", "2010-12-20 10:00:00", "0.0", None, "United Kingdom"),
    ("536402", "84614A", "PINK HOLDER", "5", "2010-12-21 10:00:00", "1.0", "12583.0", "France"),
    ("A563185", "B", "Adjust bad debt", "1", "2010-12-22 14:50:00", "11062.06", None, "United Kingdom"),
]
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")


def write_raw(folder: Path, lines: list[tuple[str | None, ...]]) -> Path:
    folder.mkdir()
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE lines ({', '.join(f'{column} VARCHAR' for column in COLUMNS)})")
    connection.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)", lines)
    connection.execute(f"COPY lines TO '{folder}/lines.parquet'")
    return folder


def landed(source: Path, landing: Path) -> Query:
    import_dataset("online-retail", landing=str(landing), source=source)
    connection = duckdb.connect()
    for kind in ("events", "items", "users"):
        connection.execute(
            f"CREATE VIEW {kind} AS FROM read_parquet('{landing}/{kind}/*/*.parquet', hive_partitioning = true)"
        )
    return lambda query: connection.execute(query).fetchall()


@pytest.fixture
def shop(tmp_path: Path) -> Query:
    return landed(write_raw(tmp_path / "raw", list(LINES)), tmp_path / "landing")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Query:
    if not (SHARED / "online_retail").is_dir():
        pytest.skip(f"{SHARED / 'online_retail'} is absent: real data are not part of the repository")
    return landed(SHARED, tmp_path_factory.mktemp("retail") / "landing")


def test_every_line_comes_out_exact_repeats_included(shop: Query) -> None:
    assert shop("SELECT count(*) FROM events") == [(len(LINES),)]
    assert shop("SELECT count(*) FROM events WHERE context['invoice'] = '536365'") == [(2,)]


def test_invoices_say_what_was_done(shop: Query) -> None:
    actions = dict(shop("SELECT context['invoice'], any_value(action) FROM events GROUP BY 1"))
    assert actions == {
        "536365": "purchase",
        "536380": "purchase",
        "C536379": "cancel",
        "536400": "purchase",
        "536401": "adjustment",
        "536402": "purchase",
        "A563185": "adjustment",
    }


def test_dirt_is_kept_as_it_is(shop: Query) -> None:
    rows = shop(
        "SELECT user_id, value, context FROM events WHERE context['invoice'] IN ('536380', 'C536379') ORDER BY 2 DESC"
    )
    assert rows == [
        (None, 1.0, {"invoice": "536380", "country": "United Kingdom", "price": "-11062.06"}),
        ("17850", -1.0, {"invoice": "C536379", "country": "Spain", "price": "3.39"}),
    ]


def test_no_event_id_is_made_up(shop: Query) -> None:
    assert "event_id" not in {name for name, *_ in shop("DESCRIBE events")}


def test_titles_are_the_most_frequent_description_and_capitals_settle_a_tie(shop: Query) -> None:
    assert dict(shop("SELECT item_id, title FROM items")) == {
        "71053": "WHITE METAL LANTERN",
        "84614A": "PINK HOLDER",
        "B": "Adjust bad debt",
    }


def test_no_topics_are_derived(shop: Query) -> None:
    assert {name for name, *_ in shop("DESCRIBE items")} == {"item_id", "title", "day"}


def test_a_customers_country_is_that_of_the_first_line(shop: Query) -> None:
    users = shop("SELECT user_id, day::VARCHAR, attributes FROM users ORDER BY 1")
    assert users == [("12583", "2010-12-21", {"country": "France"}), ("17850", "2010-12-01", {"country": "France"})]


def test_a_date_that_is_none_refuses_the_set_with_a_count(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", [*LINES, (*LINES[0][:4], "01/12/2010 08:26", *LINES[0][5:])])
    with pytest.raises(ContractError, match="1 of 9 events .* no readable day"):
        import_dataset("online-retail", landing=str(tmp_path / "landing"), source=raw)


def test_all_real_lines_come_out(real: Query) -> None:
    assert dict(real("SELECT action, count(*) FROM events GROUP BY 1")) == {
        "purchase": 531_282,
        "cancel": 9_288,
        "adjustment": 1_339,
    }
    assert real("SELECT count(*), count(DISTINCT day) FROM events WHERE user_id IS NULL")[0][0] == 135_080
    assert real("SELECT count(DISTINCT item_id) FROM events") == [(4_070,)]


def test_real_exact_repeats_are_still_there(real: Query) -> None:
    repeats = real("SELECT sum(n - 1)::INTEGER FROM (SELECT *, count(*) AS n FROM events GROUP BY ALL)")
    assert repeats == [(5_270,)]


def test_the_real_catalogue_is_every_code_with_a_description(real: Query) -> None:
    assert real("SELECT count(*), count(DISTINCT item_id) FROM items WHERE title <> ''") == [(3_958, 3_958)]
    assert real("SELECT count(*) FROM users") == [(4_372,)]
