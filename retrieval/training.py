"""Fitting the two towers: one step a day of the log, in order of time, each day seen as it was when it began."""

import numpy as np
import torch
from torch import Tensor

from retrieval.batches import Batch, Batches, ItemBatch, UserBatch
from retrieval.dataset import day_of
from retrieval.domain import DAY, Dataset, State
from retrieval.errors import ModelError
from retrieval.losses import sampled_softmax
from retrieval.nets.descent import Descent, on_device
from retrieval.nets.rowwise import RowwiseAdagrad
from retrieval.nets.two_tower import Sizes, TwoTower
from retrieval.nets.two_tower_state import features_of, rows_of, to_state, vocabularies_of
from retrieval.nets.warm_start import carry_over, fits
from retrieval.progress import advance
from retrieval.retrievers.two_tower import TowersConfig, TwoTowerConfig
from retrieval.trends import n_trend_features

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
    if warm is not None and not fits(model, warm, rows_of):
        warm = None  # the recipe changed what the model is made of: it learns from the beginning
    if warm is not None:
        carry_over(model, vocabularies_of(dataset, sizes), warm, rows_of)
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


class Trainer:
    """Walks a model through the days of a dataset."""

    def __init__(self, model: TwoTower, dataset: Dataset, config: TowersConfig, rng: np.random.Generator) -> None:
        self.model, self.config = model, config
        self.device = next(model.parameters()).device
        features = features_of(dataset.catalogue, model.sizes.n_item_features) if model.sizes.n_item_features else None
        self.batches = Batches(dataset, config, features, rng)
        rate = config.learning_rate
        optimisers: list[torch.optim.Optimizer] = [
            torch.optim.SparseAdam(model.tables.of_features(), lr=rate, betas=BETAS),
            torch.optim.Adam(model.of_towers(), lr=rate, betas=BETAS),
        ]
        if isinstance(config, TwoTowerConfig):
            optimisers.append(RowwiseAdagrad(model.tables.of_items(), lr=config.item_learning_rate))
        self.descent = Descent(*optimisers)

    def fit(self, days: list[int], n_epochs: int, scale: float) -> list[float]:
        """Days in order, again and again."""
        n_all, losses = max(n_epochs * len(days), 1), []
        for batch in self.batches.of_days(days, n_epochs):
            advance(f"train {self.config.kind}", round(batch.done * n_all), n_all)
            self.descent.rise_and_fall(batch.done, n_all, scale=scale, fall=1.8)
            losses.append(self.step(batch))
        return losses

    def step(self, batch: Batch) -> float:
        """Move the model by one batch; its loss before."""
        rows, columns = (self._tensor(part) for part in batch.pairs)
        loss = sampled_softmax(
            self._embed_users(batch.users),
            self._embed_items(batch.candidates),
            self._tensor(batch.candidates.log_q),
            (rows, columns),
            (self._tensor(batch.ignored[0]), self._tensor(batch.ignored[1])),
            self._tensor(batch.weights),
        )
        return self.descent.step(loss)

    def _embed_items(self, batch: ItemBatch) -> Tensor:
        tables = self.model.tables
        bag, more = torch.zeros((len(batch.items), self.model.sizes.dim), device=self.device), {}
        if batch.ids is not None and batch.is_shown is not None:
            bag = bag + tables.item(batch.ids) * self._tensor(batch.is_shown)
        if batch.features is not None:
            bag = bag + tables.item_feature(batch.features)
        if batch.text is not None:
            more["text"] = self._tensor(batch.text)
        if batch.trends is not None:
            more["trends"] = self._tensor(batch.trends)
        vectors: Tensor = self.model.item_tower(bag, **more)
        return vectors

    def _embed_users(self, batch: UserBatch) -> Tensor:
        tables, more = self.model.tables, {}
        bag = tables.user_feature(batch.profile)
        for span, chosen in enumerate(batch.features):
            bag = bag + tables.chosen_feature[span](chosen)
        if batch.items is not None:
            items = tables.chosen_item(batch.items)
            items = items if batch.kept is None else items * self._tensor(batch.kept)
            more["items"] = items.view(self.model.sizes.n_spans, len(batch.counts), -1)
        vectors: Tensor = self.model.user_tower(bag, self._tensor(batch.counts), self._tensor(batch.weekday), **more)
        return vectors

    def _tensor(self, array: np.ndarray) -> Tensor:
        return on_device(array, self.device)
