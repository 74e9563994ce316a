"""A recipe is what it says, is named by it, and refuses what it does not know."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from retrieval.errors import RecipeError
from retrieval.recipe import Recipe

RECIPES = sorted((Path(__file__).parents[2] / "deployments" / "recipes").glob("*.toml"))
PLAIN = """
name = "plain"
seed = 3

[actions]
buy = { sign = "+", weight = 2.0 }
rate = { min_value = 4.0, sign = "+" }

[sources.popular]
kind = "popular"
half_life_days = 7.0

[sources.knn]
kind = "item_knn"
"""
TURNED = """
seed = 3
name = "plain"

[sources.knn]
kind = "item_knn"

[sources.popular]
half_life_days = 7
kind = "popular"

[actions]
rate = { sign = "+", min_value = 4 }
buy = { weight = 2, sign = "+" }
"""


def read(folder: Path, text: str) -> Recipe:
    (folder / "recipe.toml").write_text(text)
    return Recipe.read(folder / "recipe.toml")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(RecipeError) as refused:
        read(folder, text)
    return str(refused.value)


def test_there_are_recipes_to_read() -> None:
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_deployments_loads_under_its_files_name(path: Path) -> None:
    recipe = Recipe.read(path)
    assert recipe.name == path.stem
    assert Recipe.model_validate_json(recipe.model_dump_json()).id == recipe.id


def test_id_is_the_same_under_any_order_of_keys(tmp_path: Path) -> None:
    assert read(tmp_path, PLAIN).id == read(tmp_path, TURNED).id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed = 3", "seed = 4"),
        ("half_life_days = 7.0", "half_life_days = 7.5"),
        ("weight = 2.0", "weight = 1.0"),
        ("sources.knn", "sources.nn"),
    ],
)
def test_id_changes_with_the_content(tmp_path: Path, old: str, new: str) -> None:
    assert read(tmp_path, PLAIN).id != read(tmp_path, PLAIN.replace(old, new)).id


def test_id_is_twelve_hexadecimal_digits(tmp_path: Path) -> None:
    id_ = read(tmp_path, PLAIN).id
    assert len(id_) == 12
    int(id_, 16)


def test_saying_a_default_changes_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, PLAIN).id == read(tmp_path, PLAIN + "\n[serving]\nexclude_seen = false\n").id


@pytest.mark.parametrize(
    ("addition", "path"),
    [
        ("\n[serving]\nexclude_sene = true\n", "serving.exclude_sene"),
        ("\n[sources.other]\nkind = 'popular'\nhalf_life = 2\n", "sources.other.popular.half_life"),
        ("\n[rules]\nmax_nul_share = 0.1\n", "rules.max_nul_share"),
        ("\n[surprise]\nx = 1\n", "surprise"),
    ],
)
def test_an_unknown_key_is_refused_with_its_path(tmp_path: Path, addition: str, path: str) -> None:
    message = refusal(tmp_path, PLAIN + addition)
    assert f"{path}: Extra inputs are not permitted" in message
    assert str(tmp_path / "recipe.toml") in message


def test_an_unknown_family_is_refused_with_those_there_are(tmp_path: Path) -> None:
    message = refusal(tmp_path, PLAIN + "\n[sources.other]\nkind = 'oracle'\n")
    assert "sources.other" in message
    assert all(kind in message for kind in ("popular", "item_knn", "two_tower"))


def test_a_blend_of_unknown_sources_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, PLAIN + "\n[blend.weights]\nknn = 1.0\noracle = 2.0\n")
    assert "blend.weights names ['oracle'], but sources are ['knn', 'popular']" in message


def test_a_blend_that_leaves_every_source_out_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, PLAIN + "\n[blend.weights]\nknn = 0.0\npopular = 0.0\n")
    assert "blend.weights leaves out every source" in message


@pytest.mark.parametrize("name", ["blend", "a b", "../up", ""])
def test_a_source_whose_name_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    assert "is no name" in refusal(tmp_path, PLAIN + f"\n[sources.'{name}']\nkind = 'popular'\n")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "plain"', 'name = "Plain Words"', "name: String should match"),
        ("half_life_days = 7.0", "half_life_days = 0", "half_life_days: Input should be greater than 0"),
        ('buy = { sign = "+", weight = 2.0 }', 'buy = { sign = "?" }', "actions.buy.sign: Input should be '+' or '-'"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_what_it_may_be(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert fault in refusal(tmp_path, PLAIN.replace(old, new))


def test_a_recipe_without_sources_or_actions_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'name = "bare"\n[actions]\n[sources]\n')
    assert "actions: " in message
    assert "sources: " in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"there is no recipe .*nowhere\.toml"):
        Recipe.read(tmp_path / "nowhere.toml")


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, 'name = "x"\nseed = = 3\n')


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is no TOML"):
        Recipe.read(tmp_path / "recipe.toml")


def test_a_recipe_does_not_change(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read(tmp_path, PLAIN).seed = 4


def test_a_batch_of_an_unknown_source_is_refused_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(PLAIN + '[batch]\nsource = "two_towers"\n')
    with pytest.raises(
        RecipeError,
        match=r"batch\.source is 'two_towers', but there are \['popular', 'knn', 'blend'\]: name one",
    ):
        Recipe.read(path)


def test_a_cohort_that_is_never_followed_for_long_enough_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(PLAIN + "[convergence]\nsettled_days = 4\nmin_nights = 5\n")
    with pytest.raises(RecipeError, match="min_nights is 5 and settled_days 4: no cohort is followed as long"):
        Recipe.read(path)
