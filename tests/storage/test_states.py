"""States on disk: what is written is read back, mapped and never pickled."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from retrieval.domain import State
from storage.states import read_state, write_state

DTYPES = (np.float32, np.int32, np.int64, np.bool_, np.uint8)


@settings(max_examples=30, deadline=None)
@given(
    array=st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_side=0, max_dims=3))),
    strings=st.lists(st.text()),
    fact=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists),
    graph=st.binary(),
)
def test_a_state_read_back_is_the_state_written(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, strings: list[str], fact: object, graph: bytes
) -> None:
    strings = [text.encode("utf-8", "ignore").decode() for text in strings]
    folder = tmp_path_factory.mktemp("state") / "model"
    write_state(
        folder, State({"weights": array}, {"fact": fact}, {"tower": graph}, {"ids": pa.array(strings, pa.string())})
    )
    found = read_state(folder)
    np.testing.assert_array_equal(found.arrays["weights"], array)
    assert found.arrays["weights"].dtype == array.dtype
    assert found.strings["ids"].to_pylist() == strings
    assert found.facts == {"fact": fact}
    assert found.graphs == {"tower": graph}


def test_an_empty_state_is_a_state(tmp_path: Path) -> None:
    write_state(tmp_path / "model", State())
    assert read_state(tmp_path / "model") == State()


def test_arrays_are_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    write_state(tmp_path, State({"weights": np.arange(6.0).reshape(2, 3)}))
    weights = read_state(tmp_path).arrays["weights"]
    assert isinstance(weights, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


def test_a_transposed_array_keeps_its_values(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3).T
    write_state(tmp_path, State({"weights": array}))
    np.testing.assert_array_equal(read_state(tmp_path).arrays["weights"], array)


def test_strings_outlive_their_file(tmp_path: Path) -> None:
    ids = pa.array([f"item-{n}" for n in range(10_000)])
    write_state(tmp_path, State(strings={"ids": ids}))
    found = read_state(tmp_path).strings["ids"]
    (tmp_path / "ids.arrow").unlink()
    assert found.equals(ids)


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        write_state(tmp_path, State({"weights": np.array([{"a": 1}, None], dtype=object)}))


def test_a_pickle_in_an_array_file_is_never_loaded(tmp_path: Path) -> None:
    write_state(tmp_path, State())
    np.save(tmp_path / "weights.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        read_state(tmp_path)
    (tmp_path / "weights.npy").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match="pickle"):
        read_state(tmp_path)


def test_equal_states_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_state(
            tmp_path / name, State({"w": np.arange(5)}, {"b": 1, "a": 2}, {"g": b"x"}, {"ids": pa.array(["a"])})
        )
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert [(tmp_path / "one" / f).read_bytes() for f in files] == [(tmp_path / "two" / f).read_bytes() for f in files]
