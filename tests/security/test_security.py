"""Nothing leads out of the lake, nothing is unpickled, no secret is written down, nothing from the logs runs."""

import ast
import dataclasses
import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from markup import EVIL, EVIL_ATTRIBUTE
from places import Place, landed
from playwright.sync_api import Browser, sync_playwright
from pydantic import ValidationError
from release_places import BUCKET, Server
from served import Served

from retrieval.comparison_page import render_comparison
from retrieval.errors import ArtifactError, ReleaseError
from retrieval.experiment import FIGURES, Comparison, Experiment, Row
from retrieval.metrics import Estimate
from retrieval.recipe import AnsweringRecipe, Recipe
from retrieval.synthetic import World, planted_world
from storage.manifest import FileEntry, Manifest
from storage.opening import Origin
from storage.reader import read_display
from storage.releases import ReleaseStore
from storage.serving import open_release

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "storage", "validation", "retrieval")
OUTSIDE = ("..", "../out", "/etc/passwd", "a/../../out", "a/b", ".", "", "a\\..\\out", "a\0b", "~/out", "%2e%2e")
CHROMIUM = shutil.which("chromium")


# Nothing leads out of the lake.


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_of_a_source_recipe_or_experiment_is_a_path(place: Place, name: str) -> None:
    plain = place.recipe.model_dump(mode="json")
    for changed in ({"sources": {name: {"kind": "popular"}}}, {"name": name}):
        with pytest.raises(ValidationError):
            Recipe.model_validate(plain | changed)
    with pytest.raises(ValidationError):
        AnsweringRecipe.model_validate(plain | {"sources": {name: {"kind": "popular"}}})
    known = {
        "question": "?",
        "recipe": "quick",
        "source": "popular",
        "seeds": [1],
        "variants": {"a": {}},
        "baseline": "a",
    }
    with pytest.raises(ValidationError):
        Experiment.model_validate(known | {"name": name})


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_id_of_a_release_leads_out_of_its_store(tmp_path: Path, name: str) -> None:
    store = ReleaseStore(tmp_path / "store")
    for folder in (tmp_path / "out", tmp_path):  # whole folders, where the ids would lead to
        folder.mkdir(exist_ok=True)
        Manifest.of_folder(folder, {}).write(folder)
    for ask in (store.get, store.fetch, store.verify, lambda id_: open_release(tmp_path / "store", id_)):
        with pytest.raises(ReleaseError, match="there is no release"):
            ask(name)


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name not in ("a/b", "~/out", "%2e%2e")])
def test_a_manifest_that_names_a_file_outside_is_refused(tmp_path: Path, name: str) -> None:
    planted = Manifest((FileEntry(name, 1, "0" * 64),), {}).as_bytes()
    with pytest.raises(ArtifactError, match="is no name inside a folder"):
        Manifest.parse(planted, tmp_path)


def test_a_copy_of_a_planted_release_writes_nothing_outside(
    moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    store = ReleaseStore(f"s3://{BUCKET}/planted", tmp_path / "cache")
    store.place.create("evil/0000000000000000/../../out", b"x")
    store.place.create("evil/manifest.json", Manifest((FileEntry("../../out", 1, "0" * 64),), {}).as_bytes())
    with pytest.raises(ReleaseError):
        store.fetch("evil")
    with pytest.raises(ArtifactError):
        store.place.fetch("evil")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# Nothing is unpickled.

FORBIDDEN = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNPICKLING = {"read_pickle", "to_pickle", "unsafe_load", "full_load"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize(
    "module", [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))], ids=str
)
def test_no_module_imports_or_calls_what_unpickles(module: Path) -> None:
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & FORBIDDEN, module
    for name, call in calls(tree):
        assert name not in ("torch.load", "torch.save", "eval", "exec", "compile"), f"{module}: {name}"
        assert name.rpartition(".")[2] not in UNPICKLING, f"{module}: {name}"
        if name in ("np.load", "np.save", "numpy.load"):
            said = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert said.get("allow_pickle") == "False", f"{module}: {ast.unparse(call)}"


READERS = """
import sys
from pathlib import Path
import importlib
for package in ("storage", "retrieval", "tasks", "validation"):
    for path in sorted(Path(package).rglob("*.py")):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
unpickled = []
sys.addaudithook(lambda event, values: unpickled.append(values) if event.startswith("pickle.") else None)
from storage.serving import open_release
from storage.spaces import read_source
from storage.states import read_state
recommender = open_release(sys.argv[1])
snapshot = recommender.opened.snapshot
users = snapshot.dataset.people.ids.ids.to_pylist()[:5]
items = snapshot.dataset.catalogue.ids.ids.to_pylist()[:5]
assert recommender.recommend(users, why=True).ids and recommender.similar(items).ids and recommender.search(["milk"]).ids
for state in sorted(Path(sys.argv[1]).rglob("facts.json")):
    read_state(state.parent)
print("unpickled", unpickled)
"""


def test_reading_every_part_of_a_release_unpickles_nothing(released: Served) -> None:
    command = [sys.executable, "-c", READERS, str(released.folder(released.latter))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "unpickled []", done.stderr


class Planted:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


PLANTED = ["sources/two_tower/vectors.npy", "text_vectors.npy", "histories", "sources/two_tower/index.faiss"]


@pytest.mark.parametrize("part", PLANTED)
def test_a_pickle_in_the_place_of_an_artifact_is_refused_and_never_runs(
    served: Served, tmp_path: Path, part: str
) -> None:
    import pickle

    mark, folder = tmp_path / "ran", served.folder(served.latter)
    target = next((folder / part).glob("*.npy")) if (folder / part).is_dir() else folder / part
    if target.suffix == ".npy":
        np.save(target, np.array([Planted(mark)], dtype=object), allow_pickle=True)
    else:
        target.write_bytes(pickle.dumps(Planted(mark)))
    Manifest.of_folder(folder, {}).write(folder)  # whoever can write there can do that as well
    with pytest.raises(ReleaseError, match="torn"):
        Origin(served.store, served.latter).open(full=False)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Planted(mark)))
    assert mark.exists(), "it would have run"


def test_a_pickle_in_the_place_of_what_people_are_shown_never_runs(served: Served, tmp_path: Path) -> None:
    import pickle

    (tmp_path / "items.parquet").write_bytes(pickle.dumps(Planted(tmp_path / "ran")))
    with pytest.raises(pa.ArrowInvalid):
        read_display(tmp_path, [0])
    assert not (tmp_path / "ran").exists()


# No secret is written down.

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hunter2-of-the-bucket",
    "AWS_SESSION_TOKEN": "hunter2-of-the-session",
    "LAMPLIGHTER_ALERT_EMAIL": "smtp://lamp:hunter2-of-the-mail@mail.invalid:587",
    "LAMPLIGHTER_ALERT_SLACK": "https://hooks.invalid/hunter2-of-the-channel",
    "LAMPLIGHTER_DATABASE_URL": "postgresql+asyncpg://lamp:hunter2-of-the-database@db.invalid/lamp",
    "SMTP_PASSWORD": "hunter2-of-the-mail",
}
NEEDLE = b"hunter2-of-the"


def holders(root: Path) -> list[str]:
    return [str(path) for path in root.rglob("*") if path.is_file() and NEEDLE in path.read_bytes()]


@pytest.mark.slow  # nights in processes of their own, on S3: about two minutes
def test_no_secret_of_the_environment_is_in_logs_reports_manifests_events_or_prefect_s_database(
    place: Place, moto: Server, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    variables = moto.environment | SECRETS
    variables |= {"PREFECT_HOME": str(home), "PREFECT_LOGGING_TO_API_ENABLED": "true", "PREFECT_LOGGING_LEVEL": "DEBUG"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | variables
    releases = f"s3://{BUCKET}/secrets"

    def run(*arguments: str, code: int = 0, **more: str) -> None:
        command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments, "--releases", releases]
        done = subprocess.run(command, cwd=ROOT, env=environment | more, capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        assert NEEDLE not in done.stdout + done.stderr, arguments

    lake = ["--lake", str(place.lake.root)]
    run("nightly", "--day", str(place.last_day), *place.options, "--json")
    run("releases", "show", *lake, "--json")
    run("doctor", *place.options)
    unreachable = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    run("nightly", "--day", str(place.last_day), *place.options, code=1, **unreachable)
    run("status", *lake, code=1, **unreachable)
    assert (home / "prefect.db").stat().st_size > 100_000, "the night was told to Prefect"
    assert holders(tmp_path) == []
    for name, value in moto.environment.items():
        os.environ.setdefault(name, value)
    store = ReleaseStore(releases, tmp_path / "copies")
    store.fetch(store.ids()[0])
    assert holders(tmp_path / "copies") == []
    (tmp_path / "needle").write_bytes(NEEDLE)
    assert holders(tmp_path) == [str(tmp_path / "needle")], "it would have been found"


# Nothing from the logs runs.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path: install it to see that pages run nothing")
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def assert_inert(browser: Browser, path: Path, *, shows: str = EVIL) -> None:
    """The page runs nothing, asks for nothing else, and shows what it was given as text."""
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    assert complaints == [] and asked == [path.as_uri()], path.name
    assert page.locator("img").count() == 0
    assert shows in page.evaluate("document.body.textContent"), path.name
    page.close()


def evil_world() -> World:
    """A world whose users, items, titles, topics, actions' contexts and attributes are markup."""
    world = planted_world(n_users=40, n_items=60, n_days=12)

    def spoiled(column: pa.ChunkedArray) -> pa.Array:
        return pa.array([f"{EVIL}{value}{EVIL_ATTRIBUTE}" for value in column.to_pylist()])

    def with_columns(table: pa.Table, *names: str) -> pa.Table:
        for name in names:
            table = table.set_column(table.column_names.index(name), name, spoiled(table[name]))
        return table

    topics = [[f"{EVIL}{topic}" for topic in found] for found in world.items["topics"].to_pylist()]
    items = with_columns(world.items, "item_id", "title")
    items = items.set_column(items.column_names.index("topics"), "topics", pa.array(topics, items["topics"].type))
    log = with_columns(world.log, "user_id", "item_id")
    return dataclasses.replace(world, items=items, users=with_columns(world.users, "user_id"), log=log)


@pytest.mark.slow  # two nights of a planted world
def test_a_night_of_markup_gives_pages_that_run_nothing(tmp_path: Path, prefect_server: None, browser: Browser) -> None:
    from flows.nightly import nightly

    place = landed(tmp_path, evil_world())
    day = place.last_day
    file = place.events_file(day)
    table = place.world.events(day)
    users = [None if row % 9 == 0 else user for row, user in enumerate(table["user_id"].to_pylist())]
    spoiled = table.set_column(table.column_names.index("user_id"), "user_id", pa.array(users, pa.string()))
    import pyarrow.parquet as pq

    pq.write_table(spoiled, file.with_name(f"{EVIL.replace('/', '')}.parquet"))
    file.unlink()
    place.recipe_file.write_text(
        place.recipe_file.read_text() + "\n[rules]\nmax_null_share = 0.5\nmax_refused_share = 0.5\n"
    )
    where = (str(place.recipe_file), str(place.lake.root), str(place.landing))
    nightly(place.world.days[-2], *where)
    done = nightly(day, *where)
    for name in ("report.html", "mixer.html"):
        assert_inert(browser, done.folder / name, shows=EVIL if name == "report.html" else "Shares")
    assert_inert(browser, place.lake.quality(day), shows="missing_user")


def test_the_page_of_a_comparison_runs_nothing(tmp_path: Path, browser: Browser) -> None:
    evil, value = EVIL + EVIL_ATTRIBUTE, Estimate(0.2, 0.1, 0.3)
    asked = Experiment(name="a", question=evil, recipe=evil, source=evil, baseline=evil, variants={"a": {}})
    figures = dict.fromkeys(FIGURES, value)
    rows = tuple(Row(f"{evil}{n}", figures, dict.fromkeys(FIGURES, 0.1), figures) for n in range(2))
    found = Comparison(evil, 1, 1, 1, rows, {evil: 1.0}, {}, {}, {})
    path = tmp_path / "comparison.html"
    path.write_text(render_comparison(asked, found, dt.date(2026, 3, 5)))
    assert_inert(browser, path)
