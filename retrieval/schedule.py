"""What becomes of scheduled nights that start late."""

import datetime as dt
from typing import Literal

from pydantic import Field

from retrieval.rules import FrozenModel

LateRuns = Literal["run-latest", "catch-up", "skip"]


class ScheduleConfig(FrozenModel):
    """Which scheduled nights are run when several are due at once, as after an outage of the server or the worker."""

    late_runs: LateRuns = "run-latest"
    """`run-latest`: those for which a later one is due end at once, for a night takes in all days landed before it;
    `catch-up`: all run, each day gets a release of its own; `skip`: none that starts too late."""
    late_hours: float = Field(default=6.0, gt=0, allow_inf_nan=False)
    """How many hours after its time a night may start, with `skip`."""

    def why_skipped(self, due: dt.datetime, now: dt.datetime, later: dt.datetime | None) -> str | None:
        """Why a night that was due, and of which a later one is due already or not, is not run; None when it is."""
        if self.late_runs == "run-latest" and later:
            return (
                f"This night was due at {due:%Y-%m-%d %H:%M} UTC, and the one of {later:%Y-%m-%d %H:%M} UTC, which "
                "takes in the days before it, is due as well: that one runs (schedule.late_runs is run-latest)."
            )
        hours = (now - due) / dt.timedelta(hours=1)
        if self.late_runs == "skip" and hours > self.late_hours:
            return (
                f"This night was due at {due:%Y-%m-%d %H:%M} UTC and would start {hours:.1f} hours late; at most "
                f"{self.late_hours:g} are allowed (schedule.late_hours). The next night takes in what has landed."
            )
        return None
