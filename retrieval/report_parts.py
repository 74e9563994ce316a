"""What a night's page is made of: plain values, put together by the stage that has them all."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from retrieval.changes import Since
from retrieval.pages import CheckResult, RowCounts
from retrieval.release_rules import Decision
from retrieval.row_examples import RowExample

PAIRS = {"all": "all pairs", "new": "new pairs"}
FACTS = {
    "n_items": "items in the catalogue",
    "n_users": "users known",
    "n_events_before": "events learnt from",
    "n_events_of_day": "events of the day",
    "n_eligible_items": "items that may be shown the day after",
    "n_fresh_items": "fresh items",
    "n_texts": "distinct texts",
    "n_encoded": "texts encoded this night",
}


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long one stage of the night took."""

    name: str
    seconds: float
    detail: str = ""
    """What it did, in a few words: "92,331 items, 47 fresh"."""


@dataclass(frozen=True, slots=True)
class SampleUser:
    """One user's latest choices and what the release recommends."""

    user_id: str
    history: list[str]
    """Titles, newest first."""
    recommended: list[str]
    """Titles, best first."""


@dataclass(frozen=True, slots=True)
class SampleItem:
    """One item and its neighbours."""

    title: str
    item_id: str
    neighbours: list[str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the night's release was found to be, alone and beside the live one."""

    decision: Decision
    compared_with: str | None
    """The live release; None where there was none to compare with."""
    checks: list[CheckResult]
    differences: list[dict[str, Any]]
    """A `Difference` as plain values for each metric, source and segment."""

    @property
    def failed(self) -> list[CheckResult]:
        return [check for check in self.checks if not check.passed]

    def sentence(self) -> str:
        """The decision with what it came from."""
        said = {
            "promote": "The release passed its acceptance tests and the gate",
            "hold": "The gate holds the release: it waits for a person",
            "refuse": "The release was refused: it can never become live",
        }[self.decision]
        blocking = [check.rule for check in self.failed if check.severity == "block"]
        if blocking:
            return f"{said}, for {', '.join(blocking[:3])}."
        warning = [check.rule for check in self.failed]
        return f"{said}; what only warns: {', '.join(warning[:3])}." if warning else f"{said}."


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a night's release follows from: the same again gives the same digest, on one kind of machine."""

    logs_digest: str
    """Of everything the logs hold up to the day."""
    first_day: dt.date
    """The first day whose events could be learnt from."""
    libraries: dict[str, str]
    """Versions, by name."""


@dataclass(frozen=True, slots=True)
class NightReport:
    """Everything one night's page shows."""

    release_id: str
    day: dt.date
    recipe_name: str
    recipe_id: str
    code_digest: str
    parent: str | None
    """The release that was live when this one was made."""
    lineage: Lineage
    stages: list[StageTime]
    rows: list[RowCounts]
    n_days_loaded: int
    """Days that this run loaded into the logs: 1 on an ordinary night, many on a first one."""
    reasons: dict[str, int]
    """Rows set aside, by reason code."""
    reason_meanings: dict[str, str]
    checks: list[CheckResult]
    """All rules of the day itself, and the failed ones of other days loaded by this run."""
    judgement: Judgement
    scores: list[dict[str, Any]]
    """A `SourceScore` as plain values for each source and kind of pairs; the source "blend" is what is served."""
    history: list[dict[str, Any]]
    """Earlier nights, oldest first: {"day": "2017-10-01", "scores": [...]} of the same shape, and as `night` what
    `figures` gave on that night; None where it was not kept."""
    indexes: list[dict[str, Any]]
    """{"source", "recall_at_10", "ef_search", "links", "n_vectors", "n_probes"} of each index."""
    microseconds_per_query: dict[str, float]
    """What each source costs, a query."""
    mix: dict[str, Any]
    """A `Mix` as plain values: what each source is worth."""
    similar: dict[str, Any]
    """A `Similar` as plain values: what is said of items."""
    facts: dict[str, Any]
    """Counts of the night: n_items, n_users, n_events_before, n_events_of_day, n_fresh_items, n_texts, n_encoded."""
    convergence: dict[str, Any] = field(default_factory=dict)
    """Whether fresh items' vectors settle: `SpaceFindings` as `spaces`, `FreshRecall` as `recall`, in plain values."""
    since: Since | None = None
    """What changed since the parent; None where there is none that can be read."""
    examples: list[RowExample] = field(default_factory=list)
    """A few rows of each reason."""
    free_bytes: int | None = None
    """Room left on the lake's disk."""
    fresh_items: list[SampleItem] = field(default_factory=list)
    users: list[SampleUser] = field(default_factory=list)
    items: list[SampleItem] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def figures(self) -> dict[str, Any]:
        """What later nights' pages draw of this one, beside its scores."""
        names = ("n_items", "n_fresh_items", "n_events_of_day", "n_users")
        return {"seconds": round(self.seconds, 1)} | {name: self.facts[name] for name in names if name in self.facts}
