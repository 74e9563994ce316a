"""Planted lineages get the verdict that belongs to them, however their spaces turn; so does a real one."""

import dataclasses
import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lineages import (
    CONFIG,
    DIM,
    DRIFT,
    FIRST,
    HEADS,
    TOWERS,
    Way,
    calm,
    frozen,
    judged,
    jumping,
    lineage_of,
    planted,
    real_lineage,
    restless,
    settling,
    thawless,
    turned,
    walk,
)

from retrieval.convergence import Positions, aligned
from retrieval.convergence_rules import ConvergenceConfig, Verdict

WAYS: dict[str, tuple[Way, str, str]] = {
    "settles": (settling, "converging", "times theirs at first"),
    "calm": (calm, "converging", "it moves"),
    "walks as established items do": (walk(DRIFT), "converging", "it moves"),
    "walks faster": (walk(4 * DRIFT), "failing", "on its first night and still"),
    "settles slowly": (partial(settling, half_life=2.0), "converging", "times theirs at first"),
    "settles too slowly": (partial(settling, half_life=8.0), "failing", "on its first night and still"),
    "jumps one by one": (jumping, "converging", "times theirs at first"),
    "restless": (restless, "failing", "it still moved"),
    "frozen": (frozen, "failing", "Nobody moves these rows"),
}


def verdict_of(nights: list[Positions], **how: object) -> Verdict:
    ((_, verdict),) = judged(nights, **how)  # type: ignore[arg-type]
    return verdict


@pytest.mark.parametrize("name", WAYS)
def test_a_planted_cohort_is_told_for_what_it_is(name: str) -> None:
    way, state, words = WAYS[name]
    verdict = verdict_of(planted(way))
    assert (verdict.state, words in verdict.sentence() or verdict.sentence()) == (state, True)


@settings(deadline=None, max_examples=12)
@given(name=st.sampled_from(sorted(WAYS)), seed=st.integers(0, 10_000))
def test_no_turning_of_the_nights_spaces_changes_a_verdict_or_a_curve(name: str, seed: int) -> None:
    nights = planted(WAYS[name][0])
    ((as_it_was, verdict),) = judged(nights)
    ((as_turned, turned_verdict),) = judged(turned(nights, seed))
    assert turned_verdict.state == verdict.state
    np.testing.assert_allclose(as_turned.distances, as_it_was.distances, atol=2e-5)
    np.testing.assert_allclose(as_turned.drift, as_it_was.drift, atol=2e-5)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_who_moves_as_established_items_do_never_alarms(seed: int) -> None:
    assert verdict_of(planted(calm, seed=seed)).state == "converging"


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_a_walk_is_no_settling_although_its_distance_shrinks_as_well(seed: int) -> None:
    nights = planted(walk(4 * DRIFT), seed=seed)
    ((curve, verdict),) = judged(nights)
    medians = [found.median for found in curve.delta]
    assert medians[-1] == 0 and medians[-2] < medians[0]
    assert verdict.state == "failing"


def test_a_cohort_that_slows_down_has_until_it_counts_as_settled() -> None:
    slow = planted(partial(settling, half_life=2.0))
    assert verdict_of(slow).state == "converging"
    late = verdict_of(slow, config=CONFIG.model_copy(update={"settled_days": 7}))
    assert late.state == "failing" and "still moved" in late.sentence()


def test_rows_that_nobody_chose_may_stay_as_they_are() -> None:
    assert verdict_of(planted(frozen), chosen=[]).state == "converging"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG.model_copy(update={"min_items": 31}), "Too early to tell: 30 items, and 31 are needed."),
        (CONFIG.model_copy(update={"min_nights": 8}), "Too early to tell: 7 nights after the first, and 8 are needed."),
    ],
)
def test_too_few_items_or_nights_neither_pass_nor_fail(config: ConvergenceConfig, said: str) -> None:
    verdict = verdict_of(planted(walk(4 * DRIFT)), config=config)
    assert (verdict.state, verdict.sentence()) == ("early", said)


def test_the_curve_is_that_of_a_loop_over_items() -> None:
    """The slow twin: one item after the other, one rotation after the other."""
    nights = turned(planted(settling, n_nights=4), seed=9)
    lineage = lineage_of(nights)
    ((curve, _),) = judged(nights)
    last = {str(i): v for i, v in zip(lineage.nights[-1].ids, lineage.nights[-1].vectors, strict=True)}
    for age, night in enumerate(lineage.nights):
        left = []
        for id_, vector, seen in zip(night.ids, night.vectors, night.first_seen, strict=True):
            if seen == FIRST:
                place = vector.astype(float)
                for turn in lineage.turns[age:]:
                    place = place @ turn.rotation
                left.append(np.linalg.norm(place - last[str(id_)]))
        assert curve.delta[age].median == pytest.approx(np.median(left), abs=1e-6)


def test_nights_to_half_of_a_way_that_halves_each_night_are_one() -> None:
    def exact(rng: np.random.Generator, home: np.ndarray, k: int) -> np.ndarray:
        return home + 0.5**k * 0.2 * np.roll(home, 1, axis=0)

    ((curve, _),) = judged(planted(exact, n_nights=9))
    assert curve.nights_to(0.5) == pytest.approx(1.0, abs=0.15)
    assert curve.nights_to(0.9) == pytest.approx(3.3, abs=0.3)


def test_a_cohort_that_was_there_before_the_first_night_is_not_followed() -> None:
    assert judged(planted(settling)[1:]) == []


def test_items_that_went_are_left_out_and_the_others_are_followed() -> None:
    *before, last = planted(settling)
    ((curve, _),) = judged([*before, last.take(~np.isin(last.ids, ["b003", "b004"]))])
    assert curve.n_items == 28


def test_spaces_of_other_widths_or_with_too_few_established_items_are_not_laid_over_each_other() -> None:
    one, two, *_ = planted(settling)
    assert aligned(one, dataclasses.replace(two, vectors=two.vectors[:, :-1]), CONFIG.settled_days, 1) is None
    few = np.arange(2 * DIM - 1)
    assert aligned(one.take(few), two.take(few), CONFIG.settled_days, 1) is None
    enough = np.arange(2 * DIM)
    assert aligned(one.take(enough), two.take(enough), CONFIG.settled_days, 1) is not None


def test_the_same_items_are_kept_every_night() -> None:
    rng = np.random.default_rng(0)
    ids, seen = [f"i{n:05d}" for n in range(3000)], np.repeat([0, 100], [2000, 1000])
    nights = [Positions.of(day, ids, seen, rng.standard_normal((3000, 4))) for day in (100, 101)]
    one, two = (night.worth_keeping(7, seed=1) for night in nights)
    assert one.ids.tolist() == two.ids.tolist()
    assert (one.established(7).sum(), len(one.ids)) == (500, 1000)


Lineages = tuple[dict[str, list[Positions]], list[str]]
REAL = {"two_tower": partial(real_lineage, 7, TOWERS), "mtmh": partial(real_lineage, 8, HEADS)}


@pytest.fixture(scope="module", params=REAL)
def healthy(request: pytest.FixtureRequest) -> Lineages:
    return REAL[request.param]()


@pytest.mark.slow
def test_real_models_pass_and_each_planted_fault_of_theirs_fails_but_a_turned_space(healthy: Lineages) -> None:
    spaces, chosen = healthy
    for nights in spaces.values():
        as_it_was, as_turned = judged(nights, chosen), judged(turned(nights, 4), chosen)
        for found in (as_it_was, as_turned):
            assert [verdict.state for _, verdict in found] == ["converging", "converging"]
        stopped = judged(thawless(nights, nights[0].day - 1), chosen)
        assert all("Nobody moves these rows" in verdict.sentence() for _, verdict in stopped)
        assert [verdict.state for _, verdict in stopped] == ["failing", "failing"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "words"),
    [("two_tower", "Nothing places these items"), ("mtmh", "Nothing places these items|it still moved")],
)
def test_real_models_that_nothing_tells_of_fresh_items_fail(family: str, words: str) -> None:
    spaces, chosen = REAL[family](blind=True)
    for nights in spaces.values():
        found = judged(nights, chosen)
        assert [verdict.state for _, verdict in found] == ["failing", "failing"]
        assert all(re.search(words, verdict.sentence()) for _, verdict in found)
