"""Embedding tables that are read in sparse bags: the weighted sum of some of their rows."""

import warnings
from typing import Any

import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor, nn

from retrieval.bags import Bags

with warnings.catch_warnings():  # torch says once that this layout may change; what it changes, tests would show
    warnings.simplefilter("ignore", UserWarning)
    torch.sparse_csr_tensor([0, 0], torch.zeros(0, dtype=torch.int64), torch.zeros(0), (1, 1))


class Table(nn.Module):
    """A row an id; only the rows of a batch are read, get gradients and are moved."""

    def __init__(self, rows: int, dim: int, spread: float, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max(rows, 1), dim, generator=generator) * spread)

    def forward(self, bags: Bags) -> Float[Tensor, "bags dim"]:
        """The weighted sum of each bag's rows."""
        device = self.weight.device
        rows = nn.functional.embedding(torch.from_numpy(bags.touched).to(device), self.weight, sparse=True)
        summed: Tensor = _Product.apply(_csr(bags.by_bag, device), _csr(bags.by_row, device), rows)
        return summed


class _Product(torch.autograd.Function):
    """A product whose sparse factor is given with its transpose: ten times as fast as the gradient of embedding_bag."""

    @staticmethod
    def forward(ctx: Any, by_bag: Tensor, by_row: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(by_row)
        return by_bag @ rows

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        (by_row,) = ctx.saved_tensors
        return None, None, by_row @ outer[0]


def _csr(matrix: sp.csr_array, device: torch.device) -> Tensor:
    offsets, columns, values = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    return torch.sparse_csr_tensor(offsets, columns, values, matrix.shape, device=device)
