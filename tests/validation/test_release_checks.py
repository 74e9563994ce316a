"""Bounds are kept to the digit, a sure loss is held, an unsure one is not, and what breaks a test can never be live."""

import datetime as dt
from dataclasses import replace

import pytest
from pydantic import ValidationError

from retrieval.comparison import EVERYBODY, Difference
from retrieval.index import IndexConfig
from retrieval.metrics import Estimate
from retrieval.release_rules import ACCEPTANCE_RULES, COVERAGE, NDCG, RECALL, AcceptanceConfig, GateConfig
from retrieval.soundness import WHOLE, Reading
from validation.candidates import judge_readings
from validation.gate import (
    cannot_be_asked,
    decide,
    judge_differences,
    judge_floors,
    judge_segments,
    judge_sources,
)

DAY = dt.date(2026, 3, 5)
SAME = Difference(RECALL, "blend", EVERYBODY, 900, 0.2, 0.2, Estimate(0.0, -0.004, 0.004))


def lost(high: float, **changes: object) -> Difference:
    return replace(SAME, change=Estimate(high - 0.002, high - 0.004, high), **changes)


def passed(reading: Reading, config: AcceptanceConfig = AcceptanceConfig()) -> bool:  # noqa: B008
    (check,) = judge_readings([reading], config, IndexConfig(), DAY)
    return check.passed


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("item_ratio", (0.9, 1.0, 3.0), (0.5, 0.899, 3.1)),
        ("eligible_ratio", (1.0,), (0.5,)),
        ("user_ratio", (1.0,), (0.1,)),
        ("event_ratio", (1.0,), (0.2,)),
        ("vanished", (0.0,), (0.3,)),
        ("unknown_names", (0,), (1,)),
        ("head_overlap", (0.0, 0.9), (0.95,)),
        ("head_cka", (0.5, 0.98), (0.99,)),
        ("bytes_ratio", (1.0,), (0.4, 4.0)),
        ("missing_ids", (0,), (1,)),
        ("index_recall", (0.99, 1.0), (0.98,)),
        ("self_neighbour", (1.0,), (0.5,)),
        ("foreign_vectors", (0,), (1,)),
        ("stale_vectors", (0,), (1,)),
        ("not_finite", (0,), (1,)),
        ("least_norm", (1.0,), (0.0, float("nan"))),
        ("greatest_norm", (1.0,), (1e9, float("inf"))),
        ("forbidden_answers", (0,), (1,)),
        ("churn", (0.0, 0.5), (0.99,)),
        ("score_shift", (0.1,), (1.0,)),
    ],
)
def test_each_acceptance_test_lets_pass_what_is_within_and_nothing_else(
    rule: str, good: tuple[float, ...], bad: tuple[float, ...]
) -> None:
    assert all(passed(Reading(rule, WHOLE, value)) for value in good)
    assert not any(passed(Reading(rule, WHOLE, value)) for value in bad)


def test_every_acceptance_test_has_its_case_above() -> None:
    mark = test_each_acceptance_test_lets_pass_what_is_within_and_nothing_else.pytestmark[0]  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == set(ACCEPTANCE_RULES)


def test_a_recipe_may_move_a_bound_or_make_it_warn_but_not_let_items_be_missing() -> None:
    assert passed(Reading("churn", WHOLE, 0.99), AcceptanceConfig(max_churn=1.0))
    (check,) = judge_readings(
        [Reading("churn", WHOLE, 1.0)], AcceptanceConfig(severity={"churn": "warn"}), IndexConfig(), DAY
    )
    assert not check.passed and not check.blocks
    with pytest.raises(ValidationError):
        AcceptanceConfig(most_missing=1)
    with pytest.raises(ValidationError, match="severity names"):
        AcceptanceConfig(severity={"chrun": "warn"})


def test_a_sure_loss_beyond_the_tolerated_one_is_held_and_the_sentence_has_its_numbers() -> None:
    config = GateConfig()
    assert decide([], judge_differences([SAME, lost(-0.003)], config, DAY)).decision == "promote"
    ruling = decide([], judge_differences([SAME, lost(-0.0041)], config, DAY))
    assert ruling.decision == "hold"
    (sentence,) = ruling.reasons
    assert "recall@100 of 2026-03-05" in sentence and "0.2000 live" in sentence and "no sure loss" in sentence


def test_segments_and_sources_have_their_own_tolerance_and_need_enough_users() -> None:
    config = GateConfig(segment_tolerance=0.1, source_tolerance=0.2, min_users=30)
    segment, source = {"segment": "store north"}, {"of": "item_knn"}
    for high, more, decision in (
        (-0.019, segment, "promote"),
        (-0.021, segment, "hold"),
        (-0.039, source, "promote"),
        (-0.041, source, "hold"),
        (-0.2, segment | {"n_users": 29}, "promote"),
    ):
        assert decide([], judge_differences([SAME, lost(high, **more)], config, DAY)).decision == decision


def test_few_users_are_told_but_do_not_hold_a_release() -> None:
    checks = judge_differences([replace(SAME, n_users=3)], GateConfig(), DAY)
    assert [check.rule for check in checks if not check.passed] == ["enough users"]
    assert decide([], checks).decision == "promote"


def test_a_metric_that_the_recipe_lets_warn_holds_nothing() -> None:
    config = GateConfig(severity={RECALL: "warn"})
    assert decide([], judge_differences([lost(-0.1)], config, DAY)).decision == "promote"


def test_every_release_has_to_reach_its_floors_and_those_not_named_keep_their_own() -> None:
    config = GateConfig(floors={RECALL: 0.05})
    reached = judge_floors({RECALL: 0.06, NDCG: 0.1, COVERAGE: 0.2}, config, DAY)
    assert decide([], reached).decision == "promote" and len(reached) == 3
    assert decide([], judge_floors({RECALL: 0.04, NDCG: 0.1, COVERAGE: 0.2}, config, DAY)).decision == "hold"
    assert decide([], judge_floors({RECALL: 0.06, NDCG: 0.1, COVERAGE: 0.001}, config, DAY)).decision == "hold"
    assert GateConfig(tolerance={RECALL: 0.5}).tolerance[NDCG] == GateConfig().tolerance[NDCG]


def test_a_day_on_which_nobody_chose_anything_proves_nothing() -> None:
    assert decide([], judge_differences([], GateConfig(), DAY)).decision == "hold"


def test_a_live_release_that_cannot_be_asked_holds_the_candidate() -> None:
    ruling = decide([], [cannot_be_asked("2026-03-04-a", "it is of format 0", DAY)])
    assert ruling.decision == "hold"
    assert "2026-03-04-a does not: it is of format 0" in ruling.reasons[0]


def test_segments_that_nobody_is_in_and_sources_that_only_one_has_are_told() -> None:
    (check,) = judge_segments(["age", "nothing"], {"age", "usual store"}, DAY)
    assert (check.rule, check.passed, check.severity) == ("segment nothing", False, "warn")
    assert judge_sources(["a", "b"], ["b", "a"], DAY) == []
    (check,) = judge_sources(["a"], ["a", "b"], DAY)
    assert "a, b, as in the live one" in check.expected and not check.blocks


@pytest.mark.parametrize(
    "values",
    [
        {"min_item_ratio": 4.0},
        {"max_norm": float("inf")},
        {"severity": {"stale_vectors": "warn"}},
        {"severity": {"missing_ids": "warn"}},
    ],
)
def test_bounds_that_let_nothing_or_everything_pass_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AcceptanceConfig.model_validate(values)


@pytest.mark.parametrize(
    "values",
    [{"floors": {"tail recall@100": 0.1}}, {"floors": {RECALL: float("nan")}}, {"tolerance": {RECALL: float("inf")}}],
)
def test_what_the_gate_cannot_measure_or_never_reaches_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GateConfig.model_validate(values)


def test_a_failed_acceptance_test_outweighs_the_gate() -> None:
    broken = judge_readings([Reading("not_finite", "two_tower", 4)], AcceptanceConfig(), IndexConfig(), DAY)
    ruling = decide(broken, judge_differences([lost(-0.1)], GateConfig(), DAY))
    assert ruling.decision == "refuse"
    assert "not_finite of two_tower" in ruling.reasons[0]
