"""Every alert from its cause to the people: a real server, its automations, an HTTP and an SMTP server that listen."""

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from alerted import Alerted, alerted, look, night
from live_prefect import wait_for
from places import QUICK_RECIPE, Place, land, landed
from pydantic import SecretStr

from flows.automations import AUTOMATIONS
from retrieval.errors import DayRefused
from retrieval.synthetic import planted_world
from storage.releases import ReleaseStore
from tasks.automations import deploy
from tasks.tell import WATCHED, say_watched

pytestmark = pytest.mark.slow
LIGHT = QUICK_RECIPE.split("[sources.item_knn]")[0]
"""Nights of one quick source: what is told of them is what is looked at here."""
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alerted]:
    with alerted(tmp_path_factory.mktemp("server")) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_heard(people: Alerted) -> None:
    people.forget()


@pytest.fixture
def light(place: Place) -> Place:
    place.recipe_file.write_text(LIGHT)
    return place


def spoil(place: Place, day: dt.date) -> None:
    """One user in ten is nobody."""
    events = place.world.events(day)
    nobody = pa.array(["" if n % 10 == 0 else user for n, user in enumerate(events["user_id"].to_pylist())])
    land(place.landing, "events", day, events.set_column(events.schema.get_field_index("user_id"), "user_id", nobody))


def nothing_more(people: Alerted, place: Place, day: dt.date, hour: float = 3, **limits: float) -> None:
    """A second look and a third tell nobody anything."""
    before = people.received.counts()
    look(place, day, hour, **limits)
    found = look(place, day, hour + 0.1, **limits)
    assert (found.opened, found.resolved, found.unseen) == ([], [], {})
    people.received.await_each(before[0])


def test_a_refused_day_is_told_by_its_night_once_and_once_more_when_it_is_loaded(people: Alerted, light: Place) -> None:
    day, after = light.last_day, light.last_day + dt.timedelta(1)
    spoil(light, day)
    with pytest.raises(DayRefused):
        night(light, day)
    hook = people.opened("data-quality", day=day.isoformat(), rule="null_share", expected="at most 0.01")
    assert hook["severity"] == "block" and hook["link"] == light.lake.quality(day).as_uri()
    nothing_more(people, light, after)
    land(light.landing, "events", day, light.world.events(day))
    night(light, day)
    people.resolved("data-quality")
    nothing_more(people, light, after)


def test_files_that_cannot_be_used_are_told(people: Alerted, light: Place) -> None:
    day = light.last_day
    light.events_file(day).write_bytes(b"half a file")
    with pytest.raises(Exception, match="not a whole Parquet file"):
        night(light, day)
    people.opened("data-quality", day=day.isoformat(), rule="landed_files", observed="not usable")
    nothing_more(people, light, day + dt.timedelta(1))
    land(light.landing, "events", day, light.world.events(day))
    night(light, day)
    people.resolved("data-quality")


def test_a_rule_that_warns_is_told_until_the_day_passes_it(people: Alerted, light: Place) -> None:
    day, events = light.last_day, light.world.events(light.last_day)
    land(light.landing, "events", day, pa.concat_tables([events, events.slice(0, events.num_rows // 4)]))
    night(light, day)
    hook = people.opened("data-quality", day=day.isoformat(), rule="duplicate_share")
    assert hook["severity"] == "warn"
    nothing_more(people, light, day + dt.timedelta(1))
    land(light.landing, "events", day, events)
    night(light, day)
    people.resolved("data-quality")


def test_a_release_that_the_gate_holds_is_told_until_somebody_makes_it_live(people: Alerted, light: Place) -> None:
    light.recipe_file.write_text(LIGHT + "\n[gate.floors]\n'nDCG@10' = 1.0\n")
    held = night(light, light.last_day).release
    hook = people.opened("gate", day=light.last_day.isoformat(), rule="nDCG@10", expected="at least 1.0000")
    assert held.id in hook["meaning"] and "releases promote" in hook["cure"] and hook["link"].endswith("report.html")
    after = light.last_day + dt.timedelta(1)
    nothing_more(people, light, after)
    ReleaseStore(light.lake.releases).promote(held.id, at=dt.datetime.now(dt.UTC), who="ada", why="fine", by_hand=True)
    look(light, after, 4)
    people.resolved("gate")


def test_a_night_that_raises_is_told_with_its_error_and_its_run(people: Alerted, light: Place) -> None:
    night(light, light.world.days[-2])
    people.forget()
    day, artifacts = light.last_day, light.lake.all_artifacts
    shutil.rmtree(artifacts)
    artifacts.write_text("somebody put a file where a folder should be")
    with pytest.raises(OSError):
        night(light, day)
    hook = people.opened("night-failed", day=day.isoformat(), rule="night", expected="a finished night")
    assert "NotADirectoryError" in hook["observed"] or "FileExistsError" in hook["observed"]
    assert hook["link"].startswith(people.server.url) and "/flow-run/" in hook["link"]
    nothing_more(people, light, day + dt.timedelta(1), 7)
    artifacts.unlink()
    night(light, day)
    people.resolved("night-failed")


def test_a_missing_night_and_an_old_index_are_told_by_the_hour(people: Alerted, light: Place) -> None:
    first, second = light.world.days[-2:]
    night(light, first)
    after = second + dt.timedelta(1)
    for hour in (0.5, 5.9):
        assert look(light, after, hour).open == []
    look(light, after, 6.1)
    people.opened("night-missing", day=second.isoformat(), observed=f"the newest release is of {first}")
    nothing_more(people, light, after, 7)
    people.forget()
    look(light, after, 12.5)
    people.opened("index-age", day=first.isoformat(), observed="36 hours", expected="at most 36 hours")
    nothing_more(people, light, after, 13)
    people.forget()
    night(light, second)
    look(light, after, 14)
    people.received.await_each(2)
    told = [(hook["state"], hook["kind"]) for hook in people.received.hooks]
    assert sorted(told) == [("resolved", "index-age"), ("resolved", "night-missing")]


def test_a_disk_without_room_is_told(people: Alerted, light: Place) -> None:
    night(light, light.last_day)
    day = light.last_day + dt.timedelta(1)
    look(light, day, 3, min_free_gib=1e6)
    hook = people.opened("disk", day=day.isoformat(), rule="min_free_gib", expected="at least 1e+06 GiB")
    assert "GiB free" in hook["observed"]
    nothing_more(people, light, day, 3.5, min_free_gib=1e6)
    look(light, day, 4)
    people.resolved("disk")


def test_fresh_items_that_do_not_settle_are_told(people: Alerted, tmp_path: Path) -> None:
    world = planted_world(n_users=60, n_items=100, n_fresh=8, n_days=12, landings=(7, 8))
    place = landed(tmp_path, world)
    sections = '[sources.als]\nkind = "als"\ndim = 6\n[convergence]\nsettled_days = 5\nmin_items = 4\nmin_nights = 3\n'
    place.recipe_file.write_text(f"{LIGHT}{sections}factor = 1.01\n")
    for index in (7, 8, 9, 10):
        night(place, world.days[index])
    day = world.days[10]
    hook = people.opened("convergence", day=day.isoformat())
    assert hook["rule"].startswith("convergence of als, ") and hook["link"].endswith("report.html#convergence")
    nothing_more(people, place, day + dt.timedelta(1))
    place.recipe_file.write_text(f"{LIGHT}{sections}factor = 1000\n")
    night(place, world.days[11])
    people.resolved("convergence")


def test_the_deployed_watch_looks_by_itself_and_says_that_it_did(people: Alerted, light: Place) -> None:
    people.server.deploy()
    (deployment,) = [e["id"] for e in people.server.ask("/deployments/filter") if e["name"] == "watch"]
    with people.server.worker(LAMPLIGHTER_LAKE=str(light.lake.root)):
        run = people.server.ask(f"/deployments/{deployment}/create_flow_run", parameters={"min_free_gib": 1e6})
        asked = {"flow_runs": {"id": {"any_": [run["id"]]}, "state": {"type": {"any_": ["COMPLETED"]}}}}
        wait_for(lambda: people.server.ask("/flow_runs/filter", **asked), seconds=120)
    people.opened("disk", rule="min_free_gib")
    heard = people.server.ask("/events/filter", filter={"event": {"name": [WATCHED]}})["events"]
    assert any(str(light.lake.root) in event["payload"]["text"] for event in heard)
    addresses = [str(port) for port in (people.received.http, people.received.smtp)]
    events = json.dumps(people.server.ask("/events/filter", filter={}, limit=50))
    assert not any(f"127.0.0.1:{address}" in events for address in addresses), "addresses are secrets"


def test_a_watch_that_falls_silent_is_told_by_the_server_and_again_when_it_is_back(
    people: Alerted, light: Place, tmp_path: Path
) -> None:
    """The file says 45 minutes; with ten seconds it is the same rule."""
    channels = {name: SecretStr(people.received.environment[f"LAMPLIGHTER_ALERT_{name.upper()}"]) for name in NAMES}
    shutil.copytree(AUTOMATIONS, tmp_path / "automations")
    file = tmp_path / "automations" / "watch-silent.yaml"
    file.write_text(file.read_text().replace("within: 2700", "within: 10"))
    deploy(tmp_path / "automations", channels)  # type: ignore[arg-type]
    now = dt.datetime.now(dt.UTC)
    try:
        say_watched(light.lake, now, silent_since=None)
        people.received.await_each(1, seconds=60, settle=15)
        (hook,) = people.received.hooks
        assert (hook["kind"], hook["state"]) == ("watch-silent", "opened")
        assert str(light.lake.root) in people.received.slacks[0]
        assert "docs/runbook.md#alert-watch-silent" in people.received.bodies[0]
    finally:
        deploy(AUTOMATIONS, channels)  # type: ignore[arg-type]
    say_watched(light.lake, now + HOUR, silent_since=now)
    people.received.await_each(2)
    assert people.received.hooks[-1]["state"] == "resolved"


NAMES = ("webhook", "slack", "email")


def test_the_command_tries_every_channel_and_says_what_is_wrong_with_one(people: Alerted) -> None:
    done = people.lamplighter("alerts", "test", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(sent["channel"], sent["arrived"]) for sent in json.loads(done.stdout)["sent"]] == [
        (n, True) for n in NAMES
    ]
    people.received.await_each(1)
    wrong = f"http://127.0.0.1:{people.received.http}/s3cret"
    done = people.lamplighter(
        "alerts",
        "test",
        "--json",
        LAMPLIGHTER_ALERT_SLACK=wrong,
        LAMPLIGHTER_ALERT_EMAIL="mailto://ann:s3cret@127.0.0.1:9?from=a@example.org&to=b@example.org",
    )
    assert done.returncode == 1
    sent = {entry["channel"]: entry for entry in json.loads(done.stdout)["sent"]}
    assert (sent["webhook"]["arrived"], sent["slack"]["arrived"], sent["email"]["arrived"]) == (True, False, False)
    assert "answered 404" in sent["slack"]["found"] and "token" in sent["slack"]["cure"]
    assert "s3cret" not in done.stdout + done.stderr
    assert people.lamplighter("alerts", "deploy").returncode == 0


def test_deploying_again_changes_nothing_removes_what_is_gone_and_leaves_switched_off_what_is(
    people: Alerted, tmp_path: Path
) -> None:
    def on_server() -> dict[str, tuple[str, bool, str]]:
        found = people.server.ask("/automations/filter")
        return {entry["name"]: (entry["id"], entry["enabled"], entry["updated"]) for entry in found}

    before = on_server()
    assert set(before) == {f"lamplighter-{path.stem}" for path in AUTOMATIONS.glob("*.yaml")}
    assert people.lamplighter("alerts", "deploy").returncode == 0
    assert on_server() == before
    people.server.prefect("automation", "pause", "lamplighter-disk")
    shutil.copytree(AUTOMATIONS, tmp_path / "automations")
    (tmp_path / "automations" / "gate.yaml").unlink()
    done = deploy(tmp_path / "automations", {}, drop=True)
    assert done.removed == ("gate",) and done.channels == ()
    after = on_server()
    assert "lamplighter-gate" not in after and after["lamplighter-disk"][1] is False
    blocks = [document["name"] for document in people.server.ask("/block_documents/filter")]
    assert not any(name.startswith("lamplighter-") for name in blocks), "an address that is set no more is kept nowhere"
    people.server.prefect("automation", "resume", "lamplighter-disk")
    assert people.lamplighter("alerts", "deploy").returncode == 0
