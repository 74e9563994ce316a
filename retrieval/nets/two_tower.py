"""The two towers: tables of embeddings that are summed in sparse bags, and the layers after them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from retrieval.nets.tables import Table
from retrieval.tastes import N_COUNTS


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each table has, and how wide everything is; 0 for what the model does not look at."""

    n_items: int
    n_item_features: int
    n_user_features: int
    n_trends: int
    n_spans: int
    """Half-lives that histories are read with."""
    text_dim: int
    dim: int

    @property
    def width(self) -> int:
        """Numbers of a vector: taste, and where there are trends these and what the item is worth."""
        return self.dim + (self.n_trends + 1 if self.n_trends else 0)


SPREAD = 0.02
"""How far apart features start: little, so that one seldom met says little instead of something random."""


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
        self.user_feature = table(sizes.n_user_features, SPREAD)

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
        self.body = _residual(sizes.dim)
        if sizes.text_dim:
            self.text = nn.Linear(sizes.text_dim, sizes.dim, bias=False)
        if sizes.n_trends:
            self.worth = nn.Linear(sizes.n_trends, 1)
            self.worth_bent = nn.Sequential(nn.Linear(sizes.n_trends, 24), nn.GELU(), nn.Linear(24, 1))
            nn.init.zeros_(self.worth.weight)
            _start_at_zero(self.worth_bent[2])

    def forward(
        self,
        bag: Float[Tensor, "items dim"],
        text: Float[Tensor, "items text"] | None = None,
        trends: Float[Tensor, "items trends"] | None = None,
    ) -> Float[Tensor, "items width"]:
        summed = bag if text is None else bag + self.text(text)
        taste = nn.functional.normalize(summed + self.body(summed), dim=1)
        if trends is None:
            return taste
        return torch.cat([taste, trends, self.worth(trends) + self.worth_bent(trends)], dim=1)


class UserTower(nn.Module):
    """A user's bags, counts and weekday into the vector that meets the items'.

    The items of each span come in a bag of their own, through one table and a linear map a span: what was chosen last
    says something else than what was chosen often.
    """

    def __init__(self, sizes: Sizes, temperature: float) -> None:
        super().__init__()
        if sizes.n_items:
            self.spans = nn.Linear(sizes.n_spans * sizes.dim, sizes.dim, bias=False)
            with torch.no_grad():
                self.spans.weight.copy_(torch.eye(sizes.dim).repeat(1, sizes.n_spans) / sizes.n_spans)
        self.counts = nn.Linear(N_COUNTS, sizes.dim)
        self.weekday = nn.Embedding(7, sizes.dim)
        nn.init.normal_(self.weekday.weight, std=0.02)
        self.body = _residual(sizes.dim)
        self.has_trends = sizes.n_trends > 0
        if self.has_trends:
            self.trends = nn.Linear(sizes.dim, sizes.n_trends)
            _start_at_zero(self.trends)
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log())

    def forward(
        self,
        bag: Float[Tensor, "users dim"],
        counts: Float[Tensor, "users counts"],
        weekday: Int[Tensor, " users"],
        items: Float[Tensor, "spans users dim"] | None = None,
    ) -> Float[Tensor, "users width"]:
        summed = bag + self.counts(counts) + self.weekday(weekday)
        if items is not None:
            summed = summed + self.spans(items.permute(1, 0, 2).flatten(1))
        bent = summed + self.body(summed)
        taste = nn.functional.normalize(bent, dim=1) / self.log_temperature.exp().clamp(min=0.01)
        if not self.has_trends:
            return taste
        return torch.cat([taste, self.trends(bent), torch.ones_like(bent[:, :1])], dim=1)


class TwoTower(nn.Module):
    """Both towers and their tables."""

    def __init__(self, sizes: Sizes, temperature: float, generator: torch.Generator) -> None:
        super().__init__()
        self.sizes = sizes
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
