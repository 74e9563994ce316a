"""What is packed comes back the same, and is made of plain values alone."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from retrieval.domain import Catalogue, Dataset, Histories, People
from retrieval.packing import pack, unpack
from retrieval.synthetic import planted_world
from retrieval.text import HashedEncoder


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    world = planted_world(n_users=20, n_items=16, n_days=4)
    return world.dataset(world.days[-1], HashedEncoder(8))


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize(("kind", "name"), [(Catalogue, "catalogue"), (People, "people"), (Histories, "histories")])
def test_values_survive_packing(dataset: Dataset, kind: type, name: str) -> None:
    value = getattr(dataset, name)
    assert_same(unpack(kind, pack(value)), value)


def test_a_whole_dataset_survives_with_and_without_text_vectors(dataset: Dataset) -> None:
    assert_same(unpack(Dataset, pack(dataset)), dataset)
    bare = dataclasses.replace(dataset, text_vectors=None)
    assert_same(unpack(Dataset, pack(bare)), bare)


def test_packed_values_are_arrays_strings_and_facts_named_by_their_path(dataset: Dataset) -> None:
    state = pack(dataset.catalogue)
    assert {"features.offsets", "topics.values", "first_seen"} <= set(state.arrays)
    assert {"ids.ids", "texts"} <= set(state.strings)
    assert state.facts["ids.what"] == "item"
    assert all(isinstance(strings, pa.StringArray) for strings in state.strings.values())
    assert not any(array.dtype.hasobject for array in state.arrays.values())
