"""Tables of the logs become rows and signed weights, and nothing is made up on the way."""

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest

from retrieval.dataset import build_catalogue, build_histories, build_people, day_number, signed_weights
from retrieval.domain import FOREVER, Catalogue, People
from retrieval.rules import Action
from retrieval.schema import TEXT_MAP

ACTIONS = {
    "buy": Action(sign="+", weight=2.0),
    "rate": Action(sign="+", min_value=4.0),
    "return": Action(sign="-", weight=0.5),
}
DAY = dt.date(2024, 3, 1)


def items_table(rows: list[dict[str, object]]) -> pa.Table:
    schema = pa.schema(
        [
            ("item_id", pa.string()),
            ("title", pa.string()),
            ("description", pa.string()),
            ("topics", pa.list_(pa.string())),
            ("attributes", TEXT_MAP),
            ("available_from", pa.date32()),
            ("available_until", pa.date32()),
            ("first_seen", pa.date32()),
        ]
    )
    plain = {"title": "thing", "description": "", "topics": [], "attributes": [], "first_seen": DAY}
    return pa.Table.from_pylist([plain | row for row in rows], schema)


def events_table(rows: list[tuple[str, str, str, float | None, int]]) -> pa.Table:
    schema = pa.schema(
        [
            ("user_id", pa.string()),
            ("item_id", pa.string()),
            ("action", pa.string()),
            ("value", pa.float64()),
            ("time", pa.int64()),
        ]
    )
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)


def features_of(value: Catalogue | People, row: int) -> set[str]:
    return set(value.feature_names.names(value.features.row(row)))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    rows: list[dict[str, object]] = [
        {
            "item_id": "a",
            "title": "Rye",
            "description": "dark",
            "topics": ["food", "bread"],
            "attributes": [("size", "L")],
        },
        {"item_id": "b", "title": "Oat", "topics": ["food"], "attributes": [("size", "S"), ("brand", None)]},
        {"item_id": "c", "title": "Oat", "available_from": dt.date(2024, 3, 2), "available_until": dt.date(2024, 3, 3)},
    ]
    return build_catalogue(items_table(rows), [("topic1", "size"), ("topic2", "size"), ("brand", "size")])


@pytest.fixture(scope="module")
def people() -> People:
    table = {
        "user_id": ["u", "v", "w"],
        "attributes": pa.array([[("age", "old")], [("age", None)], []], TEXT_MAP),
        "context": pa.array([[("store", "north")], [], [("store", "north"), ("device", "phone")]], TEXT_MAP),
    }
    return build_people(pa.table(table))


def test_features_are_topics_by_level_attributes_and_crosses_of_fields_that_both_have_a_value(
    catalogue: Catalogue,
) -> None:
    assert features_of(catalogue, 0) == {
        "topic1=food", "topic2=bread", "size=L", "topic1*size=food|L", "topic2*size=bread|L",
    }  # fmt: skip
    assert features_of(catalogue, 1) == {"topic1=food", "size=S", "topic1*size=food|S"}
    assert features_of(catalogue, 2) == set()


def test_features_of_an_item_ascend_without_repeats(catalogue: Catalogue) -> None:
    for row in range(len(catalogue)):
        values = catalogue.features.row(row).tolist()
        assert values == sorted(set(values))


def test_topics_keep_their_order_from_broad_to_narrow(catalogue: Catalogue) -> None:
    assert catalogue.topic_names.names(catalogue.topics.row(0)) == ["food", "bread"]
    assert catalogue.topics.row(2).tolist() == []


def test_items_that_read_alike_share_a_text(catalogue: Catalogue) -> None:
    assert catalogue.texts.to_pylist() == ["Oat", "Rye. dark"]
    assert catalogue.text_rows.tolist() == [1, 0, 0]


def test_availability_is_inclusive_and_open_where_nothing_is_said(catalogue: Catalogue) -> None:
    first = day_number(dt.date(2024, 3, 2))
    assert [catalogue.eligible(day)[2] for day in (first - 1, first, first + 1, first + 2)] == [
        False,
        True,
        True,
        False,
    ]
    assert catalogue.available_from[0] == 0
    assert catalogue.available_until[0] == FOREVER
    assert catalogue.fresh(day_number(DAY)).all()
    assert not catalogue.fresh(day_number(DAY) + 1).any()


def test_a_catalogue_in_chunks_is_the_same_catalogue(catalogue: Catalogue) -> None:
    table = items_table([{"item_id": id_, "topics": [id_, "x"], "attributes": [("k", id_)]} for id_ in "abc"])
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    whole, parts = build_catalogue(table), build_catalogue(chunked)
    assert [features_of(parts, row) for row in range(3)] == [features_of(whole, row) for row in range(3)]


def test_a_slice_of_a_table_is_read_as_the_slice_alone() -> None:
    table = items_table([{"item_id": id_, "topics": [id_, "x"], "attributes": [("k", id_)]} for id_ in "abc"])
    found = build_catalogue(table.slice(1, 1))
    assert features_of(found, 0) == {"topic1=b", "topic2=x", "k=b"}


def test_a_topic_without_a_name_is_none_and_keeps_its_place() -> None:
    found = build_catalogue(items_table([{"item_id": "a", "topics": ["food", None, "rye"]}]))
    assert features_of(found, 0) == {"topic1=food", "topic3=rye"}
    assert found.topic_names.names(found.topics.row(0)) == ["food", "rye"]


def test_a_catalogue_without_topics_and_attributes_has_no_features() -> None:
    found = build_catalogue(items_table([{"item_id": "a"}, {"item_id": "b"}]))
    assert len(found.feature_names) == 0
    assert found.feature_fields().tolist() == []
    assert found.features.lengths.tolist() == [0, 0]


def test_users_have_their_attributes_and_their_usual_context(people: People) -> None:
    assert [features_of(people, row) for row in range(3)] == [
        {"age=old", "usual store=north"},
        set(),
        {"usual store=north", "usual device=phone"},
    ]


@pytest.mark.parametrize(
    ("action", "value", "weight"),
    [
        ("buy", 0.0, 2.0),
        ("buy", None, 2.0),
        ("rate", 4.0, 1.0),
        ("rate", 3.9, 0.0),
        ("rate", None, 1.0),
        ("rate", math.nan, 1.0),
        ("return", -3.0, -0.5),
        ("gaze", 1.0, 0.0),
        ("gaze", None, 0.0),
    ],
)
def test_an_event_says_what_the_recipe_says_of_its_action(action: str, value: float | None, weight: float) -> None:
    assert signed_weights(events_table([("u", "a", action, value, 0)]), ACTIONS).tolist() == [weight]


def test_histories_keep_what_was_seen_without_a_sign_of_taste_and_leave_out_what_is_of_nobody(
    catalogue: Catalogue, people: People
) -> None:
    events = events_table(
        [
            ("u", "b", "buy", None, 20),
            ("u", "a", "return", None, 10),
            ("u", "a", "rate", 1.0, 30),
            ("u", "a", "gaze", None, 30),
            ("u", "nothing", "buy", None, 30),
            ("nobody", "a", "buy", None, 30),
            ("w", "c", "rate", 5.0, 5),
        ]
    )
    found = build_histories(events, catalogue, people, ACTIONS)
    assert found.offsets.tolist() == [0, 4, 4, 5]
    assert found.items.tolist() == [0, 1, 0, 0, 2]
    np.testing.assert_array_equal(found.weights, [-0.5, 2.0, 0.0, 0.0, 1.0])
    assert found.times.tolist() == [10, 20, 30, 30, 5]
    assert found.positives().items.tolist() == [1, 2]


def test_no_events_make_empty_histories_of_everybody(catalogue: Catalogue, people: People) -> None:
    found = build_histories(events_table([]), catalogue, people, ACTIONS)
    assert found.offsets.tolist() == [0, 0, 0, 0]
