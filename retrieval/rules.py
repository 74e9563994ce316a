"""What a recipe says about logs: the closed vocabulary of actions, what a row may hold, and the bounds a day must keep.

Apart from `recipe.py` because storage and validation need these and must not pull the model families in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Severity = Literal["block", "warn"]
"""What a rule that fails does: keep the day out of the logs, or tell somebody."""


class FrozenModel(BaseModel):
    """A configuration value: immutable, and strict about keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Action(FrozenModel):
    """What one action says about a user's taste, and which values its events may carry."""

    sign: Literal["+", "-"]
    """Whether the action counts as engagement (+) or as its opposite (-)."""
    weight: float = Field(default=1.0, gt=0)
    """How much one such event counts beside the others."""
    min_value: float | None = None
    """Events of this action whose value is lower say nothing: kept in the logs, not used as positives."""
    lowest: float = 0.0
    """A lower value is an error of the sender: the row is set aside."""
    highest: float = 1e9
    """A higher value is an error of the sender: the row is set aside."""


@dataclass(frozen=True, slots=True)
class DayRule:
    """One bound that a landed day is held to; its name is that of the metric it bounds."""

    about: str
    """Which of the suite's subjects it belongs to."""
    meaning: str
    severity: Severity
    """What it does when the recipe does not say."""
    low: str | None
    """The key of `Rules` that holds the least value, if there is one."""
    high: str | None
    """The key of `Rules` that holds the greatest value, if there is one."""
    cure: str


_MIX = "share of each {} beside the trailing days"
DAY_RULES: Mapping[str, DayRule] = MappingProxyType(
    {
        "n_rows": DayRule("volume", "rows landed", "block", "min_rows", None, "Land the day's events again."),
        "volume_ratio": DayRule(
            "volume",
            "rows landed, as a ratio to the median of the same weekday in the trailing days",
            "block",
            "min_volume_ratio",
            "max_volume_ratio",
            "Check that the export is whole, or widen rules.min_volume_ratio and rules.max_volume_ratio.",
        ),
        "null_share": DayRule(
            "completeness",
            "share of rows without user or item",
            "block",
            None,
            "max_null_share",
            "Fix the export's user_id and item_id, or raise rules.max_null_share.",
        ),
        "unknown_action_share": DayRule(
            "vocabulary",
            "share of rows whose action is not in the recipe",
            "block",
            None,
            "max_unknown_action_share",
            "Add the new actions to the recipe's actions, or raise rules.max_unknown_action_share.",
        ),
        "outside_day_share": DayRule(
            "ranges",
            "share of rows whose time is unreadable, in the future or too long ago",
            "block",
            None,
            "max_outside_day_share",
            "Land each event under the UTC day of its occurred_at, or raise rules.max_outside_day_share.",
        ),
        "bad_value_share": DayRule(
            "ranges",
            "share of rows with a value that is unreadable or out of its action's range",
            "block",
            None,
            "max_bad_value_share",
            "Fix the export's values, widen the action's lowest and highest, or raise rules.max_bad_value_share.",
        ),
        "malformed_context_share": DayRule(
            "schema",
            "share of rows whose context is no map of texts",
            "warn",
            None,
            "max_malformed_context_share",
            "Send context as a map of texts, or raise rules.max_malformed_context_share.",
        ),
        "unknown_item_share": DayRule(
            "referential integrity",
            "share of rows whose item is in no catalogue landed up to that day",
            "warn",
            None,
            "max_unknown_item_share",
            "Land the missing items under items/, or raise rules.max_unknown_item_share.",
        ),
        "duplicate_share": DayRule(
            "uniqueness",
            "share of rows that repeat an event",
            "warn",
            None,
            "max_duplicate_share",
            "Look for a retried export, or raise rules.max_duplicate_share.",
        ),
        "refused_share": DayRule(
            "completeness",
            "share of rows set aside for any reason",
            "block",
            None,
            "max_refused_share",
            "Look at the reasons in the quarantine, or raise rules.max_refused_share.",
        ),
        "late_share": DayRule(
            "freshness",
            "share of rows of an earlier day",
            "warn",
            None,
            "max_late_share",
            "Find out what held them up, or raise rules.max_late_share.",
        ),
        "quiet_hours": DayRule(
            "freshness",
            "hours between the last event and the end of the day",
            "warn",
            None,
            "max_quiet_hours",
            "The export may have stopped early: land the whole day, or raise rules.max_quiet_hours.",
        ),
        "new_user_share": DayRule(
            "novelty",
            "share of the day's users never seen before",
            "warn",
            None,
            "max_new_user_share",
            "Look for changed user ids, or raise rules.max_new_user_share.",
        ),
        "new_item_share": DayRule(
            "novelty",
            "share of events with items listed that very day",
            "warn",
            None,
            "max_new_item_share",
            "Look for changed item ids, or raise rules.max_new_item_share.",
        ),
        **{
            f"{what}_{measure}": DayRule(
                "drift",
                f"{named}: {_MIX.format(what)}",
                "warn",
                None,
                f"max_{measure}",
                f"Look at what changed in {what}s, or raise rules.max_{measure}.",
            )
            for what in ("action", "topic", "value")
            for measure, named in (("psi", "population stability index"), ("js", "Jensen-Shannon divergence in bits"))
        },
        "catalogue_ratio": DayRule(
            "catalogue",
            "items that can be recommended, as a ratio to those before",
            "block",
            "min_catalogue_ratio",
            None,
            "Land the whole catalogue again, or lower rules.min_catalogue_ratio.",
        ),
        "bad_item_share": DayRule(
            "catalogue",
            "greatest share of landed items that break one expectation",
            "block",
            None,
            "max_bad_item_share",
            "Fix the export of items, or raise rules.max_bad_item_share.",
        ),
        "bad_user_share": DayRule(
            "users",
            "greatest share of landed users that break one expectation",
            "block",
            None,
            "max_bad_user_share",
            "Fix the export of users, or raise rules.max_bad_user_share.",
        ),
    }
)
"""Every rule a landed partition is held to, by the name of its metric."""


class Rules(FrozenModel):
    """What becomes of unusual rows, and the bounds that a landed day must keep."""

    late_days: int = Field(default=7, ge=0)
    """An event may land up to this many days after its own; older ones are set aside."""
    late_events: Literal["night", "backfill"] = "night"
    """Who takes up the events of an earlier day: the night they landed for, or the next backfill of their own day."""
    unknown_items: Literal["quarantine", "stub"] = "quarantine"
    """Whether an event of an item that no catalogue holds is set aside, or the item admitted with its id as title."""
    catalogue: Literal["changes", "whole"] = "changes"
    """Whether a landed items partition holds what changed, or all that there is: what it lacks is then gone."""
    severity: dict[str, Severity] = {}
    """Rules that shall block or warn otherwise than by default."""

    min_rows: int = Field(default=1, ge=0)
    """Least rows of a day."""
    max_null_share: Share = 0.01
    """Greatest share of rows without user or item."""
    max_unknown_action_share: Share = 0.01
    """Greatest share of rows whose action is not in the recipe."""
    max_outside_day_share: Share = 0.01
    """Greatest share of rows whose time is unreadable, in the future or longer ago than late_days."""
    max_bad_value_share: Share = 0.01
    """Greatest share of rows with a value that is unreadable or out of its action's range."""
    max_malformed_context_share: Share = 0.01
    """Greatest share of rows whose context is no map of texts."""
    max_unknown_item_share: Share = 0.05
    """Greatest share of rows whose item is in no landed catalogue."""
    max_duplicate_share: Share = 0.10
    """Greatest share of rows that repeat an event."""
    max_refused_share: Share = 0.05
    """Greatest share of rows set aside for any reason."""
    max_late_share: Share = 0.05
    """Greatest share of rows of an earlier day."""
    max_quiet_hours: float = Field(default=12.0, ge=0, le=24)
    """Most hours between a day's last event and its end."""
    trailing_days: int = Field(default=28, ge=1)
    """How many days back a day is compared with."""
    min_trailing_days: int = Field(default=7, ge=1)
    """With fewer landed days behind it, a day is compared with none."""
    min_same_weekdays: int = Field(default=3, ge=1)
    """With fewer landed days of its weekday behind it, a day's volume is compared with all trailing days."""
    min_volume_ratio: float = Field(default=0.2, ge=0)
    """Least rows, as a ratio to the median of the same weekday."""
    max_volume_ratio: float = Field(default=5.0, gt=0)
    """Most rows, as a ratio to the median of the same weekday."""
    min_drift_rows: int = Field(default=1000, ge=1)
    """With fewer rows, on either side, mixes are not compared: chance alone moves them."""
    max_psi: float = Field(default=0.25, ge=0)
    """Greatest population stability index of actions, topics and values."""
    max_js: float = Field(default=0.10, ge=0, le=1)
    """Greatest Jensen-Shannon divergence of actions, topics and values, in bits."""
    max_new_user_share: Share = 0.5
    """Greatest share of a day's users never seen before."""
    max_new_item_share: Share = 0.5
    """Greatest share of a day's events with items listed that very day."""
    min_catalogue_ratio: float = Field(default=0.8, ge=0)
    """Least items that can be recommended, as a ratio to those before the partition landed."""
    max_bad_item_share: Share = 0.20
    """Greatest share of landed items that break one expectation."""
    max_bad_user_share: Share = 0.20
    """Greatest share of landed users that break one expectation."""

    @model_validator(mode="after")
    def _severities_name_rules(self) -> Self:
        unknown = sorted(set(self.severity) - set(DAY_RULES))
        if unknown:
            raise ValueError(f"severity names {unknown}, but the rules are {', '.join(DAY_RULES)}")
        return self

    def severity_of(self, rule: str) -> Severity:
        """What a rule does when it fails."""
        return self.severity.get(rule, DAY_RULES[rule].severity)

    def bounds_of(self, rule: str) -> tuple[float | None, float | None]:
        """The least and the greatest value of a rule's metric."""
        found = DAY_RULES[rule]
        low, high = (getattr(self, key) if key else None for key in (found.low, found.high))
        return low, high
