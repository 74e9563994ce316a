"""Fitting the tower that reads sequences: every place of every user predicted from the places before it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from retrieval.dataset import day_of
from retrieval.domain import UNKNOWN, Dataset, Histories, State
from retrieval.errors import ModelError
from retrieval.export import check_parity, export, run_graph
from retrieval.losses import sampled_softmax
from retrieval.nets.descent import Descent, on_device
from retrieval.nets.sequence import LastPlace, SequenceTower
from retrieval.progress import advance
from retrieval.retrievers.sequence_tower import ITEMS, TOWER, WORTH, SequenceTowerConfig
from retrieval.sampling import Sample, mixed_sample
from retrieval.vocabulary import Vocabulary

BETAS = (0.9, 0.999)
WARM_UP = 0.01
"""Share of all steps over which the learning rate rises."""
SPREAD = 0.05


def fit_sequence_tower(dataset: Dataset, config: SequenceTowerConfig, *, seed: int, warm: State | None) -> State:
    """Learn from every user with two choices or more; from a former state in fewer passes.

    Raises:
        ModelError: when nobody chose twice, or the exported graph differs from the model.
    """
    histories = dataset.histories.positives().last(config.max_history)
    users = np.flatnonzero(np.diff(histories.offsets) > 1)
    if not len(users):
        raise ModelError(
            f"nobody chose twice before {day_of(dataset.day)}: there is no order to learn. Land more days, or leave "
            f"the source out of the recipe."
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(seed)
    model = SequenceModel(len(dataset.catalogue), config, generator)
    if warm is not None and model.fits(warm):
        model.carry_over(warm, dataset.catalogue.ids)
    else:
        warm = None
    trainer = _Trainer(model.to(device), histories, config, np.random.default_rng(seed))
    losses = trainer.fit(users, config.epochs if warm is None else config.warm_epochs)
    return _to_state(model.cpu().eval(), dataset, config, losses, is_warm=warm is not None)


class SequenceModel(nn.Module):
    """Item vectors, their worth, and the tower that reads them."""

    def __init__(self, n_items: int, config: SequenceTowerConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.items = nn.Parameter(torch.randn(n_items, config.dim, generator=generator) * SPREAD)
        self.worth = nn.Parameter(torch.zeros(n_items, 1))
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global generator alone
            torch.default_generator.manual_seed(int(torch.randint(1 << 62, (), generator=generator)))
            self.tower = SequenceTower(config.dim, config.length, config.n_blocks, config.dropout)

    def tables(self) -> list[nn.Parameter]:
        return [self.items, self.worth]

    def fits(self, warm: State) -> bool:
        """Whether a former state is of the same make, whatever its items."""
        layers = {f"tower.{name}": tensor.shape for name, tensor in self.tower.state_dict().items()}
        shapes = {name: array.shape for name, array in warm.arrays.items()}
        same = all(shapes.get(name) == tuple(shape) for name, shape in layers.items())
        return same and shapes.get(ITEMS, ())[1:] == tuple(self.items.shape[1:])

    @torch.no_grad()
    def carry_over(self, warm: State, ids: Vocabulary) -> None:
        """Start from a former state: items found again by their ids."""
        rows = Vocabulary(warm.strings[ITEMS], "item").rows(ids.ids)
        known = np.flatnonzero(rows != UNKNOWN)
        self.items[torch.from_numpy(known)] = torch.from_numpy(warm.arrays[ITEMS][rows[known]])
        self.worth[torch.from_numpy(known), 0] = torch.from_numpy(warm.arrays[WORTH][rows[known]])
        layers = {name: torch.from_numpy(np.array(warm.arrays[f"tower.{name}"])) for name in self.tower.state_dict()}
        self.tower.load_state_dict(layers)


@dataclass(frozen=True, slots=True)
class Packed:
    """Sequences one after another, kept apart by places that hold no choice."""

    items: Int64[np.ndarray, " places"]
    is_choice: Float32[np.ndarray, " places"]
    asked: Int64[np.ndarray, " questions"]
    """Places after which somebody chose something."""
    rows: Int64[np.ndarray, " pairs"]
    """Which question each pair belongs to, ascending."""
    chosen: Int64[np.ndarray, " pairs"]
    """What was chosen after that place."""
    steps: Int64[np.ndarray, " pairs"]
    """How many choices after it: 1 is the next."""


def pack(histories: Histories, apart: int, ahead: int) -> Packed:
    """All users' choices with `apart` empty places before each user; each asks for the next `ahead` of them."""
    n_places = histories.n_events + apart * len(histories)
    places = np.arange(histories.n_events) + apart * (histories.owners() + 1)
    items, is_choice = np.zeros(n_places, np.int64), np.zeros(n_places, np.float32)
    items[places], is_choice[places] = histories.items, 1.0
    left = np.repeat(histories.offsets[1:], np.diff(histories.offsets)) - np.arange(histories.n_events) - 1
    asked = np.flatnonzero(left > 0)
    n_steps = np.minimum(left[asked], ahead)
    rows = np.repeat(np.arange(len(asked)), n_steps)
    steps = np.arange(len(rows)) - np.repeat(np.cumsum(n_steps) - n_steps, n_steps) + 1
    return Packed(items, is_choice, places[asked], rows, histories.items[asked[rows] + steps].astype(np.int64), steps)


class _Trainer:
    def __init__(
        self, model: SequenceModel, histories: Histories, config: SequenceTowerConfig, rng: np.random.Generator
    ) -> None:
        self.model, self.histories, self.config, self.rng = model, histories, config, rng
        self.device = model.items.device
        self.counts = np.bincount(histories.items, minlength=len(model.items)).astype(np.float32)
        rate = config.learning_rate
        self.descent = Descent(
            torch.optim.SparseAdam(model.tables(), lr=rate, betas=BETAS),
            torch.optim.Adam(model.tower.parameters(), lr=rate, betas=BETAS),
        )

    def fit(self, users: np.ndarray, n_epochs: int) -> list[float]:
        losses = []
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator
            torch.default_generator.manual_seed(int(self.rng.integers(1 << 62)))
            self.model.train()
            for epoch in range(n_epochs):
                batches = list(self._batches(users))
                for index, batch in enumerate(batches):
                    done = (epoch + index / len(batches)) / n_epochs
                    advance("train sequence_tower", epoch * len(batches) + index, n_epochs * len(batches))
                    self.descent.set_rates(min(1.0, (done + 1e-3) / WARM_UP) * (1 - done))
                    losses.append(
                        self._step(pack(self.histories.take(batch), self.config.length - 1, self.config.ahead))
                    )
        return losses

    def _batches(self, users: np.ndarray) -> Iterator[np.ndarray]:
        """All users in a new order, in groups with about so many places."""
        shuffled = self.rng.permutation(users)
        places = np.cumsum(np.diff(self.histories.offsets)[shuffled])
        yield from np.split(shuffled, np.flatnonzero(np.diff(places // self.config.places_per_step)) + 1)

    def _step(self, packed: Packed) -> float:
        sample = self._sample(packed.chosen)
        touched, where = np.unique(np.concatenate([packed.items, sample.items]), return_inverse=True)
        rows = nn.functional.embedding(self._tensor(touched), self.model.items, sparse=True)
        worth = nn.functional.embedding(self._tensor(touched), self.model.worth, sparse=True)
        read, candidates = (self._tensor(part) for part in np.split(where, [len(packed.items)]))
        wanted = self.model.tower(rows[read][None], self._tensor(packed.is_choice)[None, :, None])[0]
        questions = wanted[self._tensor(packed.asked)]
        questions = torch.cat([questions, torch.ones_like(questions[:, :1])], dim=1)
        weights = self.config.ahead_decay ** (packed.steps - 1.0)
        none = torch.zeros(0, dtype=torch.int64, device=self.device)
        loss = sampled_softmax(
            questions,
            torch.cat([rows, worth], dim=1)[candidates],
            self._tensor(sample.log_q),
            (self._tensor(packed.rows), self._tensor(np.searchsorted(sample.items, packed.chosen))),
            (none, none),
            self._tensor((weights / weights.sum()).astype(np.float32)),
        )
        return self.descent.step(loss)

    def _sample(self, chosen: Int64[np.ndarray, " pairs"]) -> Sample:
        """The step's own items and others; all items, each for certain, where there are few."""
        n_items = len(self.counts)
        if n_items <= self.config.uniform_negatives:
            return Sample(np.arange(n_items), np.zeros(n_items, np.float32))
        return mixed_sample(chosen, self.counts, self.config.uniform_negatives, self.rng)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return on_device(array, self.device)


def _to_state(
    model: SequenceModel, dataset: Dataset, config: SequenceTowerConfig, losses: list[float], *, is_warm: bool
) -> State:
    arrays = {ITEMS: model.items.detach().numpy(), WORTH: model.worth.detach().numpy()[:, 0]}
    arrays = _without_the_unmet(arrays, dataset)
    arrays |= {f"tower.{name}": tensor.numpy() for name, tensor in model.tower.state_dict().items()}
    graph, difference = _graph(model.tower, config)
    facts: dict[str, object] = {
        "loss": round(float(np.mean(losses[-10:])), 4),
        "n_steps": len(losses),
        "warm": is_warm,
        "onnx_error": difference,
    }
    return State(arrays, facts, {TOWER: graph}, {ITEMS: dataset.catalogue.ids.ids})


def _without_the_unmet(arrays: dict[str, np.ndarray], dataset: Dataset) -> dict[str, np.ndarray]:
    """Items that nobody chose yet have no vector: theirs are where they began. They go on from the least worth."""
    is_met = np.bincount(dataset.histories.positives().items, minlength=len(arrays[WORTH])) > 0
    least = arrays[WORTH][is_met].min()
    return {
        ITEMS: np.where(is_met[:, None], arrays[ITEMS], np.float32(0)),
        WORTH: np.where(is_met, arrays[WORTH], least).astype(np.float32),
    }


def _graph(tower: SequenceTower, config: SequenceTowerConfig) -> tuple[bytes, float]:
    """The tower as it is served, and the largest difference from torch on random inputs."""
    draw = torch.Generator().manual_seed(0)
    is_choice = (torch.rand(5, config.reach, 1, generator=draw) < 0.8).float()
    inputs = {"places": torch.randn(5, config.reach, config.dim, generator=draw) * is_choice, "is_choice": is_choice}
    graph = export(LastPlace(tower), inputs, {name: {0: "rows"} for name in inputs}, "wanted")
    with torch.no_grad():
        expected = LastPlace(tower)(**inputs).numpy()
    found = run_graph(graph, {name: tensor.numpy() for name, tensor in inputs.items()})
    return graph, check_parity(expected, found, "the sequence tower", tolerance=1e-3)
