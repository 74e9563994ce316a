"""The two towers: tables of embeddings that are summed in sparse bags, and the layers after them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each table has, and how wide everything is."""

    n_items: int
    n_item_features: int
    n_user_features: int
    n_trends: int
    n_spans: int
    """Half-lives that histories are read with."""
    text_dim: int
    dim: int


SPREAD = 0.02
"""How far apart features start: little, so that one seldom met says little instead of something random."""


class Table(nn.Module):
    """An embedding table that sums up sparse bags of its rows; only the rows of a batch get gradients and updates."""

    def __init__(self, rows: int, dim: int, spread: float, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max(rows, 1), dim, generator=generator) * spread)

    def forward(
        self, columns: Int[Tensor, " entries"], offsets: Int[Tensor, " rows"], values: Float[Tensor, " entries"]
    ) -> Float[Tensor, "rows dim"]:
        """The weighted sum of each row's entries."""
        touched, places = torch.unique(columns, return_inverse=True)
        rows = nn.functional.embedding(touched, self.weight, sparse=True)
        return nn.functional.embedding_bag(places, rows, offsets, mode="sum", per_sample_weights=values)


class Tables(nn.Module):
    """The embeddings that bags sum up."""

    def __init__(self, sizes: Sizes, generator: torch.Generator) -> None:
        super().__init__()

        def table(rows: int, spread: float) -> Table:
            return Table(rows, sizes.dim, spread, generator)

        self.item = table(sizes.n_items, 0.05)
        self.item_feature = table(sizes.n_item_features, SPREAD)
        self.chosen_item = table(sizes.n_items, 0.05)
        self.chosen_feature = nn.ModuleList(table(sizes.n_item_features, SPREAD) for _ in range(sizes.n_spans))
        self.user_feature = table(sizes.n_user_features, 0.02)

    def of_items(self) -> list[nn.Parameter]:
        """Tables with a row an item: many rows, each seldom met."""
        return [self.item.weight, self.chosen_item.weight]

    def of_features(self) -> list[nn.Parameter]:
        """Tables with a row a feature."""
        return [self.item_feature.weight, self.user_feature.weight, *self.chosen_feature.parameters()]


class ItemTower(nn.Module):
    """An item's bag, text and trends into a vector whose inner product with a user's is their score.

    Layout of the vector: `dim` numbers of taste, of length 1; the trends; what the item is worth to anybody.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.text = nn.Linear(sizes.text_dim, sizes.dim, bias=False)
        self.body = _residual(sizes.dim)
        self.width = sizes.dim + sizes.n_trends + 1
        self.worth = nn.Linear(sizes.n_trends, 1)
        self.worth_bent = nn.Sequential(nn.Linear(sizes.n_trends, 24), nn.GELU(), nn.Linear(24, 1))
        nn.init.zeros_(self.worth.weight)
        _start_at_zero(self.worth_bent[2])

    def forward(
        self, bag: Float[Tensor, "items dim"], text: Float[Tensor, "items text"], trends: Float[Tensor, "items trends"]
    ) -> Float[Tensor, "items width"]:
        summed = bag + self.text(text)
        taste = nn.functional.normalize(summed + self.body(summed), dim=1)
        return torch.cat([taste, trends, self.worth(trends) + self.worth_bent(trends)], dim=1)


class UserTower(nn.Module):
    """A user's bag, counts and weekday into the vector that meets the items'."""

    def __init__(self, sizes: Sizes, temperature: float) -> None:
        super().__init__()
        self.counts = nn.Linear(2, sizes.dim)
        self.weekday = nn.Embedding(7, sizes.dim)
        nn.init.normal_(self.weekday.weight, std=0.02)
        self.body = _residual(sizes.dim)
        self.trends = nn.Linear(sizes.dim, sizes.n_trends)
        _start_at_zero(self.trends)
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log())

    def forward(
        self, bag: Float[Tensor, "users dim"], counts: Float[Tensor, "users counts"], weekday: Tensor
    ) -> Float[Tensor, "users width"]:
        summed = bag + self.counts(counts) + self.weekday(weekday)
        bent = summed + self.body(summed)
        taste = nn.functional.normalize(bent, dim=1) / self.log_temperature.exp().clamp(min=0.01)
        return torch.cat([taste, self.trends(bent), torch.ones_like(bent[:, :1])], dim=1)


class TwoTower(nn.Module):
    """Both towers and their tables."""

    def __init__(self, sizes: Sizes, temperature: float, generator: torch.Generator) -> None:
        super().__init__()
        self.tables = Tables(sizes, generator)
        with torch.random.fork_rng(devices=[]):  # torch's layers draw from the global generator alone
            torch.default_generator.manual_seed(int(torch.randint(1 << 62, (), generator=generator)))
            self.item_tower = ItemTower(sizes)
            self.user_tower = UserTower(sizes, temperature)

    def of_towers(self) -> list[nn.Parameter]:
        """The layers after the tables."""
        return [*self.item_tower.parameters(), *self.user_tower.parameters()]


def _residual(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))


def _start_at_zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
