"""Two-way maps between the caller's ids and internal rows."""

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, Int32

from retrieval.errors import UnknownId

FEW = 64
"""Up to this many ids are looked up by halving: for more, a table of all ids is worth its making."""


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
        if not isinstance(ids, pa.Array | pa.ChunkedArray) and len(ids) <= FEW:
            return np.array([self._find(id_) for id_ in ids], np.int32)
        wanted = pa.array(ids, pa.string()) if not isinstance(ids, pa.Array | pa.ChunkedArray) else ids
        found = pc.index_in(wanted, value_set=self.ids)
        return np.asarray(pc.fill_null(found, -1), dtype=np.int32)

    def row(self, id_: str, *, suggest: bool = False) -> int:
        """The row of one id.

        Raises:
            UnknownId: naming the id, and with `suggest` those that were perhaps meant: for few ids, and no secrets.
        """
        row = int(self.rows([id_])[0])
        if row < 0:
            near = self._near(id_) if suggest else ""
            raise UnknownId(
                f"{self.what} {id_!r} is not in this release ({len(self):,} {self.what}s known{near}). "
                f"Check the id, or run the night of a day that has it."
            )
        return row

    def names(self, rows: Iterable[int] | Int[np.ndarray, " rows"]) -> list[str]:
        return [self.ids[int(row)].as_py() for row in rows]

    def _find(self, id_: str) -> int:
        place = bisect_left(range(len(self)), id_, key=lambda row: self.ids[row].as_py())
        return place if place < len(self) and self.ids[place].as_py() == id_ else -1

    def _near(self, id_: str) -> str:
        near = difflib.get_close_matches(id_, self.ids.to_pylist())
        return f"; near it: {', '.join(map(repr, near))}" if near else ""

    @classmethod
    def of(cls, ids: Iterable[str] | pa.Array | pa.ChunkedArray, what: str) -> Self:
        """The vocabulary of every distinct, non-null id given."""
        values = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(list(ids), pa.string())
        unique = pc.unique(values).drop_null()
        return cls(pa.array(unique.take(pc.sort_indices(unique)), pa.string()), what)
