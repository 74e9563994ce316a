"""Raw data sets, each turned into a landing zone that keeps the data contract."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from retrieval.errors import ContractError
from storage.datasets.complete_journey import COMPLETE_JOURNEY
from storage.datasets.movielens import MOVIELENS_100K, MOVIELENS_LATEST_SMALL
from storage.datasets.online_retail import ONLINE_RETAIL
from storage.datasets.steam import STEAM
from storage.datasets.writing import DatasetAdapter, ImportSummary, Progress, no_progress, write_landing

__all__ = ["DATASETS", "DatasetAdapter", "ImportSummary", "Progress", "import_dataset"]

DATASETS: Mapping[str, DatasetAdapter] = MappingProxyType(
    {
        adapter.name: adapter
        for adapter in (COMPLETE_JOURNEY, MOVIELENS_100K, MOVIELENS_LATEST_SMALL, ONLINE_RETAIL, STEAM)
    }
)


def import_dataset(
    name: str, *, landing: str, source: Path | None = None, progress: Progress = no_progress
) -> ImportSummary:
    """Replace a landing zone by a raw data set, one folder a day; the same files give the same bytes.

    `source` is the folder of the raw files, or the folder that holds it. `progress` is told
    (files written, files in all, what), beginning with (0, 1, "reading ...") while the number is not yet known.

    Raises:
        ContractError: for an unknown name, raw files that are absent or of another shape, and a landing
            that holds files which no import wrote.
    """
    if name not in DATASETS:
        raise ContractError(f"no data set is called {name!r}. Choose one of: {', '.join(DATASETS)}.")
    adapter = DATASETS[name]
    return write_landing(adapter, adapter.locate(source), landing, progress)
