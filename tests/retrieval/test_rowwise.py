"""Row-wise Adagrad does what its equation says, to the rows of a batch and to no others."""

import numpy as np
import scipy.sparse as sp
import torch

from retrieval.bags import Bags
from retrieval.nets.rowwise import RowwiseAdagrad
from retrieval.nets.tables import Table

RATE, START = 0.1, 0.01


def bags(columns: np.ndarray | list[int], values: np.ndarray | list[int], offsets: list[int], n: int) -> sp.csr_array:
    return sp.csr_array((np.asarray(values, np.float32), columns, offsets), (len(offsets) - 1, n))


def by_loop(table: np.ndarray, squares: np.ndarray, gradient: np.ndarray) -> None:
    for row in np.flatnonzero(np.abs(gradient).sum(axis=1)):
        squares[row] += (gradient[row] ** 2).mean()
        table[row] -= RATE * gradient[row] / np.sqrt(squares[row])


def test_steps_are_those_of_the_equation_row_by_row() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    table = Table(12, 5, 0.5, torch.Generator().manual_seed(1))
    wanted, squares = table.weight.detach().numpy().copy(), np.full(12, START)
    optimiser = RowwiseAdagrad([table.weight], RATE, START)
    dense = torch.nn.Parameter(table.weight.detach().clone())
    for _ in range(4):
        given = bags(rng.integers(0, 9, 14), rng.random(14, dtype=np.float32), [0, 3, 3, 8, 14], 12)
        aim = torch.rand(4, 5)
        for weight in (table.weight, dense):
            weight.grad = None
        (table(Bags.of(given)) * aim).sum().backward()
        with torch.no_grad():
            dense.copy_(table.weight)
        (torch.from_numpy(given.toarray()) @ dense * aim).sum().backward()
        assert table.weight.grad is not None and table.weight.grad.is_sparse and dense.grad is not None
        by_loop(wanted, squares, dense.grad.numpy())
        optimiser.step()
        np.testing.assert_allclose(table.weight.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_a_table_read_twice_moves_by_the_sum() -> None:
    tables = [Table(6, 3, 0.5, torch.Generator().manual_seed(1)) for _ in range(2)]
    one, other = Bags.one_each(np.array([1, 4])), Bags.one_each(np.array([0, 1]))
    (tables[0](one).sum() + tables[0](other).sum()).backward()
    tables[1](Bags.of(bags([1, 4, 0, 1], [1, 1, 1, 1], [0, 1, 2, 3, 4], 6))).sum().backward()
    for table in tables:
        RowwiseAdagrad([table.weight], RATE, START).step()
    torch.testing.assert_close(tables[0].weight, tables[1].weight)
