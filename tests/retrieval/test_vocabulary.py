"""Ids and rows lead to each other, and an unknown id is named."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import UnknownId
from retrieval.vocabulary import Vocabulary


@given(st.lists(st.one_of(st.none(), st.text(max_size=4).filter(lambda text: text.isascii()))))
def test_rows_are_positions_in_the_ascending_distinct_ids(ids: list[str | None]) -> None:
    vocabulary = Vocabulary.of(pa.array(ids, pa.string()), "item")
    wanted = sorted({id_ for id_ in ids if id_ is not None})
    assert vocabulary.ids.to_pylist() == wanted
    assert vocabulary.rows(wanted).tolist() == list(range(len(wanted)))
    assert vocabulary.names(range(len(wanted))) == wanted
    assert len(vocabulary) == len(wanted)


def test_unknown_and_null_ids_have_row_minus_one() -> None:
    vocabulary = Vocabulary.of(["b", "a"], "item")
    assert vocabulary.rows(["a", "x", "b"]).tolist() == [0, -1, 1]
    assert vocabulary.rows(pa.array(["b", None], pa.string())).tolist() == [1, -1]
    assert vocabulary.rows(pa.chunked_array([["b"], ["x", "a"]])).tolist() == [1, -1, 0]
    assert vocabulary.rows([]).tolist() == []


def test_unknown_id_is_named_with_what_is_known() -> None:
    vocabulary = Vocabulary.of(["b", "a"], "user")
    assert vocabulary.row("b") == 1
    with pytest.raises(UnknownId, match=r"user 'x' is not in this release \(2 users known\)\. Check the id"):
        vocabulary.row("x")
