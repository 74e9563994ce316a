"""Moves of the pointer, in a folder and on S3 servers alike: earned, held, traced, and never two at once."""

import datetime as dt
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import NOW, add, day_of, filler, nights, promote, roll_back

from retrieval.errors import ReleaseError
from storage.manifest import MANIFEST
from storage.releases import CURRENT, ReleaseStore
from storage.releases.places import Place
from storage.releases.s3 import S3Place

SETTLE_SECONDS = 0.02


@pytest.fixture
def opened(release_uri: str, tmp_path: Path) -> Callable[[], ReleaseStore]:
    """The same store, as each of several processes would open it."""

    def open_store() -> ReleaseStore:
        store = ReleaseStore(release_uri, tmp_path / "copies")
        if isinstance(store.place, S3Place):
            store.place.settle_seconds = SETTLE_SECONDS
        return store

    return open_store


@pytest.fixture
def store(opened: Callable[[], ReleaseStore]) -> ReleaseStore:
    return opened()


def test_nights_become_live_one_after_the_other(store: ReleaseStore) -> None:
    ids = nights(store, 3)
    assert [release.id for release in store.releases()[0]] == ids
    assert store.current().id == ids[-1]
    assert [release.id for release in store.ancestors()] == ids[::-1]
    parent = store.parent_for(day_of(2))
    assert parent is not None and parent.id == ids[1]
    model = store.model(parent, "knn", "item_knn")
    assert model is not None and (model.path / "weights.npy").stat().st_size == 300
    assert not promote(store, add(store, 1, "late"))


def test_a_rollback_is_held_against_the_next_night_until_a_person_promotes(store: ReleaseStore) -> None:
    ids = nights(store, 3)
    assert roll_back(store, None).id == ids[1]
    newer = add(store, 3, parent=ids[1])
    outcome = store.promote(newer, at=NOW, who="night", why="night")
    assert not outcome.is_live
    assert f"went back to {ids[1]}, which is held" in outcome.reason and f"promote {newer}" in outcome.reason
    assert store.current_id() == ids[1]
    assert promote(store, newer, by_hand=True)
    assert promote(store, add(store, 4, parent=newer)), "the hold ended with the promotion"


def test_a_rollback_without_hold_is_followed_by_the_next_night(store: ReleaseStore) -> None:
    ids = nights(store, 2)
    roll_back(store, ids[0], hold=False)
    assert promote(store, add(store, 2, parent=ids[0]))


def test_promoting_the_held_release_by_hand_ends_the_hold(store: ReleaseStore) -> None:
    ids = nights(store, 2)
    roll_back(store, ids[0])
    assert promote(store, ids[0], by_hand=True)
    pointer = store.pointer()
    assert pointer is not None and (pointer.release, pointer.held) == (ids[0], False)


class Together:
    """A place whose pointer is read by two before either writes."""

    def __init__(self, place: Place, both: threading.Barrier) -> None:
        self.inner, self.both = place, both

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def read_tagged(self, name: str) -> tuple[bytes, str] | None:
        found = self.inner.read_tagged(name)
        self.both.wait()
        return found


def publish_together(opened: Callable[[], ReleaseStore], n_rounds: int) -> None:
    start, stores, both = time.monotonic(), [opened(), opened()], threading.Barrier(2)
    publishers, lost = [opened(), opened()], Counter[str]()
    for publisher in publishers:
        publisher.place = Together(publisher.place, both)  # type: ignore[assignment]
    for round_ in range(n_rounds):
        ids, said = [add(stores[0], round_, name) for name in "ab"], dict[int, str]()

        def publish(n: int, id_: str, said: dict[int, str] = said) -> None:
            try:
                said[n] = "live" if promote(publishers[n], id_) else "not live"
            except ReleaseError as error:
                said[n] = str(error)

        threads = [threading.Thread(target=publish, args=(n, id_)) for n, id_ in enumerate(ids)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(said.values()).count("live") == 1, said
        winner = next(n for n, what in said.items() if what == "live")
        assert stores[1].current_id() == ids[winner]
        loser = said[1 - winner]
        (how,) = (words for words in ("somebody else moved", "is held by night@host", "taken away") if words in loser)
        lost[how] += 1
        assert "othing was changed" in loser or "nothing was changed" in loser
    done = [entry.to for entry in stores[0].trail() if entry.done]
    assert len(done) == n_rounds and len(stores[0].trail()) == 2 * n_rounds
    print(f"\n{stores[0].uri[:5]} {n_rounds} rounds, losers were told {dict(lost)}, {time.monotonic() - start:.0f} s")


def test_of_two_nights_that_publish_at_once_one_wins_and_the_other_is_told(
    opened: Callable[[], ReleaseStore],
) -> None:
    publish_together(opened, 3)


@pytest.mark.slow
def test_of_two_nights_that_publish_at_once_one_wins_two_hundred_times(opened: Callable[[], ReleaseStore]) -> None:
    publish_together(opened, 200)


def test_two_that_write_the_same_release_at_once_leave_one_whole(opened: Callable[[], ReleaseStore]) -> None:
    stores = [opened(), opened()]
    for round_ in range(5):
        both = threading.Barrier(2)

        def write(n: int, id_: str = str(round_), both: threading.Barrier = both) -> None:
            def fill(folder: Path) -> None:
                filler(day_of(0), None, "same")(folder)
                (folder / "report.html").write_text(f"took {n} seconds")
                both.wait()

            stores[n].add(id_, fill)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stores[0].verify(str(round_))


def test_an_intent_that_came_to_nothing_stays_in_the_trail_as_not_done(
    store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = nights(store, 2)
    newer = add(store, 2, parent=ids[1])

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(store.place), "swap", fail)
        with pytest.raises(KeyboardInterrupt):
            promote(store, newer, at=NOW + dt.timedelta(days=2))
    assert [(entry.to, entry.done) for entry in store.trail()] == [(ids[0], True), (ids[1], True), (newer, False)]
    assert promote(store, newer, at=NOW + dt.timedelta(days=3))
    assert [entry.done for entry in store.trail()] == [True, True, False, True]


def test_an_answer_lost_on_the_way_is_no_conflict(store: ReleaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server moved the pointer, its answer was lost, the client asked again and was refused."""
    if not isinstance(store.place, S3Place) or not store.place.honours_conditions():
        pytest.skip("a folder gives no answers; without conditions nothing is refused")
    ids = nights(store, 1)
    write = store.place.bucket.write

    def twice(name: str, data: bytes, **condition: str) -> None:
        write(name, data, **condition)
        write(name, data, **condition)

    monkeypatch.setattr(store.place.bucket, "write", twice)
    newer = add(store, 1, parent=ids[0])
    assert promote(store, newer)
    assert store.current_id() == newer


def damage(store: ReleaseStore, name: str, data: bytes) -> None:
    if isinstance(store.place, S3Place):
        store.place.bucket.write(name, data)
    else:
        (Path(store.uri) / name).write_bytes(data)


def corrupt_often(store: ReleaseStore, n_tries: int) -> list[tuple[str, int, int]]:
    """Change one byte of the live release or of the pointer to it, many times; what was not noticed."""
    start, id_ = time.monotonic(), nights(store, 1)[0]
    rng = random.Random(5)
    manifest = store.current().manifest
    members = {store.place.member(id_, entry.path, entry.sha256): entry.path for entry in manifest.files}
    names = {CURRENT: CURRENT, f"{id_}/{MANIFEST}": MANIFEST} | members
    missed, tried = [], Counter[str]()
    for _ in range(n_tries):
        name = rng.choice(list(names))
        whole = store.place.read(name)
        where, other = rng.randrange(len(whole)), rng.randrange(1, 256)
        damage(store, name, whole[:where] + bytes([whole[where] ^ other]) + whole[where + 1 :])
        tried[names[name]] += 1
        try:
            store.verify(store.current().id)
            missed.append((name, where, other))
        except ReleaseError as error:
            assert (CURRENT if name == CURRENT else id_) in str(error)
        damage(store, name, whole)
    store.verify(store.current().id)
    print(f"\n{store.uri[:5]} {dict(tried)}, not noticed {len(missed)}, {time.monotonic() - start:.0f} s")
    return missed


def test_every_changed_byte_is_found(store: ReleaseStore) -> None:
    assert corrupt_often(store, 25) == []


@pytest.mark.slow
def test_every_changed_byte_of_five_hundred_is_found(store: ReleaseStore) -> None:
    assert corrupt_often(store, 500) == []


def test_every_byte_of_the_pointer_counts(tmp_path: Path) -> None:
    store = ReleaseStore(tmp_path)
    nights(store, 1)
    store.mark_removing(("x",), who="me")
    whole = (tmp_path / CURRENT).read_bytes()
    for where in range(len(whole)):
        (tmp_path / CURRENT).write_bytes(whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :])
        with pytest.raises(ReleaseError, match="CURRENT.json is damaged"):
            store.pointer()


def test_a_live_release_whose_manifest_was_exchanged_is_refused(store: ReleaseStore) -> None:
    ids = nights(store, 1)
    other = add(store, 0, "other")
    damage(store, f"{ids[0]}/{MANIFEST}", store.place.read(f"{other}/{MANIFEST}"))
    with pytest.raises(ReleaseError, match=f"{ids[0]} is torn"):
        store.current()


def test_a_damaged_pointer_is_mended_by_naming_a_release(store: ReleaseStore) -> None:
    ids = nights(store, 2)
    for n, content in enumerate([b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"release": "x", "since": "y"}']):
        damage(store, CURRENT, content)
        with pytest.raises(ReleaseError, match=r"CURRENT.json is damaged.*rollback --to ID"):
            store.current()
        to, at = ids[n % 2], NOW + dt.timedelta(days=2 + n)
        assert roll_back(store, to, at=at).id == store.current_id() == to
        assert [entry.done for entry in store.trail()] == [True] * (3 + n)
