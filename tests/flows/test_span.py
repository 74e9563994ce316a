"""What a backfill refuses before it begins, and the form it is asked by."""

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from flows.backfill import backfill
from flows.span import Span
from retrieval.backlog import Mode, Steps
from retrieval.errors import ContractError

TODAY = dt.date(2026, 3, 1)


def day(n: int) -> dt.date:
    return TODAY + dt.timedelta(days=n)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"start": day(-1), "end": day(-2)}, r"ends on 2026-02-27, before it starts on 2026-02-28\. Swap the two days"),
        (
            {"start": day(-1), "end": day(1)},
            r"ends on 2026-03-02, in the future: today is 2026-03-01 in UTC",
        ),
        ({"start": day(-92), "end": day(0)}, r"has 93 days .*, at most 92 may it have\. Choose fewer .* to 93"),
        ({"start": day(-3), "end": day(0), "max_days": 3}, r"has 4 days .* at most 3"),
        ({"start": day(0), "end": day(0), "promote": True}, r"promote is on, but the steps end with logs"),
        ({"start": day(0), "end": day(0), "promote": True, "steps": Steps.train}, r"the steps end with train"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_cure(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        Span(**asked).require_sensible(TODAY)


def test_today_and_a_span_as_long_as_the_limit_are_sensible() -> None:
    Span(start=day(-91), end=day(0)).require_sensible(TODAY)
    Span(start=day(0), end=day(0), steps=Steps.evaluate, promote=True).require_sensible(TODAY)


def test_the_limit_has_limits() -> None:
    for n in (0, 3661):
        with pytest.raises(ValidationError):
            Span(start=TODAY, end=TODAY, max_days=n)


def test_the_form_has_dates_selects_and_a_word_on_every_field() -> None:
    schema: Any = backfill.parameters.model_dump()
    form, definitions = schema["definitions"]["Span"], schema["definitions"]
    fields = form["properties"]
    assert form["required"] == ["start", "end"]
    assert {name: fields[name]["format"] for name in ("start", "end")} == {"start": "date", "end": "date"}
    for name, choices in {"mode": Mode, "steps": Steps}.items():
        (chosen,) = [part["$ref"] for part in (fields[name], *fields[name].get("allOf", [])) if "$ref" in part]
        assert definitions[chosen.rsplit("/", 1)[-1]]["enum"] == [choice.value for choice in choices]
    assert all(len(field["description"]) > 20 and field["title"] for field in fields.values())
    others = {name: value for name, value in schema["properties"].items() if name != "span"}
    assert set(others) == {"recipe", "lake", "landing", "releases"}
    assert all(value["description"] for value in others.values())
