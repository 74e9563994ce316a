"""The cache of text vectors: a text is encoded once in its life."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.text import HashedEncoder
from storage.durable import STAGING
from storage.embeddings import TextVectors

ENCODER = HashedEncoder(dim=8)


class Counting:
    """An encoder that writes down what it was asked for."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.texts += texts
        return ENCODER.encode(texts)


def text(*texts: str) -> pa.StringArray:
    return pa.array(texts, pa.string())


def test_only_texts_never_met_are_encoded(tmp_path: Path) -> None:
    cache, encode = TextVectors(tmp_path / "e"), Counting()
    assert cache.lookup(text("a", "b"), encode)[1] == 2
    assert cache.lookup(text("c", "b", "a"), encode)[1] == 1
    assert cache.lookup(text("b", "c"), encode)[1] == 0
    assert sorted(encode.texts) == ["a", "b", "c"]


def test_a_text_that_comes_twice_is_encoded_once(tmp_path: Path) -> None:
    encode = Counting()
    vectors, n_encoded = TextVectors(tmp_path).lookup(text("a", "b", "a", "a"), encode)
    assert (n_encoded, sorted(encode.texts)) == (2, ["a", "b"])
    np.testing.assert_array_equal(vectors, ENCODER.encode(["a", "b", "a", "a"]))


@settings(max_examples=25, deadline=None)
@given(nights=st.lists(st.lists(st.text(st.sampled_from("abc é"), max_size=3), min_size=1), min_size=1, max_size=4))
def test_vectors_are_those_of_the_texts_in_their_order_on_every_night(
    tmp_path_factory: pytest.TempPathFactory, nights: list[list[str]]
) -> None:
    cache, encode = TextVectors(tmp_path_factory.mktemp("cache")), Counting()
    for texts in nights:
        vectors, _ = cache.lookup(text(*texts), encode)
        np.testing.assert_array_equal(vectors, ENCODER.encode(texts))
    assert len(encode.texts) == len(set(encode.texts))


def test_an_encoder_that_fails_leaves_the_cache_as_it_was(tmp_path: Path) -> None:
    cache, encode = TextVectors(tmp_path), Counting()
    cache.lookup(text("a"), encode)

    def failing(_: list[str]) -> np.ndarray:
        raise MemoryError

    with pytest.raises(MemoryError):
        cache.lookup(text("a", "b"), failing)
    assert cache.lookup(text("a", "b"), encode)[1] == 1


WRITE = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa
from retrieval.text import HashedEncoder
from storage import embeddings

real = np.save
def save(file, array, **more):
    real(file, array, **more)
    print("half", flush=True)
    sys.stdin.readline()
np.save = save
embeddings.TextVectors(Path(sys.argv[1])).lookup(pa.array(["a", "new"]), HashedEncoder(dim=8).encode)
"""


def test_a_killed_writer_leaves_a_cache_that_works(
    tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    cache, encode = TextVectors(tmp_path), Counting()
    cache.lookup(text("a"), encode)
    writer = python(WRITE, tmp_path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    assert list(tmp_path.glob(f"{STAGING}*"))
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    vectors, n_encoded = cache.lookup(text("new", "a"), encode)
    assert n_encoded == 1
    np.testing.assert_array_equal(vectors, ENCODER.encode(["new", "a"]))
    assert not list(tmp_path.glob(f"{STAGING}*"))


def test_two_writers_of_the_same_texts_do_no_harm(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    writers = [python(WRITE, tmp_path) for _ in range(2)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
    for writer in writers:
        writer.communicate("go\n" * 5)
        assert writer.returncode == 0
    vectors, n_encoded = TextVectors(tmp_path).lookup(text("new", "a"), Counting())
    assert n_encoded == 0
    np.testing.assert_array_equal(vectors, ENCODER.encode(["new", "a"]))
