"""Adagrad that keeps one number a row of a table, and touches only the rows that a batch has met."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-10


class RowwiseAdagrad(torch.optim.Optimizer):
    """Steps of lr / sqrt(G) with G the running sum of a row's mean squared gradient.

    For tables whose gradients are sparse. Of a row of d numbers it keeps one instead of d, and reads and writes no row
    but those of the batch.
    Source: Duchi, Hazan and Singer, JMLR 2011, with the accumulator shared by a row as in FBGEMM's table optimisers.
    """

    def __init__(self, tables: Iterable[nn.Parameter], lr: float, start: float = 0.01) -> None:
        super().__init__(tables, {"lr": lr})
        for group in self.param_groups:
            for table in group["params"]:
                self.state[table]["squares"] = torch.full((len(table),), start, device=table.device)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no loss is computed again here
        """Move the rows that have a gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, group["lr"])

    def _move(self, table: nn.Parameter, rate: float) -> None:
        rows, values = _entries(table.grad)  # type: ignore[arg-type]  # asked by `step`
        squares = self.state[table]["squares"]
        running = squares[rows] + values.square().mean(dim=1)
        squares[rows] = running
        table.index_add_(0, rows, values * (-rate / (running.sqrt() + EPSILON))[:, None])


def _entries(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of a sparse gradient, each once, and their values."""
    rows = gradient._indices()[0]
    if not bool((rows[1:] > rows[:-1]).all()):  # a table that was read twice; otherwise sorting would gain nothing
        gradient = gradient.coalesce()
    return gradient._indices()[0], gradient._values()
