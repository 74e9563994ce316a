"""Fitting the two towers: one step a day of the log, in order of time, each day seen as it was when it began."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from retrieval.dataset import day_of
from retrieval.domain import DAY, Dataset, Histories, State
from retrieval.errors import ModelError
from retrieval.losses import sampled_softmax
from retrieval.nets.two_tower import Sizes, TwoTower
from retrieval.nets.two_tower_state import carry_over, fits, to_state
from retrieval.progress import advance
from retrieval.retrievers.two_tower import TwoTowerConfig
from retrieval.sampling import mixed_sample
from retrieval.tastes import ItemFeatures, Tastes, read_tastes
from retrieval.trends import Trends, first_choices, n_trend_features

BETAS = (0.9, 0.99)


def fit_two_tower(dataset: Dataset, config: TwoTowerConfig, *, seed: int, warm: State | None) -> State:
    """Learn from the newest days of a dataset; from a former state only the last few of them are new.

    Raises:
        ModelError: when there is nothing to learn from, or the exported graphs differ from the model.
    """
    if dataset.text_vectors is None:
        raise ModelError("a two_tower learns from text vectors, and the dataset has none. Encode the texts first.")
    rng = np.random.default_rng(seed)
    sizes = sizes_of(dataset, config, dataset.text_vectors.shape[1])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = TwoTower(sizes, config.temperature, torch.Generator().manual_seed(seed)).to(device)
    if warm is not None and not fits(model, warm):
        warm = None  # the recipe changed what the model is made of: it learns from the beginning
    if warm is not None:
        carry_over(model, dataset, warm)
    n_days = config.warm_days if warm is not None else config.train_days
    positives = dataset.histories.positives()
    if not positives.n_events:
        raise ModelError(
            f"there is no positive event before {day_of(dataset.day)} to learn from. "
            f"Land at least one earlier day; it is loaded with the night."
        )
    first = max(dataset.day - n_days, int(positives.times.min() // DAY) + 1)
    trainer = Trainer(model, dataset, config, rng)
    losses = trainer.fit(list(range(first, dataset.day)), config.warm_scale if warm is not None else 1.0)
    return to_state(model.cpu(), dataset, losses, is_warm=warm is not None)


def sizes_of(dataset: Dataset, config: TwoTowerConfig, text_dim: int) -> Sizes:
    """How large the model of a dataset is."""
    return Sizes(
        n_items=len(dataset.catalogue),
        n_item_features=len(dataset.catalogue.feature_names),
        n_user_features=len(dataset.people.feature_names),
        n_trends=n_trend_features(config.trend_half_lives_days),
        n_spans=len(config.history_half_lives_days),
        text_dim=text_dim,
        dim=config.dim,
    )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """One day's choices: user rows ascending, and items."""

    users: np.ndarray
    items: np.ndarray


class Trainer:
    """Walks a model through the days of a dataset."""

    def __init__(self, model: TwoTower, dataset: Dataset, config: TwoTowerConfig, rng: np.random.Generator) -> None:
        assert dataset.text_vectors is not None
        self.model, self.dataset, self.config, self.rng = model, dataset, config, rng
        self.device = next(model.parameters()).device
        self.texts = np.asarray(dataset.text_vectors)
        self.item_features = ItemFeatures.of(dataset.catalogue.features, dataset.catalogue.feature_fields())
        histories = dataset.histories
        self.positives = histories.positives()
        self.is_first = first_choices(self.positives)
        self.by_time = np.argsort(self.positives.times, kind="stable")
        self.days = self.positives.times[self.by_time] // DAY
        self.owners = self.positives.owners()
        self.keys = self.owners * (1 << 40) + self.positives.times  # user and time in one ascending number
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Adagrad(model.tables.of_items(), lr=config.item_learning_rate, initial_accumulator_value=0.01),
            torch.optim.SparseAdam(model.tables.of_features(), lr=config.learning_rate, betas=BETAS),
            torch.optim.Adam(model.of_towers(), lr=config.learning_rate, betas=BETAS),
        ]

    def fit(self, days: list[int], scale: float) -> list[float]:
        """One step a day; the learning rate rises over the first tenth and falls over the second half."""
        if not days:
            return []
        catalogue, config = self.dataset.catalogue, self.config
        spans = config.trend_half_lives_days
        trends = Trends.before(self.dataset.histories, len(catalogue), catalogue.first_seen, spans, days[0])
        losses = []
        for index, day in enumerate(days):
            advance("train two_tower", index, len(days))
            trends.walk_to(day)
            done = index / len(days)
            self._set_rates(scale * min(1.0, 10 * (done + 1 / len(days))) * (1 - 1.8 * max(0.0, done - 0.5)))
            pairs = self._pairs(day)
            if len(pairs.items):
                losses.append(self._step(day, pairs, trends))
        return losses

    def _pairs(self, day: int) -> _Pairs:
        """The day's choices of users with enough behind them; only items new to them when the recipe says so."""
        part = self.by_time[slice(*np.searchsorted(self.days, [day, day + 1]))]
        if self.config.pairs == "new":
            part = part[self.is_first[part]]
        part = np.sort(part)
        users, items = self.owners[part], self.positives.items[part]
        before = np.searchsorted(self.keys, users * (1 << 40) + day * DAY) - self.positives.offsets[users]
        enough = before >= self.config.min_history
        return _Pairs(users[enough], items[enough])

    def _step(self, day: int, pairs: _Pairs, trends: Trends) -> float:
        users, rows = np.unique(pairs.users, return_inverse=True)
        histories = self._histories_before(users, day)
        sample = mixed_sample(pairs.items.astype(np.int64), trends.rates(), self.config.uniform_negatives, self.rng)
        items = self._embed_items(sample.items, trends.features()[sample.items], drop_ids=True)
        queries = self._embed_users(histories, users, day)
        columns = np.searchsorted(sample.items, pairs.items)
        share = np.bincount(rows)[rows] ** -self.config.user_damping
        loss = sampled_softmax(
            queries,
            items,
            self._tensor(sample.log_q),
            (self._tensor(rows), self._tensor(columns)),
            self._seen(histories, sample.items),
            self._tensor((share / share.sum()).astype(np.float32)),
        )
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in self.optimisers:
            optimiser.step()
        return float(loss.detach())

    def _histories_before(self, users: np.ndarray, day: int) -> Histories:
        taken = self.positives.take(users)
        return taken.where(taken.times < day * DAY)

    def _seen(self, histories: Histories, sampled: np.ndarray) -> tuple[Tensor, Tensor]:
        """Sampled items that the user had chosen before: no negatives, when models are to find what is new."""
        if self.config.pairs == "all":
            return self._tensor(np.zeros(0, np.int64)), self._tensor(np.zeros(0, np.int64))
        places = np.minimum(np.searchsorted(sampled, histories.items), len(sampled) - 1)
        found = sampled[places] == histories.items
        return self._tensor(histories.owners()[found]), self._tensor(places[found].astype(np.int64))

    def _embed_items(self, items: np.ndarray, trends: np.ndarray, *, drop_ids: bool) -> Tensor:
        tables = self.model.tables
        one_each = np.arange(len(items))
        ids = tables.item(self._tensor(items), self._tensor(one_each), self._tensor(np.ones(len(items), np.float32)))
        if drop_ids:
            ids = ids * self._tensor((self.rng.random((len(items), 1)) >= self.config.id_dropout).astype(np.float32))
        bag = ids + self._bag(tables.item_feature, self.item_features.matrix[items])
        text = self._tensor(self.texts[self.dataset.catalogue.text_rows[items]])
        vectors: Tensor = self.model.item_tower(bag, text, self._tensor(trends))
        return vectors

    def _embed_users(self, histories: Histories, users: np.ndarray, day: int) -> Tensor:
        people = self.dataset.people
        half_lives = self.config.history_half_lives_days
        profile = people.features.take(users)
        tastes = read_tastes(histories, profile, self.item_features, len(people.feature_names), day, half_lives)
        vectors: Tensor = self.model.user_tower(
            self._user_bag(tastes), self._tensor(tastes.counts), self._tensor(np.full(len(users), day % 7))
        )
        return vectors

    def _user_bag(self, tastes: Tastes) -> Tensor:
        tables = self.model.tables
        bag = self._bag(tables.chosen_item, tastes.items) + self._bag(tables.user_feature, tastes.profile)
        for table, chosen in zip(tables.chosen_feature, tastes.features, strict=True):
            bag = bag + self._bag(table, chosen)
        return bag

    def _bag(self, table: nn.Module, rows: sp.csr_array) -> Tensor:
        offsets, indices = rows.indptr[:-1].astype(np.int64), rows.indices.astype(np.int64)
        summed: Tensor = table(self._tensor(indices), self._tensor(offsets), self._tensor(rows.data))
        return summed

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _set_rates(self, scale: float) -> None:
        rates = (self.config.item_learning_rate, self.config.learning_rate, self.config.learning_rate)
        for optimiser, rate in zip(self.optimisers, rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * scale
