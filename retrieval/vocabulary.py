"""Two-way maps between the caller's ids and internal rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, Int32

from retrieval.errors import UnknownId


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Distinct ids, ascending; an id's row is its position."""

    ids: pa.StringArray
    what: str
    """What the ids name, for error messages: "user", "item"."""

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> Int32[np.ndarray, " ids"]:
        """The row of each id, -1 for those unknown."""
        wanted = pa.array(ids, pa.string()) if not isinstance(ids, pa.Array | pa.ChunkedArray) else ids
        found = pc.index_in(wanted, value_set=self.ids)
        return np.asarray(pc.fill_null(found, -1), dtype=np.int32)

    def row(self, id_: str) -> int:
        """The row of one id.

        Raises:
            UnknownId: naming the id.
        """
        row = int(self.rows([id_])[0])
        if row < 0:
            raise UnknownId(
                f"{self.what} {id_!r} is not in this release ({len(self):,} {self.what}s known). "
                f"Check the id, or run the night of a day that has it."
            )
        return row

    def names(self, rows: Iterable[int] | Int[np.ndarray, " rows"]) -> list[str]:
        return [self.ids[int(row)].as_py() for row in rows]

    @classmethod
    def of(cls, ids: Iterable[str] | pa.Array | pa.ChunkedArray, what: str) -> Self:
        """The vocabulary of every distinct, non-null id given."""
        values = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(list(ids), pa.string())
        unique = pc.unique(values).drop_null()
        return cls(pa.array(unique.take(pc.sort_indices(unique)), pa.string()), what)
