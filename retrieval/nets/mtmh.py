"""A shared trunk under several heads: what an item is, then what that means for engagement and for relevance.

Source: MTMH, arXiv 2506.06239, section 3: SparseNN and DenseNN, a shared embedding, an MLP a head.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retrieval.nets.tables import Table

SPREAD = 0.02
"""How far apart rows start: little, so that an item nobody has met is placed by its content."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each table has, and how wide everything is."""

    n_items: int
    n_item_features: int
    n_dense: int
    text_dim: int
    dim: int
    heads: tuple[str, ...]


class Tables(nn.Module):
    """SparseNN: the embeddings that an item's bags sum up."""

    def __init__(self, sizes: Sizes, generator: torch.Generator) -> None:
        super().__init__()
        self.item = Table(sizes.n_items, sizes.dim, SPREAD, generator)
        self.item_feature = Table(sizes.n_item_features, sizes.dim, SPREAD, generator)


class Trunk(nn.Module):
    """DenseNN and what comes after the sum: the shared embedding."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.text = nn.Linear(sizes.text_dim, sizes.dim, bias=False)
        self.dense = _bent(sizes.n_dense, sizes.dim)
        self.body = _bent(sizes.dim, sizes.dim)

    def forward(
        self,
        bag: Float[Tensor, "items dim"],
        text: Float[Tensor, "items text"],
        dense: Float[Tensor, "items dense"],
    ) -> Float[Tensor, "items dim"]:
        summed = bag + self.text(text) + self.dense(dense)
        shared: Tensor = summed + self.body(summed)
        return shared


class Head(nn.Module):
    """The shared embedding into a unit vector of one space."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.body = _bent(sizes.dim, sizes.dim)

    def forward(self, shared: Float[Tensor, "items dim"]) -> Float[Tensor, "items dim"]:
        unit: Tensor = nn.functional.normalize(shared + self.body(shared), dim=1)
        return unit


class Tower(nn.Module):
    """A trunk with its heads; an item's vectors stand one after another, in the order of the heads."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.trunk = Trunk(sizes)
        self.heads = nn.ModuleList(Head(sizes) for _ in sizes.heads)

    def forward(
        self,
        bag: Float[Tensor, "items dim"],
        text: Float[Tensor, "items text"],
        dense: Float[Tensor, "items dense"],
    ) -> Float[Tensor, "items width"]:
        shared = self.trunk(bag, text, dense)
        return torch.cat([head(shared) for head in self.heads], dim=1)


class Mtmh(nn.Module):
    """One tower for triggers and targets, or one for each; each head has a temperature of its own."""

    def __init__(self, sizes: Sizes, temperature: float, generator: torch.Generator, *, are_apart: bool) -> None:
        super().__init__()
        self.sizes = sizes
        self.tables = nn.ModuleList(Tables(sizes, generator) for _ in range(1 + are_apart))
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global generator alone
            torch.default_generator.manual_seed(int(torch.randint(1 << 62, (), generator=generator)))
            self.towers = nn.ModuleList(Tower(sizes) for _ in range(1 + are_apart))
        self.log_temperatures = nn.Parameter(torch.full((len(sizes.heads),), temperature).log())

    @property
    def n_sides(self) -> int:
        """1 where an item is the same as trigger and as target, 2 where it is not."""
        return len(self.towers)

    def tables_of(self, side: int) -> Tables:
        return cast(Tables, self.tables[side])

    def tower_of(self, side: int) -> Tower:
        return cast(Tower, self.towers[side])

    def of_tables(self) -> list[nn.Parameter]:
        """Many rows, each seldom met."""
        return list(self.tables.parameters())

    def of_layers(self) -> list[nn.Parameter]:
        """Everything that is no table."""
        return [*self.towers.parameters(), self.log_temperatures]

    def of_trunk(self) -> list[nn.Parameter]:
        """What both losses pull at."""
        return [p for side in range(self.n_sides) for p in self.tower_of(side).trunk.parameters()]


def _bent(width: int, dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
