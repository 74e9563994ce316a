"""What a source is worth is what the others lose without it: on planted rankings, and against counting by hand."""

import dataclasses

import numpy as np
import pytest
from tables import candidates, planted_hand, ragged, random_hand

from retrieval.dealing import deal
from retrieval.domain import UNKNOWN, Candidates
from retrieval.metrics import Estimate
from retrieval.mixing import ANY, EVERYBODY, Mix, measure, overlap
from retrieval.quotas import Hand, best_shares, chosen_shares, propose, with_share, without

EVEN = {"left": 0.25, "right": 0.25, "echo": 0.25, "noise": 0.25}


def recall_by_hand(hand: Hand, shares: dict[str, float], kept: np.ndarray | None = None) -> list[float]:
    """Each user's recall of the deal, over the targets kept, of users who have any."""
    dealt = deal(hand.found, shares, hand.k).items
    kept = np.ones(len(hand.targets.values), bool) if kept is None else kept
    found = []
    for user in range(len(hand)):
        span = slice(hand.targets.offsets[user], hand.targets.offsets[user + 1])
        wanted = set(hand.targets.values[span][kept[span]].tolist())
        if wanted:
            found.append(len(wanted & set(dealt[user].tolist())) / len(wanted))
    return found


@pytest.fixture(scope="module")
def planted() -> Mix:
    hand = planted_hand()
    return measure(hand, EVEN, {}, np.random.default_rng(0))


def test_planted_sources_are_worth_what_they_were_planted_to_be(planted: Mix) -> None:
    (everybody,) = planted.segments
    worth = everybody.sources
    assert (everybody.n_users, everybody.n_targets) == (200, 4000)
    assert everybody.union == Estimate(1.0, 1.0, 1.0)
    assert worth["left"].recall.mean == worth["right"].recall.mean == 0.5
    assert worth["right"].only.mean == 0.5, "nobody else finds these"
    assert worth["left"].only.mean == worth["echo"].only.mean == worth["noise"].recall.high == 0.0
    assert worth["right"].marginal.low > 0
    assert worth["noise"].marginal.high < 0, "its places would find something in other hands"


def test_a_source_that_says_what_another_says_takes_places_from_a_third() -> None:
    hand = planted_hand()
    three = Hand(without(hand.found, "noise"), hand.targets, hand.n_items, hand.k)
    (everybody,) = measure(three, dict.fromkeys(three.found, 1 / 3), {}, np.random.default_rng(0)).segments
    assert everybody.sources["echo"].marginal.high < 0
    assert everybody.sources["right"].marginal.low > 0


def test_planted_overlaps_are_whole_or_none(planted: Mix) -> None:
    by_name = {source.source: source for source in planted.sources}
    assert by_name["left"].overlap["echo"] == by_name["echo"].overlap["left"] == 1.0
    assert by_name["right"].overlap == {"left": 0.0, "echo": 0.0, "noise": 0.0}
    assert by_name["left"].overlap_with_any == 1.0
    assert by_name["right"].overlap_with_any == 0.0
    assert {source.n_named for source in planted.sources} == {20.0}


def test_the_quota_of_planted_sources_is_half_and_half(planted: Mix) -> None:
    assert planted.quota.shares["right"] == pytest.approx(0.5)
    assert planted.quota.shares["left"] + planted.quota.shares["echo"] == pytest.approx(0.5)
    assert planted.quota.shares["noise"] == 0.0
    assert len(planted.quota.by_half) == 2
    hand = planted_hand()
    gain = hand.mean_recall(planted.quota.shares) - hand.mean_recall(EVEN)
    assert planted.quota.gain.mean == pytest.approx(gain)
    assert planted.quota.gain.low > 0


def test_the_curve_of_a_source_goes_from_the_others_alone_to_it_alone(planted: Mix) -> None:
    hand = planted_hand()
    for source in planted.sources:
        assert [point.share for point in source.curve] == [step / 10 for step in range(11)]
        assert source.curve[0].recall == hand.mean_recall(without(EVEN, source.source))
        assert source.curve[-1].recall == hand.mean_recall({source.source: 1.0})
    right = next(source for source in planted.sources if source.source == "right")
    best = max(right.curve, key=lambda point: point.recall)
    assert 0.2 < best.share < 0.8, "both halves of the targets are needed"


def test_figures_of_segments_are_counted_by_hand() -> None:
    hand = random_hand(40)
    rng = np.random.default_rng(3)
    segments = {"some": rng.random(len(hand.targets.values)) < 0.4, "none": np.zeros(len(hand.targets.values), bool)}
    shares = {"s0": 0.5, "s1": 0.3, "s2": 0.2}
    found = {part.segment: part for part in measure(hand, shares, segments, rng).segments}
    assert set(found) == {EVERYBODY, "some"}, "a segment without a target has no recall"
    for name, kept in {EVERYBODY: np.ones(len(hand.targets.values), bool), "some": segments["some"]}.items():
        dealt = np.array(recall_by_hand(hand, shares, kept))
        assert found[name].n_users == len(dealt)
        assert found[name].dealt.mean == pytest.approx(dealt.mean())
        for source, worth in found[name].sources.items():
            lost = dealt - np.array(recall_by_hand(hand, without(shares, source), kept))
            assert worth.marginal.mean == pytest.approx(lost.mean())
            assert worth.marginal.low <= lost.mean() + 1e-12 <= worth.marginal.high + 2e-12
            assert worth.recall.mean == pytest.approx(np.mean(recall_by_hand(hand, {source: 1.0}, kept)))


def test_only_and_union_are_counted_by_hand() -> None:
    hand = random_hand(30)
    lists = {name: [set(row[row != UNKNOWN].tolist()) for row in found.items] for name, found in hand.found.items()}
    only, union = {name: [] for name in lists}, []
    for user in range(len(hand)):
        wanted = set(hand.targets.row(user).tolist())
        union.append(len(wanted & set().union(*(rows[user] for rows in lists.values()))) / len(wanted))
        for name in lists:
            others = set().union(*(lists[other][user] for other in lists if other != name))
            only[name].append(len(wanted & lists[name][user] - others) / len(wanted))
    (everybody,) = measure(hand, dict.fromkeys(lists, 1.0), {}, np.random.default_rng(0)).segments
    assert everybody.union.mean == pytest.approx(np.mean(union))
    for name, values in only.items():
        assert everybody.sources[name].only.mean == pytest.approx(np.mean(values))


def test_overlaps_are_counted_by_hand() -> None:
    hand = random_hand(30)
    lists = {name: [set(row[row != UNKNOWN].tolist()) for row in found.items] for name, found in hand.found.items()}
    matrix = overlap(hand.found, hand.n_items, hand.k)
    for name, rows in lists.items():
        for other in lists.keys() - {name}:
            shared = [len(row & lists[other][user]) / len(row) for user, row in enumerate(rows) if row]
            assert matrix[name][other] == pytest.approx(np.mean(shared))
        any_other = [
            len({item for item in row if any(item in lists[other][user] for other in lists if other != name)})
            / len(row)
            for user, row in enumerate(rows)
            if row
        ]
        assert matrix[name][ANY] == pytest.approx(np.mean(any_other))


def test_equal_rows_of_different_users_do_not_overlap() -> None:
    found = {"a": candidates([[1, 2], [3, 4]], 2), "b": candidates([[3, 4], [1, 2]], 2)}
    assert overlap(found, 10, 2) == {"a": {"b": 0.0, ANY: 0.0}, "b": {"a": 0.0, ANY: 0.0}}


def best_by_hand(hand: Hand) -> dict[str, float]:
    """The greedy walk, in the words of its definition."""
    names = list(hand.found)

    def recall(steps: dict[str, int]) -> float:
        return float(np.mean(recall_by_hand(hand, {name: n / 20 for name, n in steps.items()})))

    singles = [recall({name: 20}) for name in names]
    first = names[int(np.argmax(singles))]
    steps = {name: 20 if name == first else 0 for name in names}
    while steps[first] > 0:
        moves = []
        for name in names:
            if name != first:
                moved = dict(steps)
                moved[first] -= 1
                moved[name] += 1
                moves.append((recall(moved), moved))
        reached, moved = max(moves, key=lambda move: move[0])
        if reached <= recall(steps) + 1e-9:
            break
        steps = moved
    return {name: n / 20 for name, n in steps.items()}


def test_the_greedy_walk_is_its_definition() -> None:
    hand = random_hand(25, seed=4)
    found = best_shares(hand)
    assert found == best_by_hand(hand)
    assert sum(share > 0 for share in found.values()) > 1, "one source alone would test nothing"
    assert sum(found.values()) == pytest.approx(1.0)


def test_present_shares_that_the_walk_does_not_reach_are_kept() -> None:
    hand = planted_hand(40)
    best = {"left": 0.5, "right": 0.5, "echo": 0.0, "noise": 0.0}
    assert chosen_shares(hand, best) == best
    assert chosen_shares(hand, EVEN) == best_shares(hand)
    assert propose(hand, best, np.random.default_rng(0)).gain == Estimate(0.0, 0.0, 0.0)


def test_no_gain_is_found_where_sources_differ_by_chance_alone() -> None:
    rng = np.random.default_rng(8)
    n, rows = 300, {}
    targets = [[int(item)] for item in rng.integers(0, 60, n)]
    for name in "abc":
        rows[name] = candidates([rng.permutation(60)[:20].tolist() for _ in range(n)], 20)
    hand = Hand(rows, ragged(targets), 60, 20)
    present = dict.fromkeys("abc", 1 / 3)
    quota = propose(hand, present, np.random.default_rng(1))
    in_sample = hand.mean_recall(quota.shares) - hand.mean_recall(present)
    assert quota.gain.low <= 0, "what was chosen on noise gains nothing on others"
    assert in_sample > quota.gain.mean, "measured where it was chosen it would look like a gain"


def test_a_share_goes_to_one_and_the_others_keep_their_proportions() -> None:
    assert with_share({"a": 0.5, "b": 0.3, "c": 0.2}, "a", 0.0) == pytest.approx({"a": 0.0, "b": 0.6, "c": 0.4})
    assert with_share({"a": 1.0, "b": 0.0, "c": 0.0}, "a", 0.4) == pytest.approx({"a": 0.4, "b": 0.3, "c": 0.3})


def test_one_source_alone_is_worth_all_it_finds() -> None:
    hand = planted_hand(20)
    alone = Hand({"left": hand.found["left"]}, hand.targets, hand.n_items, hand.k)
    found = measure(alone, {"left": 1.0}, {}, np.random.default_rng(0))
    worth = found.segments[0].sources["left"]
    assert worth.marginal.mean == worth.only.mean == worth.recall.mean == 0.5
    assert found.quota.shares == {"left": 1.0}
    assert found.quota.gain == Estimate(0.0, 0.0, 0.0)


def test_a_day_on_which_nobody_chose_anything_has_no_figures() -> None:
    hand = Hand({name: candidates([], 20) for name in "ab"}, ragged([]), 10, 20)
    found = measure(hand, {"a": 0.5, "b": 0.5}, {}, np.random.default_rng(0))
    assert found.n_users == 0
    assert found.segments[0].dealt == found.quota.gain == Estimate(0.0, 0.0, 0.0)


def test_a_quota_gains_over_what_is_served_however_that_was_blended() -> None:
    hand, rng = planted_hand(40), np.random.default_rng(0)
    best = {"left": 0.5, "right": 0.5, "echo": 0.0, "noise": 0.0}
    as_well = dataclasses.replace(hand, served=deal(hand.found, best, hand.k))
    nothing = dataclasses.replace(hand, served=Candidates.none(len(hand), hand.k))
    assert propose(as_well, best, rng).gain == Estimate(0.0, 0.0, 0.0)
    assert propose(nothing, best, rng).gain.mean == pytest.approx(hand.mean_recall(best))
    assert measure(nothing, EVEN, {}, rng).served == Estimate(0.0, 0.0, 0.0)
    assert measure(hand, EVEN, {}, rng).served.mean == pytest.approx(hand.mean_recall(EVEN)), "by the shares themselves"
