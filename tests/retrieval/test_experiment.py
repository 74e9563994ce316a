"""What an experiment says of its variants, by counting."""

import datetime as dt
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from retrieval.comparison_page import cell, charts_of, front_of, heads_table, render_comparison, table_of
from retrieval.errors import RecipeError
from retrieval.experiment import BY_AGE, FIGURES, Answered, Columns, Experiment, Walks, compare
from retrieval.plots import as_file
from retrieval.recipe import Recipe
from retrieval.similarity import HeadHealth

EXPERIMENT = Experiment(
    name="heads",
    question="Is two better than one?",
    recipe="quick",
    source="recent",
    seeds=(1, 2),
    baseline="one engagement",
    ways=("engagement", "α=50"),
    variants={"one": {}, "two": {"sources.recent.last": 7, "rules.max_null_share": 0.5}},
)
BASE = Recipe.model_validate(
    {
        "name": "quick",
        "actions": {"purchase": {"sign": "+"}},
        "sources": {"recent": {"kind": "recent_items"}, "popular": {"kind": "popular"}},
        "blend": {"weights": {"popular": 0.5}},
    }
)


def columns(recall: list[float]) -> Columns:
    """Every figure the same, but for fresh recall, which only the first trigger has."""
    fresh = [recall[0]] + [float("nan")] * (len(recall) - 1)
    figures = {name: np.array(fresh if name == "fresh_recall_at_100" else recall) for name in FIGURES}
    return figures | {BY_AGE: np.array([fresh] * 8)}


def walks_of(found: dict[str, list[Columns]]) -> Walks:
    """One night a seed, of ways called `variant way`."""
    walks: dict[str, list[list[Answered]]] = {}
    for variant in dict.fromkeys(name.partition(" ")[0] for name in found):
        ways = {name.partition(" ")[2]: seeds for name, seeds in found.items() if name.startswith(f"{variant} ")}
        n_seeds = len(next(iter(ways.values())))
        walks[variant] = [
            [Answered({way: seeds[seed] for way, seeds in ways.items()}, {}, 1.0)] for seed in range(n_seeds)
        ]
    return walks


def test_means_are_over_triggers_of_means_over_seeds_and_changes_are_ratios() -> None:
    found = {
        "one engagement": [columns([0.1, 0.3]), columns([0.3, 0.5])],
        "two merged α=50": [columns([0.2, 0.6]), columns([0.6, 1.0])],
        "two merged α=0": [columns([0.0, 0.0]), columns([0.0, 0.0])],
    }
    comparison = compare(EXPERIMENT, walks_of(found), 14)
    assert [row.name for row in comparison.rows] == ["one engagement", "two merged α=50"]
    one, two = comparison.rows
    assert one.figures["recall_at_100"].mean == pytest.approx(0.3)
    assert [getattr(two.change["recall_at_100"], end) for end in ("low", "mean", "high")] == pytest.approx([1.0] * 3)
    assert two.figures["fresh_recall_at_100"].mean == pytest.approx(0.4)
    assert one.spread["recall_at_100"] == pytest.approx(0.1)
    assert "+100 % [+100, +100]" in cell(two, "recall_at_100")
    assert comparison.seconds == {"one": 1.0, "two": 1.0}
    assert [found.n for found in comparison.fresh_by_age["two merged α=50"]] == [1] * 8
    assert table_of(comparison).count("\n") == 4
    assert [(name, [score["said"] for score in scores]) for name, scores in front_of(EXPERIMENT, comparison)] == [
        ("one engagement", [""]),
        ("two merged", ["α 50"]),
    ]


def test_a_front_over_variants_has_a_line_a_way_in_the_order_of_the_variants() -> None:
    experiment = EXPERIMENT.model_copy(update={"front": "variants", "baseline": "two merged α=50"})
    found = {f"{name} {way}": [columns([0.1, 0.3])] for name in ("one", "two") for way in ("engagement", "merged α=50")}
    lines = front_of(experiment, compare(experiment, walks_of(found), 14))
    assert {name: [score["said"] for score in scores] for name, scores in lines} == {
        "engagement": ["one", "two"],
        "merged α=50": ["one", "two"],
    }


def test_how_far_apart_heads_are_is_told_seed_by_seed_of_variants_that_have_several() -> None:
    walks = dict(walks_of({"one engagement": [columns([0.1])] * 2, "two engagement": [columns([0.2])] * 2}))
    apart = [HeadHealth("recent", 0.25, 0.5, -0.125), HeadHealth("recent", 0.75, 0.625, None)]
    walks["two"] = [[replace(s[0], heads=health)] for s, health in zip(walks["two"], apart, strict=True)]
    comparison = compare(EXPERIMENT, walks, 14)
    assert comparison.heads == {"two": apart}
    assert "| two | 0.250, 0.750 | 0.500, 0.625 | -0.125, none |" in heads_table(comparison)
    page = render_comparison(EXPERIMENT, comparison, dt.date(2024, 1, 1))
    assert "How far apart the heads are" in page and "0.250, 0.750" in page
    alone = compare(EXPERIMENT, {"one": walks["one"]}, 14)
    assert heads_table(alone) == "" and "How far apart" not in render_comparison(EXPERIMENT, alone, dt.date(2024, 1, 1))


def test_charts_are_files_by_themselves() -> None:
    comparison = compare(EXPERIMENT, walks_of({"one engagement": [columns([0.1, 0.4])]}), 14)
    charts = charts_of(EXPERIMENT, comparison)
    assert list(charts) == ["front"], "one night settles nothing"
    root = ElementTree.fromstring(as_file(charts["front"]))
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("aria-label") == EXPERIMENT.question


def test_a_baseline_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="compares with 'one engagement', but there are two"):
        compare(EXPERIMENT, walks_of({"two engagement": [columns([0.1])]}), 14)


def test_a_variant_is_the_recipe_with_what_differs_and_its_source_alone() -> None:
    recipe = EXPERIMENT.recipe_of(BASE, "two", seed=9)
    assert (recipe.seed, list(recipe.sources), recipe.rules.max_null_share) == (9, ["recent"], 0.5)
    assert recipe.sources["recent"].last == 7
    assert EXPERIMENT.recipe_of(BASE, "one", seed=9).sources["recent"] == BASE.sources["recent"]
