"""A few rows of each reason for which rows of some partitions are set aside, as pages may show them."""

import datetime as dt
from collections.abc import Iterable

from retrieval.row_examples import RowExample, shown_of
from retrieval.schema import Kind
from storage.layout import Lake
from storage.logs import open_logs
from storage.logs.quarantine import examples

N_EXAMPLES = 3
"""Of each reason."""


def read_examples(lake: Lake, partitions: Iterable[tuple[Kind, dt.date]]) -> list[RowExample]:
    """Examples of these partitions; none where nothing of them was judged, or there are no logs yet."""
    chosen = list(partitions)
    if not chosen or not lake.logs.exists():
        return []
    with open_logs(lake.logs, read_only=True) as logs:
        found = examples(logs, chosen, N_EXAMPLES)
    return [RowExample(shown=shown_of(entry["kind"], entry.pop("row")), **entry) for entry in found]
