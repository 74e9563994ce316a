"""Rows set aside, shown without what tells who somebody is."""

import pytest
from night_reports import a_night, text_of

from retrieval.report_parts import NightReport
from retrieval.row_examples import shown_of


@pytest.fixture
def night() -> NightReport:
    return a_night()


def test_examples_show_what_is_wrong_and_nobody_s_name() -> None:
    row = {"user_id": "ada@example.org", "item_id": "82", "context": {"phone": "555"}, "event_id": "", "value": None}
    shown = dict(shown_of("events", row))
    assert shown == {
        "user_id": "given, not shown",
        "item_id": "82",
        "context": "given, not shown",
        "event_id": "empty",
        "value": "missing",
    }
    assert shown_of("users", {"user_id": "ada", "attributes": {}}) == [
        ("user_id", "given, not shown"),
        ("attributes", "empty"),
    ]
    assert shown_of("events", "no json") == [("row", "no row that could be read")]
    assert len(dict(shown_of("items", {"title": "x" * 500}))["title"]) == 81


def test_examples_are_on_the_page_by_their_reason(night: NightReport) -> None:
    text = text_of(night)
    assert "Examples of rows set aside" in text
    assert "missing_user events of 2017-10-02, part-0.parquet , line 17 item_id 82" in text
