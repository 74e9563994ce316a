"""A sweep keeps what it must, and removes the rest and what killed runs left."""

import datetime as dt
import os
from pathlib import Path

import pytest
from bundles import NOW, add, nights, promote, roll_back

from retrieval.errors import ReleaseError
from storage.manifest import MANIFEST
from storage.releases import ReleaseStore, Swept
from storage.releases.s3 import S3Place

LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
GRACE = dt.timedelta(hours=24)


@pytest.fixture
def store(release_uri: str, tmp_path: Path) -> ReleaseStore:
    store = ReleaseStore(release_uri, tmp_path / "copies")
    if isinstance(store.place, S3Place):
        store.place.settle_seconds = 0.05
    return store


def sweep(store: ReleaseStore, keep: int, at: dt.datetime = LATER, *, dry_run: bool = False) -> Swept:
    return store.sweep(keep, GRACE, at=at, who="ada@host", dry_run=dry_run)


def test_the_newest_the_live_one_its_parent_and_the_pinned_stay(store: ReleaseStore) -> None:
    ids = nights(store, 8)
    roll_back(store, ids[3])
    store.pin(ids[0], at=NOW, who="ada@host", why="the good one")
    would = sweep(store, 2, dry_run=True)
    assert store.ids() == ids
    done = sweep(store, 2)
    assert done == would
    assert done.removed == [ids[1], ids[4], ids[5]]
    assert done.kept == {
        ids[0]: "pinned",
        ids[2]: "what the live one was made from",
        ids[3]: "live",
        ids[6]: "among the 2 newest",
        ids[7]: "among the 2 newest",
    }
    assert store.ids() == sorted(done.kept)
    for id_ in store.ids():
        store.verify(id_)
    assert store.current_id() == ids[3]
    removals = [(entry.former, entry.who, entry.done) for entry in store.trail() if entry.change == "remove"]
    assert sorted(removals) == [(id_, "ada@host", True) for id_ in done.removed]
    assert sweep(store, 2).removed == []
    store.unpin(ids[0])
    assert sweep(store, 2).removed == [ids[0]]


def test_what_is_young_stays(store: ReleaseStore) -> None:
    ids = nights(store, 4)
    kept = sweep(store, 1, dt.datetime.now(dt.UTC)).kept
    assert [kept[id_] for id_ in ids[:2]] == ["younger than the grace period"] * 2
    assert store.ids() == ids


def test_what_was_live_within_the_grace_period_stays(store: ReleaseStore) -> None:
    ids = nights(store, 5)
    aside = add(store, 5)
    for id_, hours in ((ids[0], 30), (ids[1], 20), (ids[4], 1)):
        roll_back(store, id_, at=LATER - dt.timedelta(hours=hours))
    kept = sweep(store, 1).kept
    assert kept == {
        ids[0]: "live within the grace period",
        ids[1]: "live within the grace period",
        ids[3]: "what the live one was made from",
        ids[4]: "live",
        aside: "among the 1 newest",
    }


def test_nothing_is_removed_before_a_release_is_live(store: ReleaseStore) -> None:
    ids = [add(store, offset) for offset in range(3)]
    assert sweep(store, 1).removed == []
    assert store.ids() == ids


def leave_half(store: ReleaseStore, id_: str) -> None:
    """What a run that was killed while writing or removing a release leaves."""
    store.place.remove(f"{id_}/{MANIFEST}")


def test_orphans_go_when_they_are_old_and_not_before(store: ReleaseStore) -> None:
    ids = nights(store, 2)
    orphan = add(store, 2, "orphan")
    leave_half(store, orphan)
    assert sweep(store, 5, dt.datetime.now(dt.UTC)).leftovers == []
    assert orphan in store.place.names()
    assert orphan in sweep(store, 5).leftovers
    assert orphan not in store.place.names()
    assert store.ids() == ids


def test_a_release_that_was_left_half_removed_is_made_again_by_its_night(store: ReleaseStore) -> None:
    nights(store, 1)
    half = add(store, 1)
    leave_half(store, half)
    assert add(store, 1) == half
    assert promote(store, half)


def test_what_a_sweep_has_announced_does_not_become_live_any_more(store: ReleaseStore) -> None:
    ids = nights(store, 3)
    store.mark_removing((ids[0],), who="me")
    for move in (lambda: roll_back(store, ids[0]), lambda: store.pin(ids[0], at=NOW, who="me", why="x")):
        with pytest.raises(ReleaseError, match=f"{ids[0]} is being removed"):
            move()
    assert store.pins.all() == {}
    newer = add(store, 3, parent=ids[2])
    assert promote(store, newer), "a night goes on meanwhile"
    pointer = store.pointer()
    assert pointer is not None and pointer.removing == (ids[0],)
    sweep(store, 1)  # the next one finishes what a killed one announced
    pointer = store.pointer()
    assert pointer is not None and pointer.removing == ()
    assert store.ids() == [ids[2], newer]


def test_local_copies_of_removed_releases_go_too(store: ReleaseStore) -> None:
    if not isinstance(store.place, S3Place):
        pytest.skip("a folder is not copied")
    ids = nights(store, 4)
    folders = {id_: store.fetch(id_) for id_ in ids}
    sweep(store, 1)
    assert [folder.exists() for folder in folders.values()] == [False, False, True, True]


def test_an_upload_in_parts_that_nobody_finished_is_ended(store: ReleaseStore) -> None:
    if not isinstance(store.place, S3Place) or not store.place.honours_conditions():
        pytest.skip("asked of moto alone")
    files, key = store.place.bucket._files, store.place.bucket.root.partition("/")[2]
    files.call_s3("create_multipart_upload", Bucket="lamplighter", Key=f"{key}/x/y")
    assert sweep(store, 1).leftovers == [f"{key}/x/y"]
    assert sweep(store, 1).leftovers == []


def test_pins_are_told(store: ReleaseStore) -> None:
    (id_,) = nights(store, 1)
    with pytest.raises(ReleaseError, match=r"is not pinned \(pinned: none\)"):
        store.unpin(id_)
    store.pin(id_, at=NOW, who="ada@host", why="good")
    store.pin(id_, at=NOW, who="bob@host", why="again")
    assert store.pins.all() == {id_: {"at": NOW.isoformat(), "who": "ada@host", "why": "good"}}
    with pytest.raises(ReleaseError, match="there is no release 'x'"):
        store.pin("x", at=NOW, who="ada@host", why="good")


def test_a_sweep_keeps_at_least_one(store: ReleaseStore) -> None:
    with pytest.raises(ReleaseError, match="at least one"):
        sweep(store, 0)


def test_a_torn_release_is_left_for_a_person_to_look_at(release_uri: str, store: ReleaseStore) -> None:
    if isinstance(store.place, S3Place):
        pytest.skip("asked of a folder alone")
    ids = nights(store, 4)
    (Path(release_uri) / ids[0] / "release.json").write_text("{")
    os.utime(Path(release_uri) / ids[0] / MANIFEST, (0, 0))
    done = sweep(store, 1)
    assert "is torn" in done.kept[ids[0]]
    assert done.removed == [ids[1]]
