"""A server that fails now and then: a change comes about, or what was live stays as it was."""

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff
from bundles import add, contents, day_of, fill_with, nights, promote
from changer import opened_when_free
from faulty import FAULTS, faulty
from release_places import Server

from retrieval.errors import ReleaseError
from storage.releases import CURRENT, ReleaseStore, bucket, lease
from storage.releases.s3 import S3Place

PARTS = 5 << 20
"""Bytes of a part of a large upload: the least that servers take."""


@pytest.fixture(params=["moto", "juicefs"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    found: Server = request.getfixturevalue(request.param)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def store(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseStore:
    """A store whose client gives up soon, and asks again at once."""
    monkeypatch.setattr(bucket, "READ_SECONDS", 1.0)
    monkeypatch.setattr(bucket, "PART_BYTES", PARTS)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)
    return opened(f"s3://lamplighter/faults-{uuid.uuid4().hex}", tmp_path / "copies")


def opened(uri: str, copies: Path) -> ReleaseStore:
    store = ReleaseStore(uri, copies)
    assert isinstance(store.place, S3Place)
    store.place.settle_seconds = 0.02
    return store


@dataclass
class Nights:
    """What became of nights that were published through a faulty proxy."""

    n_live: int = 0
    n_unchanged: int = 0
    n_torn: int = 0
    n_requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def publish_through_faults(store: ReleaseStore, server: Server, shares: Sequence[float], copies: Path) -> Nights:
    """Publish nights through a faulty proxy, look at each outcome directly, and publish it again where it failed."""
    start, told, (live,) = time.monotonic(), Nights(), nights(store, 1)
    for offset, share in enumerate(shares, 1):
        newer, large = f"{day_of(offset)}-a", b"x" * (2 * PARTS + 1) if offset % 4 == 0 else b""
        fill = fill_with(contents(newer, live) | {"large": large})
        with faulty(server.endpoint, share=share, seed=offset) as proxy, pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
            shaken = opened(store.uri, copies)
            try:
                shaken.add(newer, fill)
                assert promote(shaken, newer)
                assert store.current_id() == newer
                told.n_live += 1
            except ReleaseError as error:
                words = str(error)
                may_have_moved = "may have moved or not" in words
                assert may_have_moved or any(w in words for w in ("unchanged", "othing was changed", "is torn")), words
                assert store.current_id() in ([live, newer] if may_have_moved else [live])
                told.n_unchanged += store.current_id() == live
                told.n_live += store.current_id() == newer
                told.n_torn += "is torn" in words
        told.n_requests += proxy.n_requests
        told.faults += proxy.faults
        store.verify(store.current().id)
        store = opened_when_free(store.uri, copies)
        store.add(newer, fill)  # the same night again, and nothing fails: what was left is mended
        assert promote(store, newer, by_hand=True)
        store.verify(newer)
        live = newer
    for id_ in store.ids():
        store.verify(id_)
    print(f"\n{told}, {time.monotonic() - start:.0f} s")
    return told


def test_what_fails_now_and_then_is_asked_again(store: ReleaseStore, server: Server, tmp_path: Path) -> None:
    told = publish_through_faults(store, server, [0.05] * 2, tmp_path / "shaken")
    assert told.n_live + told.n_unchanged == 2
    assert told.n_live


@pytest.mark.slow
def test_a_server_that_fails_often_leaves_a_promotion_or_what_was_live(
    store: ReleaseStore, server: Server, tmp_path: Path
) -> None:
    shares = [0.1, 0.2, 0.3, 0.4, 0.5] * 8
    told = publish_through_faults(store, server, shares, tmp_path / "shaken")
    assert told.n_live + told.n_unchanged == 40
    assert told.n_live and told.n_unchanged, "neither outcome was tried"
    assert set(told.faults) == set(FAULTS)


def test_a_server_that_always_fails_is_named_in_one_sentence(
    store: ReleaseStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (live,) = nights(store, 1)
    with faulty(server.endpoint, share=1.0, seed=0) as proxy, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        proxy.rng.choice = lambda _: "500"  # type: ignore[method-assign]
        with pytest.raises(ReleaseError, match="What is live there is unchanged"):
            ReleaseStore(store.uri).current()
    assert store.current_id() == live
    assert isinstance(store.place, S3Place)


def test_an_answer_that_breaks_off_is_asked_for_again(
    store: ReleaseStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (live,) = nights(store, 1)
    with faulty(server.endpoint, share=1.0, seed=0) as proxy, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        faults = iter(["half", "half", None])
        proxy.fault = lambda _: next(faults)  # type: ignore[method-assign]
        assert ReleaseStore(store.uri).current_id() == live
    assert list(faults) == []


def test_a_lost_answer_to_the_end_of_a_large_upload_is_no_fault(
    store: ReleaseStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []

    def lose_the_first_end(asked: str) -> str | None:
        is_end = asked.startswith("POST") and "uploadId" in asked and not lost
        lost.extend([asked] if is_end else [])
        return "lost" if is_end else None

    with faulty(server.endpoint, share=1.0, seed=0) as proxy, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        proxy.fault = lose_the_first_end  # type: ignore[method-assign]
        ReleaseStore(store.uri).add(
            "large", fill_with(contents(f"{day_of(0)}-a", None) | {"large": b"x" * (2 * PARTS)})
        )
    assert lost
    store.verify("large")


def test_a_server_that_goes_silent_while_the_pointer_moves_is_not_called_unchanged(
    store: ReleaseStore, moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights(store, 1)
    newer = add(store, 1)
    assert isinstance(store.place, S3Place)
    write, read = store.place.bucket.write, store.place.bucket.read
    silent = False

    def write_and_fall_silent(name: str, data: bytes, **condition: str) -> None:
        nonlocal silent
        write(name, data, **condition)
        if name == CURRENT:
            silent = True
            raise ReleaseError("no answer")

    def read_unless_silent(name: str) -> tuple[bytes, str]:
        if silent:
            raise ReleaseError("no answer")
        return read(name)

    monkeypatch.setattr(store.place.bucket, "write", write_and_fall_silent)
    monkeypatch.setattr(store.place.bucket, "read", read_unless_silent)
    with pytest.raises(ReleaseError, match="may have moved or not"):
        promote(store, newer)
    silent = False
    assert store.current_id() == newer
