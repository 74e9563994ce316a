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
from retrieval.nets.rowwise import RowwiseAdagrad
from retrieval.nets.two_tower import Sizes, TwoTower
from retrieval.nets.two_tower_state import carry_over, features_of, fits, to_state
from retrieval.progress import advance
from retrieval.retrievers.two_tower import TowersConfig
from retrieval.sampling import mixed_sample
from retrieval.tastes import read_tastes
from retrieval.trends import Trends, first_choices, n_trend_features

BETAS = (0.9, 0.99)


def fit_two_tower(dataset: Dataset, config: TowersConfig, *, seed: int, warm: State | None) -> State:
    """Learn from the newest days of a dataset; from a former state only the last few of them are new.

    Raises:
        ModelError: when there is nothing to learn from, or the exported graphs differ from the model.
    """
    if config.looks_at("content") and dataset.text_vectors is None:
        raise ModelError(f"a {config.kind} learns from text vectors, and the dataset has none. Encode the texts first.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = sizes_of(dataset, config)
    model = TwoTower(sizes, config.temperature, torch.Generator().manual_seed(seed)).to(device)
    if warm is not None and not fits(model, warm):
        warm = None  # the recipe changed what the model is made of: it learns from the beginning
    if warm is not None:
        carry_over(model, dataset, warm)
    n_days, n_epochs, scale = (
        (config.warm_days, 1, config.warm_scale) if warm is not None else (config.train_days, config.epochs, 1.0)
    )
    positives = dataset.histories.positives()
    if not positives.n_events:
        raise ModelError(
            f"there is no positive event before {day_of(dataset.day)} to learn from. "
            f"Land at least one earlier day; it is loaded with the night."
        )
    first = max(dataset.day - n_days, int(positives.times.min() // DAY) + 1)
    trainer = Trainer(model, dataset, config, np.random.default_rng(seed))
    losses = trainer.fit(list(range(first, dataset.day)), n_epochs, scale)
    return to_state(model.cpu(), dataset, losses, is_warm=warm is not None)


def sizes_of(dataset: Dataset, config: TowersConfig) -> Sizes:
    """How large the model of a dataset is."""
    has_content = config.looks_at("content") and dataset.text_vectors is not None
    return Sizes(
        n_items=len(dataset.catalogue) if config.looks_at("ids") else 0,
        n_item_features=len(dataset.catalogue.feature_names) if has_content else 0,
        n_user_features=len(dataset.people.feature_names),
        n_trends=n_trend_features(config.trend_half_lives_days) if config.looks_at("trends") else 0,
        n_spans=len(config.history_half_lives_days),
        text_dim=dataset.text_vectors.shape[1] if has_content and dataset.text_vectors is not None else 0,
        dim=config.dim,
    )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """One day's choices: user rows ascending, and items."""

    users: np.ndarray
    items: np.ndarray


class Trainer:
    """Walks a model through the days of a dataset."""

    def __init__(self, model: TwoTower, dataset: Dataset, config: TowersConfig, rng: np.random.Generator) -> None:
        self.model, self.dataset, self.config, self.rng = model, dataset, config, rng
        self.device = next(model.parameters()).device
        self.item_features = features_of(dataset.catalogue, model.sizes.n_item_features)
        histories = dataset.histories
        self.positives = histories.positives()
        self.is_first = first_choices(self.positives)
        self.by_time = np.argsort(self.positives.times, kind="stable")
        self.days = self.positives.times[self.by_time] // DAY
        self.owners = self.positives.owners()
        self.keys = self.owners * (1 << 40) + self.positives.times  # user and time in one ascending number
        self.optimisers: list[torch.optim.Optimizer] = [
            RowwiseAdagrad(model.tables.of_items(), lr=config.item_learning_rate),
            torch.optim.SparseAdam(model.tables.of_features(), lr=config.learning_rate, betas=BETAS),
            torch.optim.Adam(model.of_towers(), lr=config.learning_rate, betas=BETAS),
        ]

    def fit(self, days: list[int], n_epochs: int, scale: float) -> list[float]:
        """Days in order, again and again; learning rates rise over the first tenth and fall over the second half."""
        losses = []
        for epoch in range(n_epochs if days else 0):
            trends = self._trends(days[0])
            for index, day in enumerate(days):
                done = (epoch + index / len(days)) / n_epochs
                advance("train two_tower", epoch * len(days) + index, n_epochs * len(days))
                trends.walk_to(day)
                rise = min(1.0, 10 * (done + 1 / (n_epochs * len(days))))
                self._set_rates(scale * rise * (1 - 1.8 * max(0.0, done - 0.5)))
                losses += [self._step(day, pairs, trends) for pairs in self._pairs(day)]
        return losses

    def _trends(self, day: int) -> Trends:
        catalogue, spans = self.dataset.catalogue, self.config.trend_half_lives_days
        return Trends.before(self.dataset.histories, len(catalogue), catalogue.first_seen, spans, day)

    def _pairs(self, day: int) -> list[_Pairs]:
        """The day's choices of users with enough behind them, in steps; only new ones when the recipe says so."""
        part = self.by_time[slice(*np.searchsorted(self.days, [day, day + 1]))]
        if self.config.pairs == "new":
            part = part[self.is_first[part]]
        part = np.sort(part)
        users, items = self.owners[part], self.positives.items[part]
        before = np.searchsorted(self.keys, users * (1 << 40) + day * DAY) - self.positives.offsets[users]
        enough = before >= self.config.min_history
        users, items = users[enough], items[enough]
        if len(items) <= self.config.max_pairs:
            return [_Pairs(users, items)] if len(items) else []
        part_of = self.rng.integers(0, -(-len(items) // self.config.max_pairs), int(users.max()) + 1)[users]
        return [_Pairs(users[part_of == n], items[part_of == n]) for n in np.unique(part_of)]

    def _step(self, day: int, pairs: _Pairs, trends: Trends) -> float:
        users, rows = np.unique(pairs.users, return_inverse=True)
        histories = self._histories_before(users, day)
        sample = mixed_sample(pairs.items.astype(np.int64), trends.rates(), self.config.uniform_negatives, self.rng)
        items = self._embed_items(sample.items, trends)
        queries = self._embed_users(self._partly_hidden(histories), users, day)
        columns = np.searchsorted(sample.items, pairs.items)
        share = np.bincount(rows)[rows] ** -self.config.user_damping
        loss = sampled_softmax(
            queries,
            items,
            self._tensor(sample.log_q * np.float32(self.config.log_q)),
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

    def _partly_hidden(self, histories: Histories) -> Histories:
        """Some users with nothing behind them, so that what else is known of them has to do."""
        if not self.config.history_dropout:
            return histories
        stays = self.rng.random(len(histories)) >= self.config.history_dropout
        return histories.where(stays[histories.owners()])

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

    def _embed_items(self, items: np.ndarray, trends: Trends) -> Tensor:
        tables, sizes = self.model.tables, self.model.sizes
        bag, more = torch.zeros((len(items), sizes.dim), device=self.device), {}
        if sizes.n_items:
            ids = tables.item(
                self._tensor(items), self._tensor(np.arange(len(items))), torch.ones(len(items), device=self.device)
            )
            shown = self.rng.random((len(items), 1)) >= self.config.id_dropout
            bag = bag + ids * self._tensor(shown.astype(np.float32))
        if sizes.n_item_features:
            bag = bag + self._bag(tables.item_feature, self.item_features.matrix[items])
        if sizes.text_dim:
            assert self.dataset.text_vectors is not None
            more["text"] = self._tensor(self.dataset.text_vectors[self.dataset.catalogue.text_rows[items]])
        if sizes.n_trends:
            more["trends"] = self._tensor(trends.features(items))
        vectors: Tensor = self.model.item_tower(bag, **more)
        return vectors

    def _embed_users(self, histories: Histories, users: np.ndarray, day: int) -> Tensor:
        people, tables, sizes = self.dataset.people, self.model.tables, self.model.sizes
        half_lives = self.config.history_half_lives_days
        profile = people.features.take(users)
        tastes = read_tastes(histories, profile, self.item_features, len(people.feature_names), day, half_lives)
        bag, more = self._bag(tables.user_feature, tastes.profile), {}
        for table, chosen in zip(tables.chosen_feature, tastes.features if sizes.n_item_features else (), strict=False):
            bag = bag + self._bag(table, chosen)
        if sizes.n_items:
            more["items"] = self._dropped(self._bag(tables.chosen_item, tastes.items)).view(
                sizes.n_spans, len(users), -1
            )
        weekday = self._tensor(np.full(len(users), day % 7))
        vectors: Tensor = self.model.user_tower(bag, self._tensor(tastes.counts), weekday, **more)
        return vectors

    def _dropped(self, bags: Tensor) -> Tensor:
        """Some numbers left out, the others larger by as much."""
        if not self.config.dropout:
            return bags
        kept = self.rng.random(bags.shape, dtype=np.float32) >= self.config.dropout
        return bags * self._tensor(kept.astype(np.float32) / (1 - self.config.dropout))

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
