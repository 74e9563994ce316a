"""A server that fails now and then: a change comes about, or what was live stays as it was."""

from pathlib import Path

import pytest
from bundles import add, day_of, nights, promote
from faulty import faulty
from release_places import Server

from retrieval.errors import ReleaseError
from storage.releases import CURRENT, ReleaseStore
from storage.releases.s3 import S3Place


@pytest.fixture
def store(moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseStore:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return ReleaseStore(f"s3://lamplighter/faults-{tmp_path.name}", tmp_path / "copies")


def publish_through_faults(
    store: ReleaseStore, target: str, monkeypatch: pytest.MonkeyPatch, *, n_nights: int, share: float
) -> tuple[int, int]:
    """Publish nights through a faulty proxy, and look at each outcome directly; how many ended how."""
    (live,) = nights(store, 1)
    outcomes = [0, 0]
    for offset in range(1, n_nights + 1):
        with faulty(target, share=share, seed=offset) as proxy, monkeypatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
            shaken = ReleaseStore(store.uri, Path(str(store.place.__dict__["cache"])) / "shaken")
            newer = f"{day_of(offset)}-a"
            try:
                add(shaken, offset, parent=live)
                assert promote(shaken, newer)
                assert store.current_id() == newer
                live, outcomes[0] = newer, outcomes[0] + 1
            except ReleaseError as error:
                may_have_moved = "may have moved or not" in str(error)
                assert may_have_moved or "unchanged" in str(error) or "othing was changed" in str(error), error
                assert store.current_id() in ([live, newer] if may_have_moved else [live])
                live = store.current().id
                outcomes[1] += 1
        store.verify(store.current().id)
        for id_ in store.ids():
            store.verify(id_)
    return outcomes[0], outcomes[1]


def test_what_fails_now_and_then_is_asked_again(
    store: ReleaseStore, moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, failed = publish_through_faults(store, moto.endpoint, monkeypatch, n_nights=3, share=0.05)
    assert done + failed == 3
    assert done >= 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_server_that_fails_often_leaves_a_promotion_or_what_was_live(
    store: ReleaseStore, moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, failed = publish_through_faults(store, moto.endpoint, monkeypatch, n_nights=40, share=0.3)
    assert done + failed == 40


def test_a_server_that_always_fails_is_named_in_one_sentence(
    store: ReleaseStore, moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (live,) = nights(store, 1)
    with faulty(moto.endpoint, share=1.0, seed=0) as proxy, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        proxy.rng.choice = lambda _: "500"  # type: ignore[method-assign]
        with pytest.raises(ReleaseError, match="What is live there is unchanged"):
            ReleaseStore(store.uri).current()
    assert store.current_id() == live
    assert isinstance(store.place, S3Place)


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
