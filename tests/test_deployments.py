"""Every entrypoint, schedule and recipe that is deployed can be loaded."""

import importlib
from pathlib import Path

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule

from flows.settings import Settings
from flows.span import Span
from retrieval.experiment import Experiment
from retrieval.recipe import Recipe
from storage.datasets import DATASETS
from validation.incidents import Limits

DEPLOYMENTS = Path(__file__).parent.parent / "deployments"
DECLARED = yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text())["deployments"]
RECIPES = sorted((DEPLOYMENTS / "recipes").glob("*.toml"))
EXPERIMENTS = sorted((DEPLOYMENTS / "experiments").glob("*.toml"))


def entry(deployment: dict[str, str]) -> Flow[..., object]:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    flow = getattr(importlib.import_module(module), name)
    assert isinstance(flow, Flow)
    return flow


@pytest.mark.parametrize("deployment", DECLARED, ids=lambda deployment: deployment["name"])
def test_an_entrypoint_is_a_flow_that_takes_the_declared_parameters(deployment: dict[str, dict[str, object]]) -> None:
    properties = entry(deployment).parameters.properties  # type: ignore[arg-type]
    assert set(deployment.get("parameters", {})) <= set(properties)


@pytest.mark.parametrize("deployment", DECLARED, ids=lambda deployment: deployment["name"])
def test_a_deployment_offers_every_setting_and_leaves_each_to_the_environment(
    deployment: dict[str, dict[str, object]],
) -> None:
    taken = entry(deployment).parameters.properties  # type: ignore[arg-type]
    names = [name for name in Settings.model_fields if deployment["name"] != "watch" or name in taken]
    offered = {name: deployment["parameters"].get(name, "not offered") for name in names}
    assert offered == dict.fromkeys(names)


def test_the_night_is_scheduled_in_utc_and_never_twice_at_once() -> None:
    (nightly,) = [deployment for deployment in DECLARED if deployment["name"] == "nightly"]
    (schedule,) = nightly["schedules"]
    assert schedule["timezone"] == "UTC"
    CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    assert nightly["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


@pytest.mark.parametrize("deployment", DECLARED, ids=lambda deployment: deployment["name"])
def test_a_run_outlives_the_worker_that_began_it(deployment: dict[str, dict[str, dict[str, object]]]) -> None:
    assert deployment["work_pool"]["job_variables"]["stream_output"] is False


def test_a_backfill_promotes_nothing_unless_asked() -> None:
    (backfill,) = [deployment for deployment in DECLARED if deployment["name"] == "backfill"]
    assert "span" not in backfill["parameters"]
    assert Span.model_fields["promote"].default is False


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_is_called_like_its_file(path: Path) -> None:
    assert Recipe.read(path).name == path.stem


def test_every_data_set_has_a_recipe() -> None:
    names = {path.stem for path in RECIPES}
    assert names == set(DATASETS) | {f"{name}-mtmh" for name in DATASETS if f"{name}-mtmh" in names} >= set(DATASETS)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_variant_of_an_experiment_makes_a_recipe(path: Path) -> None:
    experiment = Experiment.read(path)
    base = Settings.given(recipe=experiment.recipe).read_recipe()
    assert experiment.name == path.stem
    ids = {experiment.recipe_of(base, variant, 1).id for variant in experiment.variants}
    assert len(ids) == len(experiment.variants)
    assert experiment.baseline.startswith(tuple(experiment.variants))


def test_the_watch_is_deployed_with_the_limits_that_it_has_by_default() -> None:
    (watch,) = [deployment for deployment in DECLARED if deployment["name"] == "watch"]
    defaults = {name: found["default"] for name, found in entry(watch).parameters.properties.items() if name != "at"}
    assert {name: watch["parameters"][name] for name in defaults} == defaults
    limits = Limits().model_dump()
    assert {name: limits[name] for name in defaults if name in limits and name != "expected_by"} == {
        name: value for name, value in defaults.items() if name in limits and name != "expected_by"
    }
    assert f"{limits['expected_by']:%H:%M}" == defaults["expected_by"]
