"""What a backfill is asked for: the form of the Prefect UI and the options of the command line."""

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field

from retrieval.backlog import Mode, Steps
from retrieval.errors import ContractError

MOST_DAYS = 92
"""Days of a backfill where nobody says how many it may have: a quarter."""
UTMOST_DAYS = 3660


class Span(BaseModel):
    """The days to do again, which of them, and how far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: dt.date = Field(title="First day", description="The first day to do, a date in UTC.")
    end: dt.date = Field(title="Last day", description="The last day to do, itself included.")
    mode: Mode = Field(
        default=Mode.missing,
        title="Which days",
        description=(
            "missing: days not done yet, so that a backfill which ended early goes on · failed: days that a rule "
            "refused, whose files could not be used, or whose release was refused · all: every landed day, again"
        ),
    )
    steps: Steps = Field(
        default=Steps.logs,
        title="How far",
        description=(
            "logs: judge and load the landed files · train: also train and index the models of each day · evaluate: "
            "also measure them and keep a release of each day, with its report"
        ),
    )
    promote: bool = Field(
        default=False,
        title="Let releases become live",
        description=(
            "Off: releases are kept, and readers notice nothing. On, with evaluate: each may become live if its tests "
            "and the gate let it, but never one of an earlier day than the live one."
        ),
    )
    dry_run: bool = Field(
        default=False,
        title="Only list",
        description="List in a table what would be done for each day, and change nothing.",
    )
    max_days: int = Field(
        default=MOST_DAYS,
        ge=1,
        le=UTMOST_DAYS,
        title="Most days",
        description=(
            "A longer span is refused, so that a slip in a date costs no week of computing: a day with evaluate takes "
            "minutes, with logs seconds."
        ),
    )

    def require_sensible(self, today: dt.date) -> None:
        """Refuse what cannot be meant.

        Raises:
            ContractError: with the cure.
        """
        n_days = (self.end - self.start).days + 1
        if n_days < 1:
            raise ContractError(
                f"the backfill ends on {self.end}, before it starts on {self.start}. Swap the two days."
            )
        if self.end > today:
            raise ContractError(
                f"the backfill ends on {self.end}, in the future: today is {today} in UTC. "
                f"Choose a last day up to {today}."
            )
        if n_days > self.max_days:
            raise ContractError(
                f"the backfill has {n_days:,} days from {self.start} to {self.end}, at most {self.max_days:,} may it "
                f"have. Choose fewer days, or raise the most days (max_days) to {n_days}."
            )
        if self.promote and self.steps is not Steps.evaluate:
            raise ContractError(
                f"promote is on, but the steps end with {self.steps}, which makes no release that could become live. "
                "Choose the steps evaluate, or switch promote off."
            )
