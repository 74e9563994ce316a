"""The reference of the reader names everything a service can call, with its defaults."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrieval import errors
from storage import serving
from storage.serving import Answer, Recommender, open_release
from storage.whys import Reason

REFERENCE = (Path(__file__).parent.parent / "docs" / "reader.md").read_text()
METHODS = {name: value for name, value in vars(Recommender).items() if inspect.isfunction(value) and name[0] != "_"}
CALLED: dict[str, Callable[..., Any]] = {"open_release": open_release} | {
    f"Recommender.{n}": m for n, m in METHODS.items()
}


def section(heading: str) -> str:
    (found,) = re.findall(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    return str(found)


def rows(text: str) -> dict[str, list[str]]:
    found = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in found}


@pytest.mark.parametrize("name", CALLED)
def test_every_parameter_is_named_with_its_default(name: str) -> None:
    given = [p for p in inspect.signature(CALLED[name]).parameters.values() if p.name != "self"]
    text = section(f"`{name}({', '.join(p.name for p in given)})`")
    if not rows(text):
        assert all(f"`{p.name}`" in text for p in given)
        return
    said = {p.name: "" if p.default is p.empty else f"`{p.default!r}`".replace("'", '"') for p in given}
    assert {parameter: cells[0] for parameter, cells in rows(text).items()} == said


def test_every_field_of_an_answer_and_every_property_is_named() -> None:
    assert list(rows(section("`Answer`"))) == [field.name for field in dataclasses.fields(Answer)]
    assert list(rows(section("`Reason`"))) == [field.name for field in dataclasses.fields(Reason)]
    properties = {name for name, value in vars(Recommender).items() if isinstance(value, property)}
    assert set(rows(section("What it says of itself"))) == properties | {"last_error"}


def test_every_public_name_of_the_module_has_a_section() -> None:
    own = {
        n
        for n, v in vars(serving).items()
        if getattr(v, "__module__", "") == serving.__name__ and inspect.getdoc(v) and len(n) > 1
    }
    own = {name for name in own if name[0] != "_"}
    assert own == {"Answer", "Recommender", "open_release"}
    assert all(f"`{name}" in REFERENCE for name in own)


def test_every_error_that_is_named_exists() -> None:
    named = set(re.findall(r"`(\w+(?:Error|Id))`", REFERENCE)) - {"ValueError", "TypeError"}
    assert named and all(hasattr(errors, name) for name in named)
