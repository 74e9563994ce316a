"""A user tower that reads choices in their order, by learned causal kernels: cost grows with length, not its square."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

FIRST_DECAY = 0.8
"""Where kernels start: each choice further back counts that much less."""
FIRST_WEIGHT = 0.3


class Block(nn.Module):
    """Every number mixed over the places before it by a kernel of its own, then the numbers of a place by a layer."""

    def __init__(self, dim: int, length: int, dropout: float) -> None:
        super().__init__()
        back = torch.arange(length - 1, -1, -1, dtype=torch.float32)
        self.kernel = nn.Parameter((FIRST_WEIGHT * FIRST_DECAY**back).repeat(dim, 1, 1))
        self.before_kernel, self.before_layer = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.layer = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, places: Float[Tensor, "rows places dim"], is_choice: Float[Tensor, "rows places 1"]
    ) -> Float[Tensor, "rows places dim"]:
        """Place t reads the places t - length + 1 to t, those that hold a choice."""
        length = self.kernel.shape[-1]
        known = nn.functional.pad((self.before_kernel(places) * is_choice).transpose(1, 2), (length - 1, 0))
        mixed = nn.functional.conv1d(known, self.kernel, groups=self.kernel.shape[0]).transpose(1, 2)
        places = places + self.dropout(mixed)
        return places + self.dropout(self.layer(self.before_layer(places)))


class SequenceTower(nn.Module):
    """Embedded choices into what the user wants at each place; the last place is the question.

    Source: residual blocks with causal filters over time as in Caser (Tang and Wang, WSDM 2018) and NextItNet (Yuan et
    al., WSDM 2019), with a full-length kernel a number instead of small ones.
    """

    def __init__(self, dim: int, length: int, n_blocks: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, length, dropout) for _ in range(n_blocks))
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(
        self, places: Float[Tensor, "rows places dim"], is_choice: Float[Tensor, "rows places 1"]
    ) -> Float[Tensor, "rows places dim"]:
        read = self.dropout(places) * is_choice
        for block in self.blocks:
            read = block(read, is_choice)
        normed: Tensor = self.norm(read)
        return normed


class LastPlace(nn.Module):
    """The tower as it is served: what the user wants after the last place."""

    def __init__(self, tower: SequenceTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(
        self, places: Float[Tensor, "rows places dim"], is_choice: Float[Tensor, "rows places 1"]
    ) -> Float[Tensor, "rows dim"]:
        last: Tensor = self.tower(places, is_choice)[:, -1]
        return last
