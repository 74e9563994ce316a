"""What a recipe says about logs: the closed vocabulary of actions, and the bounds a day must keep.

Apart from `recipe.py` because storage and validation need these and must not pull the model families in.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class FrozenModel(BaseModel):
    """A configuration value: immutable, and strict about keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Action(FrozenModel):
    """What one action says about a user's taste."""

    sign: Literal["+", "-"]
    """Whether the action counts as engagement (+) or as its opposite (-)."""
    weight: float = Field(default=1.0, gt=0)
    """How much one such event counts beside the others."""
    min_value: float | None = None
    """Events of this action whose value is lower say nothing: kept in the logs, not used as positives."""


class Rules(FrozenModel):
    """The bounds that a day of landed events must keep; a critical rule that fails stops the night."""

    max_null_share: Share = 0.01
    """Share of rows without user or item, above which the day is refused."""
    max_unknown_action_share: Share = 0.01
    """Share of rows whose action is not in the recipe, above which the day is refused."""
    max_outside_day_share: Share = 0.01
    """Share of rows whose time is unreadable or outside the partition's day, above which the day is refused."""
    max_unknown_item_share: Share = 0.05
    """Share of rows whose item is in no landed catalogue, above which a warning is raised."""
    max_duplicate_share: Share = 0.10
    """Share of rows that repeat an event, above which a warning is raised."""
    max_refused_share: Share = 0.05
    """Share of rows set aside for any reason, above which the day is refused."""
    trailing_days: int = Field(default=28, ge=1)
    """How many days back the usual volume is taken from."""
    min_trailing_days: int = Field(default=7, ge=1)
    """With fewer landed days behind it, a day's volume is not judged."""
    min_volume_ratio: float = Field(default=0.2, ge=0)
    """Least rows, as a ratio to the median of the trailing days."""
    max_volume_ratio: float = Field(default=5.0, gt=0)
    """Most rows, as a ratio to the median of the trailing days."""
