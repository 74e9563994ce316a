"""What changed since the night before, and what a release follows from."""

import pytest
from night_reports import a_bare_night, a_night, text_of

from retrieval.changes import changed_keys
from retrieval.report_parts import NightReport


@pytest.fixture
def night() -> NightReport:
    return a_night()


@pytest.fixture
def bare() -> NightReport:
    return a_bare_night()


def test_what_changed_since_the_night_before_is_said(night: NightReport, bare: NightReport) -> None:
    text = text_of(night)
    assert "What changed since 2017-10-01" in text
    assert "sources.two_tower.dim 32 64" in text and "The recipe is another one. The code is the same." in text
    assert "items in the catalogue 92,300 92,331 +31" in text
    assert "blend recall@100, all pairs 0.1606 0.1784 +0.0178" in text
    assert "33 items came into the catalogue DRAGON FRUIT" in text and "2 items went out of it OLD BREAD" in text
    assert "There is no earlier release to compare with." in text_of(bare)


def test_changed_keys_are_those_that_differ_at_any_depth() -> None:
    before = {"seed": 1, "sources": {"a": {"kind": "popular"}, "b": {"dim": 32}}, "same": [1, 2]}
    now = {"seed": 1, "sources": {"b": {"dim": 64, "epochs": 2}}, "same": [1, 2]}
    assert changed_keys(before, now) == [
        ("sources.a.kind", "popular", "not set"),
        ("sources.b.dim", "32", "64"),
        ("sources.b.epochs", "not set", "2"),
    ]


def test_lineage_names_all_that_the_release_follows_from(night: NightReport) -> None:
    text = text_of(night)
    for part in ("c0ffee", "9f8e7d", "a1b2c3d4e5f6", "r-before", "2016-10-02 up to 2017-10-02", "torch 2.13.0"):
        assert part in text, part
