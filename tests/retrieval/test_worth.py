"""What a source is worth is said in the words that its figures allow."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from tables import planted_hand, random_hand

from retrieval.mixing import measure
from retrieval.quotas import Hand
from retrieval.worth import everybody, proposal, recall_by_segment, with_costs, worth_rows


def mix_of(hand: Hand, **shares: float) -> dict[str, Any]:
    chosen = shares or {name: 1 / len(hand.found) for name in hand.found}
    return dataclasses.asdict(measure(hand, chosen, {}, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def mix() -> dict[str, Any]:
    return mix_of(planted_hand())


def test_rows_are_ordered_by_what_is_lost_without_a_source(mix: dict[str, Any]) -> None:
    rows = worth_rows(mix, {})
    assert [row.marginal["mean"] for row in rows] == sorted((row.marginal["mean"] for row in rows), reverse=True)
    assert rows[0].source == "right"
    assert rows[-1].source == "noise"


def test_costs_are_by_query_and_by_item_that_a_source_names(mix: dict[str, Any]) -> None:
    by_name = {row.source: row for row in worth_rows(mix, {"left": 100.0})}
    assert by_name["left"].microseconds_per_query == 100.0
    assert by_name["left"].microseconds_per_item == 5.0, "it names 20 items"
    assert by_name["right"].microseconds_per_query is by_name["right"].microseconds_per_item is None
    plain = {source["source"]: source for source in with_costs(mix, {"left": 100.0})["sources"]}
    assert (plain["left"]["microseconds_per_query"], plain["left"]["microseconds_per_item"]) == (100.0, 5.0)
    assert plain["right"]["microseconds_per_query"] is None


def test_a_source_without_a_share_says_what_it_alone_would_find() -> None:
    rows = worth_rows(mix_of(planted_hand(), left=0.5, right=0.0, echo=0.5, noise=0.0), {})
    assert next(row.says for row in rows if row.source == "right").startswith("has no share; it alone finds 50.0 %")


def test_what_is_not_sure_is_not_said_to_be(mix: dict[str, Any]) -> None:
    unsure = mix_of(random_hand(15, seed=3))
    for row in worth_rows(unsure, {}):
        is_sure = row.marginal["low"] > 0 or row.marginal["high"] < 0
        assert ("adds nothing that is sure" in row.says) == (not is_sure)
    assert "no sure gain" in proposal(unsure)
    assert "a sure gain" in proposal(mix)
    worse = mix | {"quota": mix["quota"] | {"gain": {"mean": -0.1, "low": -0.2, "high": -0.05}}}
    assert "-10.00 points (-20.00 to -5.00): a sure loss" in proposal(worse)


def test_shares_that_nothing_beats_are_said_to_be_kept() -> None:
    kept = mix_of(planted_hand(40), left=0.5, right=0.5, echo=0.0, noise=0.0)
    assert proposal(kept) == "No shares were found whose deal finds more than that by these."


def test_segments_name_the_best_source_first(mix: dict[str, Any]) -> None:
    (segment,) = recall_by_segment(mix)
    means = [found["recall"]["mean"] for found in segment["sources"].values()]
    assert means == sorted(means, reverse=True)
    assert everybody(mix)["segment"] == "everybody"
