"""Two heads over one trunk: each finds its own population, the merge both, and readers choose how much of each."""

from dataclasses import replace

import numpy as np
import pytest

from retrieval.domain import UNKNOWN, Candidates, Dataset
from retrieval.errors import ModelError
from retrieval.head_health import greatest_cka, greatest_overlap, overlap
from retrieval.item_quality import ItemHoldout, ItemJudge
from retrieval.preranking import Preranker
from retrieval.queries import ask, ask_about
from retrieval.retrievers.heads import JoinedHeads, ranked_by
from retrieval.retrievers.indexed import embed, join
from retrieval.retrievers.mtmh import Mtmh, MtmhConfig
from retrieval.retrievers.recent_items import RecentItemsConfig
from retrieval.spaces import Placed
from retrieval.synthetic import errands_world
from retrieval.text import HashedEncoder

CONFIG = MtmhConfig(
    dim=16,
    batch_size=1024,
    uniform_negatives=40,
    window_days=0.01,
    epochs=8,
    learning_rate=0.03,
    table_learning_rate=0.2,
    relevance_weight=4.0,
    engagement_weight=0.3,
    id_dropout=0.1,
    prerank_days=0,
)
QUICK = CONFIG.model_copy(update={"epochs": 1})
"""Where it does not matter how well it has learnt."""
WORLD = errands_world()
SEED, K = 3, 6


def answering(fitted: Mtmh, dataset: Dataset) -> JoinedHeads:
    placed = {head: Placed.exactly(space) for head, space in embed(fitted, dataset).items()}
    joined = join(fitted, placed)
    assert isinstance(joined, JoinedHeads)
    return joined


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return WORLD.dataset(WORLD.days[-1], HashedEncoder(64))


@pytest.fixture(scope="module")
def both(dataset: Dataset) -> JoinedHeads:
    return answering(CONFIG.fit(dataset, seed=SEED), dataset)


def shares(found: Candidates, triggers: np.ndarray) -> tuple[float, float]:
    """Of all answers, those that are chosen with the trigger, and those that mean the same."""
    topic, errand, items = WORLD.topic_of, WORLD.group_of, found.items
    assert (items != UNKNOWN).all()
    is_own_topic = topic[items] == topic[triggers][:, None]
    goes_with = (errand[items] == errand[triggers][:, None]) & ~is_own_topic
    return float(goes_with.mean()), float(is_own_topic.mean())


def test_each_head_finds_its_own_population_and_the_merge_both(both: JoinedHeads, dataset: Dataset) -> None:
    items = np.arange(len(dataset.catalogue))
    queries = ask_about(dataset, items)
    found = {head: shares(both.similar(items, queries, K, head=head), items) for head in ("engagement", "relevance")}
    merged = shares(both.similar(items, queries, K), items)
    assert found["engagement"][0] > 0.8 and found["engagement"][1] < 0.2
    assert found["relevance"][1] > 0.8 and found["relevance"][0] < 0.2
    assert min(merged) > 0.35


def test_alpha_is_the_engagement_heads_share_of_the_places(both: JoinedHeads, dataset: Dataset) -> None:
    items = np.arange(len(dataset.catalogue))
    queries = ask_about(dataset, items)
    by_alpha = [shares(both.similar(items, queries, K, alpha=alpha), items)[0] for alpha in (0, 25, 50, 75, 100)]
    assert by_alpha == sorted(by_alpha) and by_alpha[-1] - by_alpha[0] > 0.5
    for alpha, head in ((100.0, "engagement"), (0.0, "relevance")):
        alone = both.similar(items, queries, K, head=head)
        np.testing.assert_array_equal(both.similar(items, queries, K, alpha=alpha).items, alone.items)


def test_no_answer_is_given_twice_nor_the_item_itself(both: JoinedHeads, dataset: Dataset) -> None:
    items = np.arange(len(dataset.catalogue))
    found = both.similar(items, ask_about(dataset, items), 60)
    for item, row in zip(items, found.items, strict=True):
        known = row[row != UNKNOWN].tolist()
        assert len(known) == len(set(known)) and item not in known


@pytest.mark.parametrize("head", ["engagement", "relevance", "merged"])
def test_a_short_answer_is_the_beginning_of_a_long_one_and_none_is_too_long(
    both: JoinedHeads, dataset: Dataset, head: str
) -> None:
    items = np.arange(len(dataset.catalogue))
    short, long = (both.similar(items, ask_about(dataset, items), k, head=head).items for k in (5, 200))
    assert long.shape == (len(items), 200)
    np.testing.assert_array_equal(short, long[:, :5])


def test_an_index_ranks_by_its_heads_preranker_and_items_lie_where_their_head_puts_them(dataset: Dataset) -> None:
    fitted = QUICK.fit(dataset, seed=SEED)
    plain = answering(fitted, dataset)
    worthy = dict.fromkeys(plain.heads, Preranker(np.array([0.0, 0.0, 1.0])))
    spaces = {head: placed.space for head, placed in plain.placed.items()}
    worth = np.random.default_rng(0).permutation(len(dataset.catalogue)).astype(np.float32)
    placed = {head: Placed.exactly(space) for head, space in ranked_by(worthy, spaces, worth).items()}
    by_worth, items = replace(plain, placed=placed, prerankers=worthy), np.arange(6)
    found = by_worth.similar(items, ask_about(dataset, items), K).items
    for item, row in zip(items, found, strict=True):
        best = [other for other in np.argsort(-worth) if other != item][:K]
        assert row.tolist() == best
    for head, vectors in by_worth.vectors().items():
        np.testing.assert_array_equal(vectors, fitted.embed_heads(dataset)[head].targets)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert greatest_cka(by_worth) == greatest_cka(plain)


def test_heads_that_learn_different_things_stay_apart(both: JoinedHeads, dataset: Dataset) -> None:
    items = np.arange(len(dataset.catalogue))
    queries = ask_about(dataset, items)
    assert greatest_cka(both) < 0.9
    copied = replace(both, placed=dict.fromkeys(both.placed, both.placed["engagement"]))
    assert greatest_cka(copied) == pytest.approx(1)
    assert greatest_overlap(copied, items, queries) == 1
    found = [both.similar(items, queries, K, head=head) for head in both.heads]
    assert overlap(found[0], found[1], len(items)).mean() < 0.3


def test_a_head_of_content_alone_is_relevant_and_recalls_little(dataset: Dataset) -> None:
    content = CONFIG.model_copy(update={"heads": ("relevance",), "engagement_weight": 0.0})
    alone = answering(content.fit(dataset, seed=SEED), dataset)
    holdout = ItemHoldout.of(dataset, WORLD.held_out(WORLD.days[-1]), 0.01, 100, SEED)
    judge = ItemJudge(dataset, holdout, SEED)
    found = judge.score("content", alone.similar(holdout.triggers, holdout.queries, K))
    engaged = answering(CONFIG.model_copy(update={"heads": ("engagement",)}).fit(dataset, seed=SEED), dataset)
    wanted = judge.score("engagement", engaged.similar(holdout.triggers, holdout.queries, K))
    assert found.recall_at_10.high < 0.2 * wanted.recall_at_10.low
    assert found.broad_at_100.low > 2 * wanted.broad_at_100.high


@pytest.mark.slow
def test_an_item_nobody_chose_is_placed_by_what_it_says(dataset: Dataset) -> None:
    history, target = dataset.histories, 7
    without = replace(dataset, histories=history.where(history.items != target))
    model = answering(CONFIG.fit(without, seed=SEED), without)
    found = model.similar(np.array([target]), ask_about(without, np.array([target])), K, head="relevance")
    assert (WORLD.topic_of[found.items[0]] == WORLD.topic_of[target]).mean() > 0.7


@pytest.mark.slow
def test_towers_apart_place_an_item_twice(dataset: Dataset) -> None:
    fitted = CONFIG.model_copy(update={"towers": "apart"}).fit(dataset, seed=SEED)
    spaces = fitted.embed_heads(dataset)
    assert all(space.triggers is not None for space in spaces.values())
    items = np.arange(len(dataset.catalogue))
    found = answering(fitted, dataset).similar(items, ask_about(dataset, items), K, head="engagement")
    assert shares(found, items)[0] > 0.7


def test_a_user_gets_what_goes_with_the_newest_choices_and_nothing_without_any(
    both: JoinedHeads, dataset: Dataset
) -> None:
    users = np.array([0, UNKNOWN])
    found = both.retrieve(ask(dataset, users), K)
    assert (found.items[0] != UNKNOWN).all() and (found.items[1] == UNKNOWN).all()


def test_recent_items_ask_the_heads_about_the_newest_steps_alone(dataset: Dataset) -> None:
    config = RecentItemsConfig(last=1, through=QUICK)
    fitted = config.fit(dataset, seed=SEED)
    placed = {head: Placed.exactly(space) for head, space in embed(fitted, dataset).items()}
    recent, users = join(fitted, placed), np.arange(len(dataset.people))
    asked = ask(dataset, users)
    newest = asked.histories.last(2)  # a basket has two items
    alone = replace(asked, histories=newest)
    np.testing.assert_array_equal(recent.retrieve(asked, K).items, recent.retrieve(alone, K).items)


def test_a_warm_start_goes_on_from_what_was_learnt(both: JoinedHeads, dataset: Dataset) -> None:
    first = both.fitted
    assert isinstance(first, Mtmh)
    again = CONFIG.model_copy(update={"warm_days": 1}).fit(dataset, seed=SEED, warm=first.state())
    assert again.fitted.facts["warm"] is True
    one, other = (fitted.embed_heads(dataset)["engagement"].targets for fitted in (first, again))
    assert np.einsum("id,id->i", one, other).mean() > 0.75
    held = first.fitted.facts["day"]
    one, other = (fitted.state().arrays["preranker.engagement"] for fitted in (first, again))
    assert held == dataset.day and np.array_equal(one, other), "no day was new to it"
    other_make = MtmhConfig(dim=8, batch_size=1024).fit(dataset, seed=SEED, warm=first.state())
    assert other_make.fitted.facts["warm"] is False


def test_a_quiet_span_leaves_a_former_model_as_it_was(both: JoinedHeads, dataset: Dataset) -> None:
    first = both.fitted
    assert isinstance(first, Mtmh)
    later = replace(dataset, day=dataset.day + 90)
    again = CONFIG.fit(later, seed=SEED, warm=first.state())
    assert again.fitted.facts["n_steps"] == 0
    np.testing.assert_array_equal(
        again.fitted.arrays["tables.0.item.weight"], first.fitted.arrays["tables.0.item.weight"]
    )


def test_prerankers_learn_from_days_that_the_towers_have_not_seen(dataset: Dataset) -> None:
    fitted = QUICK.model_copy(update={"prerank_days": 3, "window_days": 5.0}).fit(dataset, seed=SEED)
    weights = {head: fitted.fitted.arrays[f"preranker.{head}"] for head in fitted.heads}
    assert all(found.any() for found in weights.values())
    assert not np.array_equal(weights["engagement"], weights["relevance"])


def test_what_cannot_be_learnt_from_is_told_with_the_cure(dataset: Dataset) -> None:
    with pytest.raises(ModelError, match="no pairs to learn from.*window_days"):
        CONFIG.fit(replace(dataset, histories=dataset.histories.last(1)), seed=SEED)
    with pytest.raises(ModelError, match="Encode the texts"):
        CONFIG.fit(replace(dataset, text_vectors=None), seed=SEED)
    with pytest.raises(ValueError, match="learns nothing"):
        MtmhConfig(engagement_weight=0.0, relevance_weight=0.0)
    with pytest.raises(ValueError, match="name each once"):
        MtmhConfig(heads=("engagement", "engagement"))
