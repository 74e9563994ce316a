"""A night's report of plain values, and one of a first night with nothing in it."""

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
from markup import Page
from tables import planted_hand

from retrieval.changes import CatalogueChange, Since, moved
from retrieval.mixing import measure
from retrieval.pages import CheckResult, RowCounts
from retrieval.quotas import Hand
from retrieval.report_parts import Judgement, Lineage, NightReport, SampleItem, SampleUser, StageTime
from retrieval.reporting import render
from retrieval.row_examples import RowExample

MEANS = {"blend": (0.1784, 0.0612), "popular": (0.0931, 0.0204), "item_knn": (0.1517, 0.0442)}


def estimate(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean * 0.95, "high": mean * 1.05}


def scores(scale: float = 1.0) -> list[dict[str, Any]]:
    return [
        {
            "source": source,
            "pairs": pairs,
            "n_users": 1312,
            "n_targets": 18431,
            "recall_at_10": estimate(means[i] * scale / 3),
            "recall_at_100": estimate(means[i] * scale),
            "ndcg_at_10": estimate(means[i] * scale / 2),
            "mrr_at_10": estimate(means[i] * scale / 2),
            "hit_rate_at_10": estimate(means[i] * scale),
            "novelty_at_10": estimate(9.25),
            "popularity_at_10": estimate(0.875),
            "coverage_at_100": 0.312,
            "fresh_recall_at_100": None,
            "over_floor": {"mean": 3.0, "low": 2.8, "high": 3.22} if source == "blend" else None,
        }
        for i, pairs in enumerate(("all", "new"))
        for source, means in MEANS.items()
    ]


def mix_of(hand: Hand) -> dict[str, Any]:
    shares = {name: 1 / len(hand.found) for name in hand.found}
    return dataclasses.asdict(measure(hand, shares, {}, np.random.default_rng(0)))


def check(rule: str, *, passed: bool = True, severity: str = "block", cure: str = "Land it again.") -> CheckResult:
    return CheckResult(
        "events", "volume", rule, f"meaning of {rule}", "2017-10-02", severity, passed, "0.13", "at least 0.2", cure
    )


def release_check(rule: str, **changes: Any) -> CheckResult:
    return dataclasses.replace(check(rule), **({"kind": "release", "about": "continuity"} | changes))


def difference(**changes: Any) -> dict[str, Any]:
    found = {"metric": "recall@100", "of": "blend", "segment": "everybody", "n_users": 912, "live": 0.2201}
    return found | {"candidate": 0.2134, "change": {"mean": -0.0067, "low": -0.009, "high": -0.0041}} | changes


def a_night() -> NightReport:
    return NightReport(
        release_id="r-this",
        day=dt.date(2017, 10, 2),
        recipe_name="complete-journey",
        recipe_id="a1b2c3d4e5f6",
        code_digest="9f8e7d",
        parent="r-before",
        lineage=Lineage("c0ffee", dt.date(2016, 10, 2), {"python": "3.11.7", "torch": "2.13.0"}),
        since=Since(
            "r-before",
            "2017-10-01",
            [("sources.two_tower.dim", "32", "64")],
            True,
            moved({"n_items": 92300}, {"n_items": 92331}, scores(0.9), scores()),
            CatalogueChange(33, 2, ["DRAGON FRUIT"], ["OLD BREAD"]),
        ),
        examples=[RowExample("missing_user", "events", "2017-10-02", "part-0.parquet", 17, [("item_id", "82")])],
        free_bytes=40 << 30,
        stages=[StageTime("ingest", 3.3, "4,021 events"), StageTime("train", 1141.8), StageTime("publish", 0.0)],
        rows=[RowCounts("events", 4063, 4021, 28, 12, 2, 5), RowCounts("items", 47, 47, 0, 0, 0, 0)],
        n_days_loaded=1,
        reasons={"missing_user": 7, "unknown_item": 21},
        reason_meanings={"missing_user": "the row has no user_id", "unknown_item": "the item was in no catalogue"},
        checks=[check("n_rows"), check("null_share")],
        judgement=Judgement("promote", "r-before", [release_check("churn")], [difference()]),
        scores=scores(),
        history=[{"day": "2017-09-30", "scores": scores(0.8)}, {"day": "2017-10-01", "scores": scores(0.9)}],
        indexes=[
            {
                "source": "item_knn",
                "recall_at_10": 0.9934,
                "ef_search": 96,
                "links": 24,
                "n_vectors": 92331,
                "n_probes": 1000,
            }
        ],
        microseconds_per_query={"blend": 1234.4, "popular": 3.0},
        mix=mix_of(planted_hand()),
        similar={"n_triggers": 0, "scores": [], "heads": []},
        facts={"n_items": 92331, "n_fresh_items": 1, "n_encoded": 47},
        fresh_items=[SampleItem("BANANAS", "1040", ["STRAWBERRIES"])],
        users=[SampleUser("17", ["YOGURT"], ["EGGS", "MILK"])],
        items=[SampleItem("EGGS", "82", ["MILK"])],
    )


def a_bare_night() -> NightReport:
    night = a_night()
    nothing: dict[str, Any] = {
        field.name: type(getattr(night, field.name))()
        for field in dataclasses.fields(night)
        if isinstance(getattr(night, field.name), (list, dict))
    }
    nothing["mix"] = mix_of(planted_hand(0))
    return dataclasses.replace(night, parent=None, since=None, judgement=Judgement("promote", None, [], []), **nothing)


def text_of(report: NightReport) -> str:
    return Page(render(report)).text
