"""The held-out day asks about what nobody has seen, and counts it fairly."""

import numpy as np
import pytest

from retrieval import metrics
from retrieval.domain import UNKNOWN, Candidates, Dataset, Histories
from retrieval.evaluation import Holdout, score
from retrieval.queries import ask
from retrieval.segments import HISTORY_BOUNDS, ItemFacts, target_segments
from retrieval.synthetic import World, planted_world

SEED = 5


@pytest.fixture(scope="module")
def world() -> World:
    return planted_world(n_users=40, n_items=24, n_days=8)


@pytest.fixture(scope="module")
def dataset(world: World) -> Dataset:
    return world.dataset(world.days[-1])


@pytest.fixture(scope="module")
def held_out(world: World) -> Histories:
    return world.held_out(world.days[-1])


@pytest.fixture
def holdout(dataset: Dataset, held_out: Histories) -> Holdout:
    return Holdout.of(dataset, held_out, 1000, SEED)


def chosen_by_hand(world: World, dataset: Dataset) -> dict[int, set[int]]:
    """Rows of users and of what they bought on the last day."""
    chosen: dict[int, set[int]] = {}
    for event in world.events(world.days[-1]).to_pylist():
        if event["action"] == "purchase":
            user, item = dataset.people.ids.row(event["user_id"]), dataset.catalogue.ids.row(event["item_id"])
            chosen.setdefault(user, set()).add(item)
    return chosen


def facts_of(fresh: np.ndarray) -> ItemFacts:
    """Items that are all in the tail and chosen once each."""
    return ItemFacts(fresh, np.ones(len(fresh), bool), np.ones(len(fresh), np.int64))


def perfect(holdout: Holdout, width: int) -> Candidates:
    items = np.full((len(holdout.queries), width), UNKNOWN, np.int32)
    for row in range(len(items)):
        targets = holdout.targets.row(row)
        items[row, : len(targets)] = targets
    return Candidates(items, np.where(items == UNKNOWN, -np.inf, 1.0).astype(np.float32))


def test_targets_are_the_days_positives_of_those_who_chose_something(
    world: World, dataset: Dataset, holdout: Holdout
) -> None:
    found = {int(user): set(holdout.targets.row(row).tolist()) for row, user in enumerate(holdout.queries.users)}
    assert found == chosen_by_hand(world, dataset)


def test_questions_hold_no_event_of_the_day_asked_about(dataset: Dataset, holdout: Holdout) -> None:
    assert holdout.queries.day == dataset.day
    assert holdout.queries.histories.n_events > 0
    assert holdout.queries.histories.times.max() < dataset.day * 86_400


def test_new_only_asks_for_nothing_that_is_excluded(holdout: Holdout) -> None:
    new = holdout.new_only()
    assert 0 < len(new.targets.values) < len(holdout.targets.values)
    for row in range(len(new.queries)):
        targets, excluded = set(new.targets.row(row).tolist()), set(new.queries.excluded.row(row).tolist())
        assert targets
        assert not targets & excluded


def test_new_only_drops_exactly_the_users_who_chose_nothing_new(
    world: World, dataset: Dataset, holdout: Holdout
) -> None:
    seen = dataset.histories.seen()
    wanted = {user: items - set(seen.row(user).tolist()) for user, items in chosen_by_hand(world, dataset).items()}
    new = holdout.new_only()
    found = {int(user): set(new.targets.row(row).tolist()) for row, user in enumerate(new.queries.users)}
    assert found == {user: items for user, items in wanted.items() if items}
    assert len(found) < len(wanted), "the planted world has users who chose nothing new"


def test_too_many_users_are_sampled_the_same_way_each_time(
    dataset: Dataset, held_out: Histories, holdout: Holdout
) -> None:
    few, again = (Holdout.of(dataset, held_out, 7, SEED) for _ in range(2))
    assert len(few.queries) == len(few.targets) == 7
    np.testing.assert_array_equal(few.queries.users, again.queries.users)
    everybody = {int(user): holdout.targets.row(row).tolist() for row, user in enumerate(holdout.queries.users)}
    for row, user in enumerate(few.queries.users):
        assert few.targets.row(row).tolist() == everybody[int(user)]


def test_asking_brings_what_is_known_of_each_user(dataset: Dataset) -> None:
    queries = ask(dataset, np.array([3, 1]))
    assert queries.users.tolist() == [3, 1]
    for row, user in enumerate((3, 1)):
        assert queries.features.row(row).tolist() == dataset.people.features.row(user).tolist()
        part = slice(dataset.histories.offsets[user], dataset.histories.offsets[user + 1])
        mine = slice(queries.histories.offsets[row], queries.histories.offsets[row + 1])
        assert queries.histories.items[mine].tolist() == dataset.histories.items[part].tolist()
    assert queries.excluded.lengths.tolist() == [0, 0]


def test_a_perfect_source_scores_one_and_an_empty_one_nothing(holdout: Holdout) -> None:
    items = facts_of(np.zeros(len(holdout.queries.eligible), bool))
    best = score("best", "all", perfect(holdout, 100), holdout, items, SEED)
    assert best.recall_at_10.mean == best.recall_at_100.mean == best.ndcg_at_10.mean == pytest.approx(1.0)
    assert (best.n_users, best.n_targets) == (len(holdout.queries), len(holdout.targets.values))
    assert best.fresh_recall_at_100 is None, "no target is fresh"
    shape = (len(holdout.queries), 100)
    nothing = Candidates(np.full(shape, UNKNOWN, np.int32), np.full(shape, -np.inf, np.float32))
    assert score("none", "all", nothing, holdout, items, SEED).recall_at_100.high == 0.0


def test_fresh_recall_counts_fresh_targets_alone(holdout: Holdout) -> None:
    found = perfect(holdout, 100)
    fresh = np.zeros(len(holdout.queries.eligible), bool)
    fresh[[int(holdout.targets.values[0]), len(fresh) - 1]] = True
    rows, places = np.nonzero((found.items != UNKNOWN) & fresh[found.items])
    found.items[rows[::2], places[::2]] = UNKNOWN
    n_fresh = sum(bool(fresh[item]) for item in holdout.targets.values)
    wanted = (n_fresh - len(rows[::2])) / n_fresh
    assert 0 < wanted < 1
    assert score("half", "all", found, holdout, facts_of(fresh), SEED).fresh_recall_at_100 == pytest.approx(wanted)


def test_scores_are_those_of_the_metrics(holdout: Holdout) -> None:
    n_items = len(holdout.queries.eligible)
    items = np.tile(np.arange(n_items, dtype=np.int32), (len(holdout.queries), 1))
    found = Candidates(items, -items.astype(np.float32))
    scored = score("rows", "all", found, holdout, facts_of(np.ones(n_items, bool)), SEED)
    hit = metrics.hits(found, holdout.targets, n_items)
    assert scored.recall_at_10.mean == pytest.approx(metrics.recall(hit, holdout.targets, 10).mean())
    assert scored.coverage_at_100 == 1.0
    assert scored.fresh_recall_at_100 == 1.0


def test_segments_are_the_classes_of_pairs_counted_by_hand(dataset: Dataset, holdout: Holdout) -> None:
    items, queries = ItemFacts.of(dataset), holdout.queries
    found = target_segments(queries, holdout.targets, items)
    for entry, (user, item) in enumerate(zip(holdout.targets.owners(), holdout.targets.values, strict=True)):
        span = slice(queries.histories.offsets[user], queries.histories.offsets[user + 1])
        history = queries.histories.items[span].tolist()
        wanted = {
            "head items": not items.tail[item],
            "tail items": bool(items.tail[item]),
            "fresh items": dataset.catalogue.first_seen[item] >= dataset.day,
            "repeat pairs": item in history,
            "new pairs": item not in history,
            "users with no event": not history,
            "users with 1 to 9 events": 1 <= len(history) < HISTORY_BOUNDS[2],
        }
        assert {name: bool(found[name][entry]) for name in wanted} == wanted


def test_the_recall_of_a_segment_counts_its_targets_and_its_users_alone(dataset: Dataset, holdout: Holdout) -> None:
    items, n_items = ItemFacts.of(dataset), len(dataset.catalogue)
    rng = np.random.default_rng(2)
    rows = np.stack([rng.permutation(n_items)[:12] for _ in range(len(holdout.queries))]).astype(np.int32)
    found = Candidates(rows, np.zeros(rows.shape, np.float32))
    scored = {s.segment: s for s in score("any", "all", found, holdout, items, SEED).segments}
    for name, kept in target_segments(holdout.queries, holdout.targets, items).items():
        by_user: dict[int, list[bool]] = {}
        for user, item in zip(holdout.targets.owners()[kept], holdout.targets.values[kept], strict=True):
            by_user.setdefault(int(user), []).append(item in rows[user][:10])
        assert (name in scored) == bool(by_user)
        if by_user:
            assert scored[name].n_users == len(by_user)
            assert scored[name].n_targets == kept.sum()
            wanted = np.mean([np.mean(hit) for hit in by_user.values()])
            assert scored[name].recall_at_10.mean == pytest.approx(wanted)


def test_novelty_and_popularity_are_of_what_is_shown(dataset: Dataset, holdout: Holdout) -> None:
    items = ItemFacts.of(dataset)
    by_choices = np.argsort(-items.n_choices, kind="stable").astype(np.int32)
    ends = {"head": by_choices[:10], "tail": by_choices[::-1][:10]}
    shown = {
        name: score(
            name,
            "all",
            Candidates(np.tile(rows, (len(holdout.queries), 1)), np.zeros((len(holdout.queries), 10), np.float32)),
            holdout,
            items,
            SEED,
        )
        for name, rows in ends.items()
    }
    assert shown["head"].novelty_at_10.mean < shown["tail"].novelty_at_10.mean
    assert shown["head"].popularity_at_10.mean > 0.5 > shown["tail"].popularity_at_10.mean
    total = items.n_choices.sum() + len(items.n_choices)
    wanted = np.mean([-np.log2((items.n_choices[item] + 1) / total) for item in ends["head"]])
    assert shown["head"].novelty_at_10.mean == pytest.approx(wanted)
    assert shown["head"].novelty_at_100.high == pytest.approx(wanted)
