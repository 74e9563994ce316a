"""Answers ahead of time are those that a reader would get, for everybody who is active and every item to be had."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from retrieval.batch import Answers, Batch, BatchConfig
from retrieval.blend import BLEND, RankFusionConfig
from retrieval.domain import DAY, UNKNOWN, Candidates, Dataset
from retrieval.index import IndexConfig, build_index
from retrieval.merging import Merge
from retrieval.progress import listening
from retrieval.recommender import Snapshot
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.retrievers.item_knn import ItemKnnConfig
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.protocol import Retriever
from retrieval.retrievers.two_tower import TwoTowerConfig
from retrieval.synthetic import planted_world
from retrieval.text import HashedEncoder

K, SIMILAR_K, BLOCK = 15, 7, 32


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.batch.BLOCK", BLOCK)


@pytest.fixture(scope="module")
def learnt() -> Dataset:
    """Some users long gone, a fifth of the items not to be had."""
    world = planted_world(n_users=120, n_items=90, n_days=12, events_per_user_day=0.2)
    dataset = world.dataset(world.days[-1], HashedEncoder(16))
    until = dataset.catalogue.available_until.copy()
    until[::5] = dataset.day - 1
    return replace(dataset, catalogue=replace(dataset.catalogue, available_until=until))


@pytest.fixture(scope="module")
def sources(learnt: Dataset) -> dict[str, Retriever]:
    tower = TwoTowerConfig(dim=8, uniform_negatives=32, min_history=1, train_days=3).fit(learnt, seed=1)
    return {
        "popular": PopularConfig().fit(learnt, seed=1),
        "item_knn": ItemKnnConfig(min_users=1, neighbours=20).fit(learnt, seed=1),
        "two_tower": IndexedRetriever(tower, build_index(tower.embed_items(learnt), IndexConfig())),
    }


@pytest.fixture(params=[False, True], ids=["all", "new only"])
def exclude_seen(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def batch_of(learnt: Dataset, sources: dict[str, Retriever], exclude_seen: bool = False, **config: object) -> Batch:
    given = {"k": K, "similar_k": SIMILAR_K, "active_days": 3} | config
    return Batch(learnt, sources, Merge(RankFusionConfig(depth=30)), exclude_seen, BatchConfig.model_validate(given))


def together(answers: Iterator[Answers]) -> tuple[np.ndarray, Candidates]:
    blocks = list(answers)
    found = [block.candidates for block in blocks]
    items, scores = np.concatenate([f.items for f in found]), np.concatenate([f.scores for f in found])
    return np.concatenate([block.rows for block in blocks]), Candidates(items, scores)


def assert_as_good(found: Candidates, wanted: Candidates) -> None:
    """The same but for neighbours whose scores are equal up to rounding."""
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=1e-4, atol=1e-5)
    differ = found.items != wanted.items
    scores = np.where(wanted.items == UNKNOWN, -1e9, wanted.scores)
    gaps = np.abs(np.diff(scores, axis=1, append=-2e9))
    near = (gaps < 1e-4) | (np.roll(gaps, 1, axis=1) < 1e-4)
    assert not (differ & ~near).any()


def test_users_get_what_a_reader_would_get(learnt: Dataset, sources: dict[str, Retriever], exclude_seen: bool) -> None:
    batch = batch_of(learnt, sources, exclude_seen)
    rows, found = together(batch.of_users(2))
    reader = Snapshot("r", learnt, sources, batch.merge, exclude_seen)
    assert_as_good(found, reader.recommend(learnt.people.ids.names(rows), K))


def test_items_get_what_a_reader_would_get(learnt: Dataset, sources: dict[str, Retriever]) -> None:
    batch = batch_of(learnt, sources)
    rows, found = together(batch.of_items(2))
    assert rows.tolist() == np.flatnonzero(learnt.catalogue.eligible(learnt.day)).tolist()
    wanted = Snapshot("r", learnt, sources, batch.merge, False).similar(learnt.catalogue.ids.names(rows), SIMILAR_K)
    assert_as_good(found, wanted)


def test_items_without_vectors_are_answered_by_the_blend(learnt: Dataset, sources: dict[str, Retriever]) -> None:
    plain = {name: source for name, source in sources.items() if name != "two_tower"}
    rows, found = together(batch_of(learnt, plain).of_items(2))
    reader = Snapshot("r", learnt, plain, Merge(RankFusionConfig(depth=30)), False)
    np.testing.assert_array_equal(found.items, reader.similar(learnt.catalogue.ids.names(rows), SIMILAR_K).items)


@pytest.mark.parametrize("name", ["popular", "item_knn", "two_tower"])
def test_one_source_may_answer_alone(learnt: Dataset, sources: dict[str, Retriever], name: str) -> None:
    rows, found = together(batch_of(learnt, sources, source=name).of_users(2))
    reader = Snapshot("r", learnt, sources, Merge(RankFusionConfig(depth=30)), False)
    assert_as_good(found, reader.recommend(learnt.people.ids.names(rows), K, sources=[name]))


def test_large_catalogues_are_asked_by_the_graph(learnt: Dataset, sources: dict[str, Retriever]) -> None:
    graph, scan = (batch_of(learnt, sources, source="two_tower", exact_up_to=n) for n in (0, len(learnt.catalogue)))
    assert_as_good(together(graph.of_users(1))[1], together(scan.of_users(1))[1])


@pytest.mark.parametrize("active_days", [1, 4, 400])
def test_users_without_a_late_event_are_left_out(
    learnt: Dataset, sources: dict[str, Retriever], active_days: int
) -> None:
    batch, events = batch_of(learnt, sources, active_days=active_days), learnt.histories
    late = events.times >= (learnt.day - active_days) * DAY
    active = sorted({int(user) for user, is_late in zip(events.owners(), late, strict=True) if is_late})
    assert batch.active_users().tolist() == active
    assert len(active) < len(learnt.people) or active_days == 400


def test_nothing_barred_or_seen_is_shown(learnt: Dataset, sources: dict[str, Retriever]) -> None:
    rows, found = together(batch_of(learnt, sources, exclude_seen=True, source=BLEND).of_users(2))
    eligible, seen = learnt.catalogue.eligible(learnt.day), learnt.histories.seen()
    for user, items in zip(rows.tolist(), found.items, strict=True):
        shown = items[items != UNKNOWN]
        assert eligible[shown].all()
        assert not set(shown.tolist()) & set(seen.row(user).tolist())


def test_threads_make_no_difference(learnt: Dataset, sources: dict[str, Retriever]) -> None:
    batch = batch_of(learnt, sources, active_days=400)
    one, two = together(batch.of_users(1)), together(batch.of_users(2))
    assert len(one[0]) > BLOCK
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1].items, two[1].items)
    assert one[1].scores.tobytes() == two[1].scores.tobytes()


def test_a_reader_who_leaves_early_leaves_no_work_behind(learnt: Dataset, sources: dict[str, Retriever]) -> None:
    answers = batch_of(learnt, sources, active_days=400).of_users(1)
    first = next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(first.rows) == BLOCK


def test_progress_ends_with_everybody(learnt: Dataset, sources: dict[str, Retriever]) -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *said: heard.append(said)):
        rows, _ = together(batch_of(learnt, sources, active_days=400).of_users(1))
    assert heard[-1] == ("batch users", len(rows), len(rows))
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)
