"""Fitting MTMH: the pairs of each day in order of time, both losses at once; prerankers on days not yet learnt."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from retrieval.dataset import day_of
from retrieval.domain import DAY, Dataset, State
from retrieval.errors import ModelError
from retrieval.learning_prerankers import learn_prerankers
from retrieval.losses import distillation, sampled_softmax
from retrieval.nets.descent import Descent, on_device
from retrieval.nets.mtmh import Mtmh, Sizes
from retrieval.nets.mtmh_state import rows_of, to_state, vocabularies_of
from retrieval.nets.rowwise import RowwiseAdagrad
from retrieval.nets.warm_start import carry_over, fits
from retrieval.pair_batches import Items, PairBatch, PairBatches
from retrieval.preranking import Preranker
from retrieval.progress import advance
from retrieval.retrievers.heads import by_head
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.spaces import Space
from retrieval.tastes import ItemFeatures
from retrieval.trends import Trends, n_trend_features

LOOK_EVERY = 20
"""Steps between two looks at how the losses pull at the trunk: a look costs two more gradients."""
BLOCK = 8192
FINAL = 0.2
"""Learning rate of the newest days, which come after the prerankers, as a share: where the fall before them ended."""


def fit_mtmh(dataset: Dataset, config: MtmhConfig, *, seed: int, warm: State | None) -> State:
    """Learn from the newest days of a dataset; from a former state only the last few of them are new.

    Raises:
        ModelError: when there are no text vectors or no pairs, or the exported graphs differ from the model.
    """
    if dataset.text_vectors is None:
        raise ModelError("mtmh learns from text vectors, and the dataset has none. Encode the texts first.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(seed)
    model = Mtmh(sizes_of(dataset, config), config.temperature, generator, are_apart=config.towers == "apart").to(
        device
    )
    if warm is not None and not (warm.facts.get("heads") == list(config.heads) and fits(model, warm, rows_of)):
        warm = None  # the recipe changed what the model is made of: it learns from the beginning
    if warm is not None:
        carry_over(model, vocabularies_of(dataset), warm, rows_of)
    trainer = Trainer(model, dataset, config, np.random.default_rng(seed))
    days = _days(dataset, trainer, warm)
    n_epochs, scale = (1, config.warm_scale) if warm is not None else (config.epochs, 1.0)
    held = _unlearnt(days, config.prerank_days, warm)
    first, last = days[: len(days) - held], days[len(days) - held :]
    trainer.fit(first, n_epochs, scale)
    prerankers = trainer.prerankers(last)
    trainer.fit(last, 1, scale * FINAL)
    before = trainer.trained() if warm is None else {n: Preranker.restored(warm.arrays, n) for n in config.heads}
    prerankers = before | prerankers
    facts = {"warm": warm is not None, "heads": list(config.heads), "day": dataset.day}
    return to_state(model.cpu(), dataset, prerankers, trainer.facts() | facts)


def _unlearnt(days: list[int], most: int, warm: State | None) -> int:
    """How many of the last days the prerankers may learn from: none that a former model has learnt already."""
    learnt_to = 0 if warm is None else int(str(warm.facts["day"]))
    return max(0, min(most, len(days) - 1, sum(day >= learnt_to for day in days)))


def sizes_of(dataset: Dataset, config: MtmhConfig) -> Sizes:
    """How large the model of a dataset is."""
    assert dataset.text_vectors is not None
    return Sizes(
        n_items=len(dataset.catalogue),
        n_item_features=len(dataset.catalogue.feature_names),
        n_dense=n_trend_features(config.trend_half_lives_days),
        text_dim=dataset.text_vectors.shape[1],
        dim=config.dim,
        heads=config.heads,
    )


def _days(dataset: Dataset, trainer: "Trainer", warm: State | None) -> list[int]:
    """The days to learn; none where a former model stands and the newest ones have no pairs."""
    together, config = trainer.batches.together, trainer.config
    n_days = config.train_days if warm is None else config.warm_days
    first = max(dataset.day - n_days, int(together.positives.times.min(initial=dataset.day * DAY) // DAY))
    if len(together.events_of(first, dataset.day)):
        return list(range(first, dataset.day))
    if warm is not None:
        return []
    raise ModelError(
        f"nobody chose two items within {config.window_days:g} days from {day_of(first)} to {day_of(dataset.day)}: "
        f"there are no pairs to learn from. Land more days, raise window_days or train_days, or leave the source out "
        f"of the recipe."
    )


@dataclass(slots=True)
class Log:
    """What was seen on the way."""

    losses: list[float] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    """Between the gradients of co-engagement and of distillation on the trunk."""
    n_pairs: int = 0
    n_steps: int = 0


class Trainer:
    """Walks a model through the days of a dataset."""

    def __init__(self, model: Mtmh, dataset: Dataset, config: MtmhConfig, rng: np.random.Generator) -> None:
        self.model, self.dataset, self.config = model, dataset, config
        self.device = next(model.parameters()).device
        self.features = ItemFeatures.of(dataset.catalogue.features, dataset.catalogue.feature_fields())
        self.batches = PairBatches(dataset, config, self.features, rng)
        self.log = Log()
        self.descent = Descent(
            RowwiseAdagrad(model.of_tables(), lr=config.table_learning_rate),
            torch.optim.Adagrad(model.of_layers(), lr=config.learning_rate),
        )

    def fit(self, days: list[int], n_epochs: int, scale: float) -> None:
        """Days in order, again and again."""
        n_all = max(n_epochs * -(-len(days) // self.config.step_days), 1)
        for batch in self.batches.of_days(days, n_epochs):
            advance("train mtmh", round(batch.done * n_all), n_all)
            self.descent.rise_and_fall(batch.done, n_all, scale=scale, fall=1.6)
            self.log.losses.append(self.step(batch))
            self.log.n_pairs += len(batch.weights)

    def step(self, batch: PairBatch) -> float:
        """Move the model by one batch; its loss before."""
        engagement, relevance = self.losses(batch)
        if relevance is not None and self.log.n_steps % LOOK_EVERY == 0:
            cosine = self._cosine(engagement, relevance)
            self.log.cosines += [] if cosine is None else [cosine]
        self.log.n_steps += 1
        return self.descent.step(engagement if relevance is None else engagement + relevance)

    def losses(self, batch: PairBatch) -> tuple[Tensor, Tensor | None]:
        """Co-engagement over all heads, and the weighted distillation; None where no head learns it."""
        config, dim = self.config, self.config.dim
        triggers = self.embed(batch.triggers, 0)
        candidates = self.embed(batch.candidates, self.model.n_sides - 1)
        scales = self._scales()
        engagement, relevance = triggers.new_zeros(()), None
        for number, name in enumerate(config.heads):
            part = slice(number * dim, (number + 1) * dim)
            asked, found = triggers[:, part] * scales[number], candidates[:, part]
            weight = config.engagement_weight if name == "relevance" else 1.0
            if weight:
                engagement = engagement + weight * self._co_engagement(batch, asked, found)
            if name == "relevance" and config.relevance_weight:
                relevance = config.relevance_weight * self._distillation(batch, asked, found)
        return engagement, relevance

    def embed(self, items: Items, side: int) -> Tensor:
        """The vectors of some items, head after head."""
        tables = self.model.tables_of(side)
        bag = tables.item(items.ids) * self._tensor(items.is_shown) + tables.item_feature(items.features)
        vectors: Tensor = self.model.tower_of(side)(bag, self._tensor(items.text), self._tensor(items.dense))
        return vectors

    def prerankers(self, days: list[int]) -> dict[str, Preranker]:
        """Learnt from the pairs of days that the towers have not seen; none where these are too few."""
        if not days:
            return {}
        together = self.batches.together
        pairs = together.all_of(together.events_of(days[0], days[-1] + 1))
        trends = self.batches.trends(days[0])
        spaces, trained = self.spaces(trends), self.trained()
        return learn_prerankers(self.dataset, self.config, pairs, spaces, trends.worth(), trained, self.batches.rng)

    def trained(self) -> dict[str, Preranker]:
        """The score that each head was trained with: its own similarity alone, as sharp as it has become."""
        scales, heads = self._scales().detach().cpu().numpy(), self.config.heads
        weights = np.concatenate([np.diag(scales), np.zeros((len(heads), 1))], axis=1)
        return {name: Preranker(weights[number].astype(np.float64)) for number, name in enumerate(heads)}

    def _scales(self) -> Tensor:
        """One over each head's temperature."""
        return (-self.model.log_temperatures.clamp(min=float(np.log(0.01)))).exp()

    def spaces(self, trends: Trends) -> dict[str, Space]:
        """Every item of the catalogue in each head's space, as a day begins."""
        n = len(self.dataset.catalogue)
        blocks = [np.arange(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
        with torch.no_grad():
            made = [
                torch.cat([self.embed(self.batches.items(rows, trends, hides=False), side) for rows in blocks])
                for side in range(self.model.n_sides)
            ]
        return by_head([vectors.cpu().numpy() for vectors in made], self.config.heads)

    def facts(self) -> dict[str, object]:
        """What a night writes down of the fit."""
        log = self.log
        return {
            "loss": round(float(np.mean(log.losses[-10:])), 4) if log.losses else None,
            "n_steps": log.n_steps,
            "n_pairs": log.n_pairs,
            "gradient_cosine": round(float(np.mean(log.cosines[-10:])), 4) if log.cosines else None,
        }

    def _co_engagement(self, batch: PairBatch, asked: Tensor, found: Tensor) -> Tensor:
        rows, columns = (self._tensor(part) for part in batch.pairs)
        own = (self._tensor(batch.own[0]), self._tensor(batch.own[1]))
        log_q, weights = self._tensor(batch.log_q), self._tensor(batch.weights)
        return sampled_softmax(asked, found, log_q, (rows, columns), own, weights)

    def _distillation(self, batch: PairBatch, asked: Tensor, found: Tensor) -> Tensor:
        taught = (self._tensor(batch.taught[0]), self._tensor(batch.taught[1]))
        return distillation(asked, found, *taught, self.config.teacher_temperature)

    def _cosine(self, engagement: Tensor, relevance: Tensor) -> float | None:
        """How far both losses pull the trunk the same way: 1 together, -1 against each other."""
        trunk = self.model.of_trunk()
        if not engagement.requires_grad:
            return None
        both = [torch.autograd.grad(loss, trunk, retain_graph=True) for loss in (engagement, relevance)]
        flat = [torch.cat([part.flatten() for part in parts]) for parts in both]
        return float(torch.nn.functional.cosine_similarity(flat[0], flat[1], dim=0))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return on_device(array, self.device)
