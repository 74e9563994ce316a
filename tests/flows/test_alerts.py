"""A rule that fails is told to Prefect, whose automations wake people."""

import datetime as dt
from pathlib import Path
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from places import Place, land, settings_of
from told import events_of

from flows.backfill import run_backfill
from flows.nightly import nightly
from flows.span import Span
from retrieval.errors import DayRefused
from tasks.alert import FAILED, KEPT_BACK, WARNED

pytestmark = pytest.mark.usefixtures("prefect_server")


def run(place: Place, day: dt.date) -> None:
    nightly(day, str(place.recipe_file), str(place.lake.root), str(place.landing))


def test_a_rule_that_blocks_tells_day_rule_observed_expected_and_a_link(place: Place) -> None:
    events = place.world.events(place.last_day)
    nobody = pa.array(["" if n % 10 == 0 else user for n, user in enumerate(events["user_id"].to_pylist())])
    land(
        place.landing,
        "events",
        place.last_day,
        events.set_column(events.schema.get_field_index("user_id"), "user_id", nobody),
    )
    with pytest.raises(DayRefused, match="null_share"):
        run(place, place.last_day)
    found = {event["payload"]["rule"]: event for event in events_of(str(place.lake.root), FAILED, 2)}
    assert set(found) == {"null_share", "refused_share"}
    payload = found["null_share"]["payload"]
    assert payload["day"] == place.last_day.isoformat()
    assert payload["expected"] == "at most 0.01"
    assert float(payload["observed"]) == pytest.approx(0.1, abs=0.01)
    assert payload["severity"] == "block"
    assert found["null_share"]["resource"]["prefect.resource.id"] == "lamplighter.rule.events.null_share"
    page = place.lake.quality(place.last_day)
    assert urlparse(payload["link"]).path == str(page)
    assert "null_share" in page.read_text()


def test_a_rule_that_warns_tells_too_and_the_night_goes_on(place: Place) -> None:
    events = place.world.events(place.last_day)
    some = events.filter(pc.less(pa.array(range(events.num_rows)), events.num_rows // 4))
    land(place.landing, "events", place.last_day, pa.concat_tables([events, some]))
    run(place, place.last_day)
    assert place.releases()
    (event,) = events_of(str(place.lake.root), WARNED, 1)
    assert (event["payload"]["rule"], event["payload"]["severity"]) == ("duplicate_share", "warn")


def test_a_backfill_tells_of_every_day_it_refuses(place: Place) -> None:
    first, second = place.world.days[2], place.world.days[3]
    land(place.landing, "events", first, place.world.events(second))
    land(place.landing, "events", second, place.world.events(second).slice(0, 0))
    days = place.world.days
    result = run_backfill(Span(start=days[0], end=days[5]), settings_of(place))
    assert result.ingested is not None and set(result.ingested.refused) == {first, second}
    found = events_of(str(place.lake.root), FAILED, 3)
    assert {event["payload"]["day"] for event in found} == {first.isoformat(), second.isoformat()}
    assert "n_rows" in {event["payload"]["rule"] for event in found}


def test_a_release_that_the_gate_holds_is_told_with_its_reasons_and_its_report(place: Place) -> None:
    place.recipe_file.write_text(place.recipe_file.read_text() + "\n[gate.floors]\n'nDCG@10' = 1.0\n")
    run(place, place.last_day)
    (event,) = events_of(str(place.lake.root), KEPT_BACK["hold"], 1)
    assert event["payload"]["day"] == place.last_day.isoformat()
    assert "nDCG@10" in event["payload"]["reasons"][0]
    assert "releases promote" in event["payload"]["cure"]
    assert "The gate holds the release" in Path(urlparse(event["payload"]["link"]).path).read_text()
