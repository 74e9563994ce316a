"""What a recipe says about candidates: what any release must be, and what it must keep of the live one to replace it.

Beside `rules.py`, which says the same about a landed day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from retrieval.rules import FrozenModel, Severity, Share

Loss = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
"""A loss as a share of what the live release has."""
Decision = Literal["promote", "hold", "refuse"]
"""Whether a release becomes live, waits for a person, or never may: it broke an acceptance test."""


@dataclass(frozen=True, slots=True)
class ReleaseRule:
    """One bound that a candidate is held to; its name is that of the reading it bounds."""

    about: str
    """Which subject of the page it belongs to."""
    meaning: str
    low: str | None
    """The key of `AcceptanceConfig` that holds the least value; `min_recall` is that of `IndexConfig`."""
    high: str | None
    """The key of `AcceptanceConfig` that holds the greatest value, if there is one."""
    cure: str
    severity: Severity = "block"
    """What it does when the recipe does not say."""


_AGAIN = "Remove the lake's artifacts of that day and run the night again."
_CATALOGUE = "Check that the landed items are whole, or widen acceptance.{}."
ACCEPTANCE_RULES: Mapping[str, ReleaseRule] = MappingProxyType(
    {
        "item_ratio": ReleaseRule(
            "size",
            "items, as a ratio to the live release's",
            "min_item_ratio",
            "max_item_ratio",
            _CATALOGUE.format("min_item_ratio and max_item_ratio"),
        ),
        "eligible_ratio": ReleaseRule(
            "size",
            "items that may be shown the day after, as a ratio to the live release's",
            "min_item_ratio",
            "max_item_ratio",
            _CATALOGUE.format("min_item_ratio and max_item_ratio"),
        ),
        "user_ratio": ReleaseRule(
            "size",
            "users, as a ratio to the live release's",
            "min_user_ratio",
            "max_user_ratio",
            "Check that logs and landed users are whole, or widen acceptance.min_user_ratio and max_user_ratio.",
        ),
        "event_ratio": ReleaseRule(
            "size",
            "events behind the answers, as a ratio to the live release's",
            "min_event_ratio",
            "max_event_ratio",
            "Check history.days and `lamplighter logs days`, or widen acceptance.min_event_ratio and max_event_ratio.",
        ),
        "bytes_ratio": ReleaseRule(
            "size",
            "bytes of the models, vectors and indexes of sources that both have, as a ratio to the live release's",
            "min_bytes_ratio",
            "max_bytes_ratio",
            "See what changed by `lamplighter releases diff`, or widen acceptance.min_bytes_ratio and max_bytes_ratio.",
        ),
        "missing_ids": ReleaseRule(
            "identity",
            "items without a vector, index entry, tower or display row of their own",
            None,
            "most_missing",
            _AGAIN,
        ),
        "index_recall": ReleaseRule(
            "index",
            "recall@10 of the index against exact search on real queries",
            "min_recall",
            None,
            "Raise index.links or index.ef_construction, or lower index.min_recall.",
        ),
        "self_neighbour": ReleaseRule(
            "index",
            "share of items that the index finds first when asked with their own vector",
            "min_self_neighbour",
            None,
            _AGAIN,
        ),
        "foreign_vectors": ReleaseRule(
            "index", "items whose vector in the index is not the one beside it", None, "most_missing", _AGAIN
        ),
        "stale_vectors": ReleaseRule(
            "vectors", "items whose vector is not what this model makes of them", None, "most_missing", _AGAIN
        ),
        "not_finite": ReleaseRule(
            "vectors",
            "numbers of the vectors that are NaN or infinite",
            None,
            "most_missing",
            "Lower the source's learning rate.",
        ),
        "least_norm": ReleaseRule(
            "vectors", "length of the shortest vector", "min_norm", None, "Look at items without any text or feature."
        ),
        "greatest_norm": ReleaseRule(
            "vectors", "length of the longest vector", None, "max_norm", "Lower the source's learning rate."
        ),
        "forbidden_answers": ReleaseRule(
            "eligibility",
            "blocked, expired or not yet available items among the answers to users",
            None,
            "most_missing",
            "This is a fault of the source: leave it out of the recipe and tell its author.",
        ),
        "churn": ReleaseRule(
            "continuity",
            "share of users' first ten items that the live release does not have there",
            None,
            "max_churn",
            "If the recipe or its seed changed on purpose, raise acceptance.max_churn for one night.",
        ),
        "vanished": ReleaseRule(
            "continuity",
            "share of the live release's answers whose items the catalogue does not hold any more",
            None,
            "max_vanished",
            "Check that the landed items are whole, or raise acceptance.max_vanished for one night.",
        ),
        "head_overlap": ReleaseRule(
            "heads",
            "share of one head's first hundred answers that another head of the source gives too",
            None,
            "max_head_overlap",
            "Raise the source's relevance_weight, or leave one of its heads out: two that say the same are one.",
            "warn",
        ),
        "head_cka": ReleaseRule(
            "heads",
            "linear CKA of the vectors of two heads of the source",
            None,
            "max_head_cka",
            "Raise the source's relevance_weight, or leave one of its heads out: two that say the same are one.",
            "warn",
        ),
        "unknown_names": ReleaseRule(
            "eligibility",
            "blocked items and topics of the recipe that the catalogue does not hold",
            None,
            "max_unknown_names",
            "Look for a mistake in serving.blocked_items and blocked_topics.",
            "warn",
        ),
        "score_shift": ReleaseRule(
            "continuity",
            "distance between the shapes of users' first ten scores and the live release's (Kolmogorov-Smirnov)",
            None,
            "max_score_shift",
            "If the source was changed on purpose, raise acceptance.max_score_shift for one night.",
        ),
    }
)
"""Every acceptance test of a candidate, by the name of its reading."""


class AcceptanceConfig(FrozenModel):
    """What a release has to be before anybody may make it live; those beside a live one are not asked of a first."""

    min_item_ratio: Ratio = 0.9
    max_item_ratio: Ratio = 3.0
    min_user_ratio: Ratio = 0.9
    max_user_ratio: Ratio = 3.0
    min_event_ratio: Ratio = 0.7
    max_event_ratio: Ratio = 5.0
    min_bytes_ratio: Ratio = 0.5
    max_bytes_ratio: Ratio = 3.0
    most_missing: int = Field(default=0, ge=0, le=0)
    """Fixed: one item that is somewhere and not elsewhere makes answers about the wrong item."""
    min_self_neighbour: Share = 0.9
    min_norm: Ratio = 1e-3
    max_norm: Ratio = 1e3
    max_churn: Share = 0.9
    max_vanished: Share = 0.05
    max_score_shift: Share = 0.5
    max_head_overlap: Share = 0.9
    max_head_cka: Share = 0.98
    max_unknown_names: int = Field(default=0, ge=0)
    n_users: int = Field(default=1000, ge=1)
    """Users that each source is asked for, and items asked with their own vector."""
    severity: dict[str, Severity] = Field(default_factory=dict)
    """Tests that shall `block` or only `warn`, otherwise than by default."""

    @model_validator(mode="after")
    def _severities_name_rules(self) -> Self:
        movable = [name for name, rule in ACCEPTANCE_RULES.items() if rule.high != "most_missing"]
        unknown = sorted(set(self.severity) - set(movable))
        if unknown:
            raise ValueError(f"severity names {unknown}, but those that may be changed are {', '.join(movable)}")
        return self

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Self:
        for what in ("item_ratio", "user_ratio", "event_ratio", "bytes_ratio", "norm"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low > high:
                raise ValueError(f"min_{what} is {low} and max_{what} {high}: nothing lies between them")
        return self


RECALL, NDCG, FRESH, TAIL = "recall@100", "nDCG@10", "fresh recall@100", "tail recall@100"
COVERAGE, SPREAD = "coverage@100", "p90 coverage@100"
GATE_METRICS: Mapping[str, str] = MappingProxyType(
    {
        RECALL: "share of a user's choices of the day among the first 100",
        NDCG: "ranking quality of the first 10",
        FRESH: "recall@100 of choices among items first seen in the gate's fresh_days",
        TAIL: "recall@100 of choices outside the few items that make up half of all choices",
        COVERAGE: "share of the catalogue that anybody gets among the first 100",
        SPREAD: "share of the catalogue that fills nine tenths of all places",
    }
)
"""What the gate compares on everybody, and what each says."""

_TOLERATED = {RECALL: 0.02, NDCG: 0.02, FRESH: 0.05, TAIL: 0.05, COVERAGE: 0.1, SPREAD: 0.1}
FLOOR_METRICS = (RECALL, NDCG, COVERAGE, SPREAD)
_FLOORS = {RECALL: 0.01, NDCG: 0.002, COVERAGE: 0.01}


class GateConfig(FrozenModel):
    """How much worse than the live release a candidate may be, and how sure the gate has to be to say so.

    A candidate is held when the interval of a paired difference lies below the tolerated loss as a whole.
    """

    confidence: float = Field(default=0.99, gt=0.5, lt=1)
    """Of the two-sided bootstrap interval of each difference."""
    n_resamples: int = Field(default=2000, ge=100)
    tolerance: dict[str, Loss] = Field(default_factory=lambda: dict(_TOLERATED))
    """Loss that is let pass, by metric, as a share of the live release's value; those not named keep their own."""
    source_tolerance: Loss = 0.1
    """The same for the recall@100 of each source, which a blend can hide."""
    segment_tolerance: Loss = 0.1
    """The same for the recall@100 of each segment of users, which a mean can hide."""
    segments: tuple[str, ...] = ()
    """Attributes of users whose every value is a segment, beside the lengths of their histories."""
    min_users: int = Field(default=30, ge=1)
    """With fewer users a segment is not judged, and all others are told to be unsure."""
    fresh_days: int = Field(default=7, ge=1)
    """Items first seen in that many days up to the day itself are fresh."""
    floors: dict[str, Share] = Field(default_factory=lambda: dict(_FLOORS))
    """Least values of the blend, asked of every release, beside those that are not named; 0 asks nothing."""
    severity: dict[str, Severity] = Field(default_factory=dict)
    """Metrics that shall only warn."""

    @model_validator(mode="after")
    def _metrics_are_known(self) -> Self:
        for key, metrics in (("tolerance", GATE_METRICS), ("floors", FLOOR_METRICS), ("severity", GATE_METRICS)):
            unknown = sorted(set(getattr(self, key)) - set(metrics))
            if unknown:
                raise ValueError(f"{key} names {unknown}, but the metrics are {', '.join(metrics)}")
        return self

    @field_validator("tolerance")
    @classmethod
    def _others_keep_their_tolerance(cls, tolerance: dict[str, float]) -> dict[str, float]:
        return _TOLERATED | tolerance

    @field_validator("floors")
    @classmethod
    def _others_keep_their_floors(cls, floors: dict[str, float]) -> dict[str, float]:
        return _FLOORS | floors
