"""Lakes whose catalogue knows one item."""

from collections.abc import Callable

import pytest
from nights import Nights
from release_places import moto
from rows import day_of, item

from retrieval.rules import Rules
from storage.layout import Lake

__all__ = ["moto"]


@pytest.fixture
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Nights]:
    """A new lake at every call, with rules of its own."""

    def make(**rules: object) -> Nights:
        made = Nights(Lake(tmp_path_factory.mktemp("lake")), Rules.model_validate(rules))
        made.write("items", day_of(-30), [item("i1")])
        return made

    return make


@pytest.fixture
def nights(lakes: Callable[..., Nights]) -> Nights:
    return lakes()
