"""Two towers learn a minority's taste, place what they never met, and come out the same each time."""

import dataclasses
import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from pydantic import ValidationError

from retrieval import metrics
from retrieval.dataset import build_catalogue, build_histories, build_people, day_number
from retrieval.domain import UNKNOWN, Candidates, Dataset, Histories, Queries, Ragged, State
from retrieval.errors import ModelError
from retrieval.evaluation import Holdout
from retrieval.export import check_parity
from retrieval.index import IndexConfig, build_index
from retrieval.nets.two_tower import TwoTower as Model
from retrieval.nets.two_tower_state import ROWS_OF, rows_of, vocabularies_of
from retrieval.nets.warm_start import carry_over
from retrieval.progress import listening
from retrieval.queries import ask
from retrieval.retrievers.indexed import IndexedRetriever
from retrieval.retrievers.popular import PopularConfig
from retrieval.retrievers.two_tower import ContentTwoTowerConfig, TwoTower, TwoTowerConfig
from retrieval.schema import TEXT_MAP
from retrieval.search import rank_all
from retrieval.synthetic import ACTIONS, World, planted_world
from retrieval.tastes import read_tastes
from retrieval.text import HashedEncoder
from retrieval.training import Trainer, sizes_of

CONFIG = TwoTowerConfig(dim=12, learning_rate=0.01, uniform_negatives=64, min_history=1)
ENCODER = HashedEncoder(24)
SEED = 11


@pytest.fixture(scope="module")
def world() -> World:
    return planted_world(n_users=150)


@pytest.fixture(scope="module")
def dataset(world: World) -> Dataset:
    return world.dataset(world.days[-1], ENCODER)


@pytest.fixture(scope="module")
def fitted(dataset: Dataset) -> TwoTower:
    return CONFIG.fit(dataset, seed=SEED)


@pytest.fixture(scope="module")
def smaller(world: World) -> Dataset:
    """The day before, when every third item had not been heard of: rows are not those of `dataset`."""
    day = world.days[-2]
    table = world.catalogue(day)
    table = table.filter(np.arange(len(table)) % 3 != 0)
    catalogue, people = build_catalogue(table), build_people(world.people(day))
    histories = build_histories(world.interactions(world.days[0], world.days[-3]), catalogue, people, ACTIONS)
    return Dataset(day_number(day), catalogue, people, histories, ENCODER.encode(catalogue.texts.to_pylist()))


@pytest.fixture(scope="module")
def smaller_fit(smaller: Dataset) -> TwoTower:
    return CONFIG.fit(smaller, seed=SEED)


def trainer(dataset: Dataset, config: TwoTowerConfig) -> Trainer:
    assert dataset.text_vectors is not None
    sizes = sizes_of(dataset, config)
    model = Model(sizes, config.temperature, torch.Generator().manual_seed(SEED))
    return Trainer(model, dataset, config, np.random.default_rng(SEED))


def exhaustive(fitted: TwoTower, dataset: Dataset, queries: Queries, k: int) -> Candidates:
    items, asked = fitted.embed_items(dataset), fitted.embed_queries(queries)
    return rank_all(queries, k, lambda _, part: asked[part] @ items.T)


def arrays_of(state: State) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in state.arrays.items()} | dict(state.graphs)


def test_a_minoritys_taste_is_served_far_better_than_by_popularity(
    world: World, dataset: Dataset, fitted: TwoTower
) -> None:
    holdout = Holdout.of(dataset, world.held_out(world.days[-1]), 1000, SEED).new_only()
    minority = world.group_of[holdout.queries.users] == 1
    assert minority.sum() >= 15

    def recall(found: Candidates) -> float:
        hit = metrics.hits(found, holdout.targets, len(dataset.catalogue))
        return float(metrics.recall(hit, holdout.targets, 10)[minority].mean())

    popular = recall(PopularConfig().fit(dataset, seed=SEED).retrieve(holdout.queries, 10))
    assert recall(exhaustive(fitted, dataset, holdout.queries, 10)) > 1.6 * popular


def test_loss_falls(dataset: Dataset) -> None:
    losses = trainer(dataset, CONFIG).fit(list(range(dataset.day - 19, dataset.day)), 1, 1.0)
    assert len(losses) == 19
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < np.mean(losses[1:4]) - 0.1


def test_the_same_seed_gives_the_same_state_whatever_was_drawn_before(dataset: Dataset, fitted: TwoTower) -> None:
    torch.rand(3)
    before = torch.get_rng_state()
    again = CONFIG.fit(dataset, seed=SEED).state()
    assert arrays_of(again) == arrays_of(fitted.state())
    assert torch.equal(torch.get_rng_state(), before), "nobody else's draws are changed"


def test_another_seed_starts_elsewhere(dataset: Dataset) -> None:
    sizes = sizes_of(dataset, CONFIG)
    one, other, same = (Model(sizes, 0.1, torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 2, 1))
    for name in ("tables.item.weight", "item_tower.body.0.weight", "user_tower.weekday.weight"):
        assert not torch.equal(one[name], other[name])
        assert torch.equal(one[name], same[name])


def test_vectors_are_finite_and_all_of_one_length(dataset: Dataset, fitted: TwoTower) -> None:
    vectors = fitted.embed_items(dataset)
    assert vectors.shape[0] == len(dataset.catalogue)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, lengths.max(), rtol=1e-5)
    assert np.isfinite(fitted.embed_queries(ask(dataset, np.arange(5)))).all()


def test_vectors_do_not_depend_on_the_batch(
    dataset: Dataset, fitted: TwoTower, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted.embed_items(dataset)
    monkeypatch.setattr("retrieval.retrievers.two_tower.BATCH", 7)
    np.testing.assert_allclose(fitted.embed_items(dataset), whole, atol=1e-5)
    queries = ask(dataset, np.arange(6))
    alone = np.concatenate([fitted.embed_queries(queries.take(np.array([row]))) for row in range(6)])
    np.testing.assert_allclose(fitted.embed_queries(queries), alone, atol=1e-4)


def test_graphs_do_what_torch_does(dataset: Dataset, fitted: TwoTower) -> None:
    """Everything that serving does in ONNX Runtime and scipy, again in torch and dense matrices."""
    state, catalogue = fitted.state(), dataset.catalogue
    assert set(state.graphs) == {"item_tower", "user_tower"}
    error = state.facts["onnx_error"]
    assert isinstance(error, float) and error <= 1e-4
    walker = trainer(dataset, CONFIG)
    model = walker.model
    model.load_state_dict({name: torch.from_numpy(state.arrays[name].copy()) for name in model.state_dict()})
    model.eval()
    table = {name: parameter.detach().numpy() for name, parameter in model.tables.named_parameters()}
    queries = ask(dataset, np.arange(20))
    tastes = read_tastes(
        queries.histories.positives(), queries.features, walker.batches.features, len(dataset.people.feature_names),
        queries.day, CONFIG.history_half_lives_days,
    )  # fmt: skip
    bag = tastes.profile.toarray() @ table["user_feature.weight"]
    items = (tastes.items.toarray() @ table["chosen_item.weight"]).reshape(len(tastes.features), 20, CONFIG.dim)
    for span, features in enumerate(tastes.features):
        bag = bag + features.toarray() @ table[f"chosen_feature.{span}.weight"]
    with torch.no_grad():
        wanted = model.user_tower(
            torch.from_numpy(bag.astype(np.float32)),
            torch.from_numpy(tastes.counts),
            torch.full((20,), queries.day % 7),
            torch.from_numpy(items.astype(np.float32)),
        ).numpy()
    found = fitted.embed_queries(queries)
    balance = state.arrays["balance"]
    np.testing.assert_allclose(found[:, :-1] * balance, wanted, rtol=1e-4, atol=1e-4)
    assert not found[:, -1].any(), "the number that makes up lengths meets a zero"
    vectors = fitted.embed_items(dataset)[:, :-1] / balance
    for item in (0, 5, len(catalogue) - 1):
        bag = table["item.weight"][item] + table["item_feature.weight"][catalogue.features.row(item)].sum(axis=0)
        text = dataset.text_vectors[catalogue.text_rows[item]]
        trends = vectors[item, CONFIG.dim : -1]
        with torch.no_grad():
            vector = model.item_tower(*(torch.from_numpy(part[None]) for part in (bag, text, trends.copy()))).numpy()[0]
        np.testing.assert_allclose(vectors[item], vector, rtol=1e-4, atol=1e-4)


def test_a_graph_that_differs_from_torch_is_refused() -> None:
    assert check_parity(np.ones(3), np.ones(3), "a tower") == 0.0
    with pytest.raises(ModelError, match=r"the ONNX graph of a tower differs from torch by 0\.1"):
        check_parity(np.ones(3), np.array([1.0, 1.1, 1.0]), "a tower")
    with pytest.raises(ModelError, match="nan"):
        check_parity(np.ones(1), np.full(1, np.nan), "a tower")


def test_restored_from_its_state_it_answers_the_same(dataset: Dataset, fitted: TwoTower) -> None:
    queries = ask(dataset, np.arange(30))
    one, other = (exhaustive(model, dataset, queries, 10) for model in (fitted, CONFIG.restore(fitted.state())))
    np.testing.assert_array_equal(one.items, other.items)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_items_that_were_never_chosen_lie_with_their_topic(world: World, dataset: Dataset, fitted: TwoTower) -> None:
    fresh = np.flatnonzero(dataset.catalogue.fresh(dataset.day))
    assert len(fresh) == 4
    taste = fitted.embed_items(dataset)[:, : CONFIG.dim] / fitted.state().arrays["balance"][: CONFIG.dim]
    assert np.isfinite(taste).all()
    nearest = np.argsort(-(taste[fresh] @ taste.T), axis=1)[:, 1:11]
    assert (world.topic_of[nearest] == world.topic_of[fresh][:, None]).mean() > 0.85, "chance is a half"


def test_a_user_without_history_or_profile_gets_answers(dataset: Dataset, fitted: TwoTower) -> None:
    index = build_index(fitted.embed_items(dataset), IndexConfig())
    found = IndexedRetriever(fitted, index).retrieve(ask(dataset, np.array([UNKNOWN, 0])), 10)
    assert (found.items != UNKNOWN).all()
    assert np.isfinite(found.scores).all()


def test_what_is_like_an_item_is_of_its_topic(world: World, dataset: Dataset, fitted: TwoTower) -> None:
    retriever = IndexedRetriever(fitted, build_index(fitted.embed_items(dataset), IndexConfig()))
    items, one_each = np.arange(20, dtype=np.int32), np.arange(21, dtype=np.int64)
    nobody = ask(dataset, np.full(20, UNKNOWN))
    found = retriever.similar(items, dataclasses.replace(nobody, excluded=Ragged(one_each, items)), 5)
    assert not (found.items == items[:, None]).any()
    assert (world.topic_of[found.items] == world.topic_of[items][:, None]).mean() > 0.8


def test_rows_are_carried_over_by_name_when_the_catalogue_grows(
    dataset: Dataset, smaller: Dataset, smaller_fit: TwoTower
) -> None:
    warm, model = smaller_fit.state(), trainer(dataset, CONFIG).model
    initial = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    carry_over(model, vocabularies_of(dataset, model.sizes), warm, rows_of)
    names = {
        "items": (smaller.catalogue.ids, dataset.catalogue.ids),
        "item_features": (smaller.catalogue.feature_names, dataset.catalogue.feature_names),
        "user_features": (smaller.people.feature_names, dataset.people.feature_names),
    }
    assert smaller.catalogue.ids.row("i00001") != dataset.catalogue.ids.row("i00001"), "rows have moved"
    n_new = 0
    for name, tensor in model.state_dict().items():
        former = warm.arrays[name]
        if not name.startswith("tables."):
            np.testing.assert_array_equal(tensor.numpy(), former)
            continue
        old, new = names[ROWS_OF.get(name, "item_features")]
        for row, id_ in enumerate(new.ids.to_pylist()):
            was = int(old.rows([id_])[0])
            n_new += was == UNKNOWN
            wanted = initial[name][row].numpy() if was == UNKNOWN else former[was]
            np.testing.assert_array_equal(tensor[row].numpy(), wanted)
    assert n_new > 0


@pytest.mark.slow
def test_a_warm_start_learns_only_from_the_last_days_and_stays_near(
    dataset: Dataset, smaller: Dataset, smaller_fit: TwoTower
) -> None:
    warmed = CONFIG.fit(dataset, seed=SEED, warm=smaller_fit.state()).state()
    assert warmed.facts["n_steps"] == CONFIG.warm_days
    assert smaller_fit.state().facts["n_steps"] == smaller.day - day_number(dt.date(2024, 1, 1)) - 1
    shared = pc.index_in(smaller.catalogue.ids.ids, value_set=dataset.catalogue.ids.ids).to_numpy()
    now, then = warmed.arrays["tables.item.weight"][shared], smaller_fit.state().arrays["tables.item.weight"]
    cosine = (now * then).sum(axis=1) / (np.linalg.norm(now, axis=1) * np.linalg.norm(then, axis=1))
    assert np.median(cosine) > 0.5


def test_what_concerns_ids_alone_is_refused_where_there_are_none() -> None:
    for field, value in (("item_learning_rate", 0.1), ("id_dropout", 0.5), ("dropout", 0.5), ("inputs", ("ids",))):
        with pytest.raises(ValidationError, match=field):
            ContentTwoTowerConfig.model_validate({field: value})


def test_training_is_told_of_by_its_kind(dataset: Dataset) -> None:
    told: list[str] = []
    config = ContentTwoTowerConfig(dim=4, uniform_negatives=8, min_history=1, train_days=2)

    def listen(work: str, done: int, total: int) -> None:
        told.append(work)

    with listening(listen):
        config.fit(dataset, seed=SEED)
    assert set(told) == {"train content_two_tower"}


def test_what_the_towers_look_at_is_all_that_changes_an_items_vector(dataset: Dataset) -> None:
    """Of two items that differ in id alone, content alone cannot tell them apart, and ids see nothing else."""
    catalogue = dataset.catalogue
    twin, other = 3, 11
    text_rows, features = catalogue.text_rows.copy(), [catalogue.features.row(i) for i in range(len(catalogue))]
    text_rows[twin], features[twin] = text_rows[other], features[other]
    alike = dataclasses.replace(
        catalogue,
        text_rows=text_rows,
        features=Ragged.from_owners(
            np.repeat(np.arange(len(features)), [len(row) for row in features]), np.concatenate(features), len(features)
        ),
    )
    changed = dataclasses.replace(dataset, catalogue=alike)
    content = ContentTwoTowerConfig(dim=8, uniform_negatives=32, min_history=1).fit(changed, seed=SEED)
    vectors = content.embed_items(changed)
    np.testing.assert_allclose(vectors[twin], vectors[other], atol=1e-5)
    ids = TwoTowerConfig(inputs=("ids",), dim=8, uniform_negatives=32, min_history=1).fit(dataset, seed=SEED)
    np.testing.assert_array_equal(ids.embed_items(changed), ids.embed_items(dataset))
    assert not np.allclose(ids.embed_items(dataset)[twin], ids.embed_items(dataset)[other], atol=1e-2)


def test_hidden_histories_teach_what_attributes_mean(world: World, dataset: Dataset) -> None:
    """A user is known by the group's name alone: towers that never had to do without a history make nothing of it."""
    names = [[("group", f"g{group}")] for group in world.group_of]
    people = build_people(world.people(world.days[-1]).set_column(1, "attributes", pa.array(names, TEXT_MAP)))
    told = dataclasses.replace(dataset, people=people)
    config = CONFIG.model_copy(update={"history_dropout": 0.5, "epochs": 3, "min_history": 0})
    fitted = config.fit(told, seed=SEED)
    users = np.flatnonzero(world.group_of == 1)[:20]
    strangers = dataclasses.replace(ask(told, users), histories=Histories.empty(len(users)))
    found = exhaustive(fitted, told, strangers, 10)
    assert (world.topic_of[found.items] == 1).mean() > 0.7


def test_without_even_draws_a_day_of_one_buyer_breaks_nothing(dataset: Dataset) -> None:
    config = CONFIG.model_copy(update={"uniform_negatives": 0})
    one = np.flatnonzero(dataset.histories.owners() == 0)
    few = Dataset(
        dataset.day, dataset.catalogue, dataset.people,
        dataset.histories.where(np.isin(np.arange(dataset.histories.n_events), one)), dataset.text_vectors,
    )  # fmt: skip
    walker = trainer(few, config)
    losses = walker.fit(list(range(few.day - 19, few.day)), 1, 1.0)
    assert losses
    assert np.isfinite(losses).all()
    assert all(parameter.isfinite().all() for parameter in walker.model.parameters())


def test_texts_and_positives_are_asked_for_by_name(dataset: Dataset) -> None:
    with pytest.raises(ModelError, match=r"the dataset has none\. Encode the texts first"):
        CONFIG.fit(dataclasses.replace(dataset, text_vectors=None), seed=SEED)
    nobody = dataclasses.replace(dataset, histories=Histories.empty(len(dataset.people)))
    with pytest.raises(ModelError, match="no positive event before 20"):
        CONFIG.fit(nobody, seed=SEED)


def bare(world: World, day: dt.date) -> Dataset:
    """A day of a world whose items have no topics or attributes and whose users are nothing but ids."""
    items, users = world.catalogue(day), world.people(day)
    items = items.set_column(3, "topics", pa.array([[]] * len(items), items.schema.field("topics").type))
    items = items.set_column(4, "attributes", pa.array([[]] * len(items), TEXT_MAP))
    for column, name in ((1, "attributes"), (2, "context")):
        users = users.set_column(column, name, pa.array([[]] * len(users), TEXT_MAP))
    catalogue, people = build_catalogue(items), build_people(users)
    histories = build_histories(
        world.interactions(world.days[0], day - dt.timedelta(days=1)), catalogue, people, ACTIONS
    )
    return Dataset(day_number(day), catalogue, people, histories, ENCODER.encode(catalogue.texts.to_pylist()))


def test_bare_items_and_users_are_learnt_from_by_id_and_text(world: World) -> None:
    dataset = bare(world, world.days[6])
    assert len(dataset.catalogue.feature_names) == len(dataset.people.feature_names) == 0
    losses = trainer(dataset, CONFIG).fit(list(range(dataset.day - 5, dataset.day)), 1, 1.0)
    assert len(losses) == 5
    assert np.isfinite(losses).all()


def test_one_day_of_bare_history_makes_a_model_that_answers(world: World) -> None:
    dataset = bare(world, world.days[1])
    fitted = CONFIG.fit(dataset, seed=SEED)
    assert fitted.state().facts["n_steps"] == 0
    found = exhaustive(fitted, dataset, ask(dataset, np.arange(5)), 10)
    assert (found.items != UNKNOWN).all()
    assert np.isfinite(found.scores).all()
