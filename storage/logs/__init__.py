"""The interaction logs: one DuckDB file, partitions replaced as a whole, one writer at a time."""

from storage.logs.judging import KINDS, Staged
from storage.logs.loading import DayCounts, Verdict, settle
from storage.logs.reading import Logs, open_logs

__all__ = ["KINDS", "DayCounts", "Logs", "Staged", "Verdict", "open_logs", "settle"]
