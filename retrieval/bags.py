"""Sparse bags of table rows, laid out for a product with the rows that they hold and for its gradient."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int64


@dataclass(frozen=True, slots=True)
class Bags:
    """The same weights twice, by bag and by row, over the rows that any of them holds."""

    touched: Int64[np.ndarray, " touched"]
    """The table's rows, ascending."""
    by_bag: sp.csr_array
    by_row: sp.csr_array

    @classmethod
    def of(cls, bags: sp.csr_array) -> Self:
        """The bags of a matrix with a column a row of the table."""
        is_touched = np.zeros(bags.shape[1], bool)
        is_touched[bags.indices] = True
        touched = np.flatnonzero(is_touched)
        places = (np.cumsum(is_touched) - 1)[bags.indices]  # without sorting the entries
        data = bags.data.astype(np.float32, copy=False)
        few = sp.csr_array((data, places, bags.indptr), (bags.shape[0], len(touched)))
        return cls(touched, few, few.T.tocsr())

    @classmethod
    def one_each(cls, rows: Int64[np.ndarray, " bags"]) -> Self:
        """A bag for each of these ascending rows that holds nothing else."""
        n = len(rows)
        each = sp.csr_array((np.ones(n, np.float32), np.arange(n), np.arange(n + 1)), (n, n))
        return cls(rows, each, each)
