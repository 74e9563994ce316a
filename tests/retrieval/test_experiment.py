"""What an experiment says of its variants, by counting."""

import numpy as np
import pytest

from retrieval.comparison_page import cell, lines_of, table_of
from retrieval.errors import RecipeError
from retrieval.experiment import FIGURES, Columns, Experiment, compare
from retrieval.recipe import Recipe

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
    return {name: np.array(fresh if name == "fresh_recall_at_100" else recall) for name in FIGURES}


def test_means_are_over_triggers_of_means_over_seeds_and_changes_are_ratios() -> None:
    found = {
        "one engagement": [columns([0.1, 0.3]), columns([0.3, 0.5])],
        "two merged α=50": [columns([0.2, 0.6]), columns([0.6, 1.0])],
        "two merged α=0": [columns([0.0, 0.0]), columns([0.0, 0.0])],
    }
    comparison = compare(EXPERIMENT, found, {"one": 1.0}, {})
    assert [row.name for row in comparison.rows] == ["one engagement", "two merged α=50"]
    one, two = comparison.rows
    assert one.figures["recall_at_100"].mean == pytest.approx(0.3)
    assert [getattr(two.change["recall_at_100"], end) for end in ("low", "mean", "high")] == pytest.approx([1.0] * 3)
    assert two.figures["fresh_recall_at_100"].mean == pytest.approx(0.4)
    assert one.spread["recall_at_100"] == pytest.approx(0.1)
    assert "+100 % [+100, +100]" in cell(two, "recall_at_100")
    assert table_of(comparison).count("\n") == 4
    assert [(name, [score["said"] for score in scores]) for name, scores in lines_of(comparison)] == [
        ("one engagement", [""]),
        ("two merged", ["α 50"]),
    ]


def test_a_baseline_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="compares with 'one engagement', but there are two"):
        compare(EXPERIMENT, {"two": [columns([0.1])]}, {}, {})


def test_a_variant_is_the_recipe_with_what_differs_and_its_source_alone() -> None:
    recipe = EXPERIMENT.recipe_of(BASE, "two", seed=9)
    assert (recipe.seed, list(recipe.sources), recipe.rules.max_null_share) == (9, ["recent"], 0.5)
    assert recipe.sources["recent"].last == 7
    assert EXPERIMENT.recipe_of(BASE, "one", seed=9).sources["recent"] == BASE.sources["recent"]
