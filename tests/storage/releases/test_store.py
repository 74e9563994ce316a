"""The release store: one live release at all times, whole, and never moved backwards by a night."""

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from bundles import DAY, NOW, add, day_of, filler, promote, roll_back

from retrieval.errors import ReleaseError
from storage.bundle import MODEL, RECIPE, RELEASE, REPORT, SOURCES
from storage.durable import STAGING
from storage.manifest import MANIFEST
from storage.releases import CURRENT, Entry, ReleaseStore


def root_of(store: ReleaseStore) -> Path:
    return Path(store.uri)


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    return ReleaseStore(tmp_path / "releases")


@pytest.fixture
def line(store: ReleaseStore) -> list[str]:
    """Three nights, each made from the one before, the newest live."""
    ids: list[str] = []
    for offset in range(3):
        ids.append(add(store, offset, parent=ids[-1] if ids else None))
        assert promote(store, ids[-1], at=NOW)
    return ids


def audit(store: ReleaseStore) -> list[Entry]:
    return [entry for entry in store.trail() if entry.done]


def test_publishing_moves_current(store: ReleaseStore) -> None:
    for offset in range(3):
        id_ = add(store, offset)
        assert promote(store, id_, at=NOW)
        assert (store.current_id(), store.current().day) == (id_, day_of(offset))


def test_another_release_of_the_same_day_takes_over(store: ReleaseStore) -> None:
    for name in ("a", "b"):
        assert promote(store, id_ := add(store, 0, name), at=NOW)
        assert store.current_id() == id_


def test_a_release_of_an_earlier_day_never_becomes_current_by_publishing(store: ReleaseStore, line: list[str]) -> None:
    old = add(store, 1, "backfill")
    assert not promote(store, old, at=NOW)
    assert store.current_id() == line[-1]
    assert len(audit(store)) == 3


def test_publishing_the_live_release_again_changes_nothing(store: ReleaseStore, line: list[str]) -> None:
    before = (root_of(store) / CURRENT).read_bytes()
    assert promote(store, line[-1], at=NOW + dt.timedelta(days=1))
    assert (root_of(store) / CURRENT).read_bytes() == before
    assert len(audit(store)) == 3


def test_a_torn_release_is_not_published(store: ReleaseStore, line: list[str]) -> None:
    id_ = add(store, 5)
    (root_of(store) / id_ / REPORT).write_text("other")
    with pytest.raises(ReleaseError, match=rf"{id_} is torn.*{REPORT}"):
        promote(store, id_, at=NOW)
    assert store.current_id() == line[-1]


def test_rolling_back_goes_to_the_parent_or_to_the_one_named(store: ReleaseStore, line: list[str]) -> None:
    assert roll_back(store, None).id == store.current_id() == line[1]
    assert roll_back(store, line[2]).id == store.current_id() == line[2]
    assert roll_back(store, line[0]).id == store.current_id() == line[0]
    with pytest.raises(ReleaseError, match=rf"{line[0]} is the first.*--to ID"):
        roll_back(store, None)


def test_rolling_back_to_a_torn_release_leaves_current_where_it_is(store: ReleaseStore, line: list[str]) -> None:
    (root_of(store) / line[1] / RELEASE).unlink()
    with pytest.raises(ReleaseError, match=line[1]):
        roll_back(store, None)
    assert store.current_id() == line[2]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"\xff\xfe"])
def test_a_damaged_pointer_is_mended_by_naming_a_release(store: ReleaseStore, line: list[str], damage: bytes) -> None:
    (root_of(store) / CURRENT).write_bytes(damage)
    with pytest.raises(ReleaseError, match=r"CURRENT.json is damaged.*rollback --to ID"):
        store.current()
    with pytest.raises(ReleaseError, match="damaged"):
        roll_back(store, None)
    assert roll_back(store, line[1]).id == store.current_id() == line[1]


def test_a_live_release_that_is_gone_is_left_by_naming_another(store: ReleaseStore, line: list[str]) -> None:
    (root_of(store) / line[2]).rename(root_of(store).parent / "gone")
    with pytest.raises(ReleaseError, match=line[2]):
        store.current()
    assert roll_back(store, line[1]).id == line[1]


def test_every_change_of_current_has_an_entry_in_the_audit(store: ReleaseStore, line: list[str]) -> None:
    roll_back(store, None)
    promote(store, line[2], by_hand=True)
    changes = [(entry.change, entry.former, entry.to, entry.who) for entry in audit(store)]
    assert changes == [
        ("promote", None, line[0], "night@host"),
        ("promote", line[0], line[1], "night@host"),
        ("promote", line[1], line[2], "night@host"),
        ("rollback", line[2], line[1], "ada@host"),
        ("promote", line[1], line[2], "night@host"),
    ]
    assert {entry.at for entry in audit(store)} == {NOW.isoformat()}
    assert [entry.why for entry in audit(store) if entry.change == "rollback"] == ["it was bad"]


def test_before_the_first_release_there_is_a_message_not_a_release(store: ReleaseStore) -> None:
    assert store.releases() == ([], {})
    assert store.current_id() is None
    assert store.parent_for(DAY) is None
    for ask in (store.current, lambda: roll_back(store, None), lambda: roll_back(store, "x")):
        with pytest.raises(ReleaseError, match="no release is live"):
            ask()
    with pytest.raises(ReleaseError, match="newest: none"):
        store.get("2026-03-05-x")


def test_an_unknown_id_lists_the_newest(store: ReleaseStore) -> None:
    ids = [add(store, offset) for offset in range(7)]
    with pytest.raises(ReleaseError) as refusal:
        store.get("2030-01-01-none")
    assert f"newest: {', '.join(ids[-5:])}" in str(refusal.value)


def test_an_unknown_id_is_answered_although_another_release_is_torn(store: ReleaseStore, line: list[str]) -> None:
    (root_of(store) / line[0] / RELEASE).write_text("{")
    with pytest.raises(ReleaseError, match=f"there is no release 'none'.*{line[2]}"):
        store.get("none")


@pytest.mark.parametrize(
    "id_", ["../x", "..", ".", "", "a/b", "/etc", "2026-03-05-a/", "./2026-03-05-a", "../releases"]
)
def test_an_id_is_never_a_path(store: ReleaseStore, id_: str) -> None:
    add(store, 0)
    (root_of(store).parent / "x").mkdir()
    for folder in (root_of(store), root_of(store).parent, root_of(store).parent / "x"):
        (folder / MANIFEST).write_text('{"files": [], "facts": {}}')
    for ask in (store.get, store.verify, lambda text: promote(store, text, at=NOW)):
        with pytest.raises(ReleaseError, match="there is no release"):
            ask(id_)
    assert store.current_id() is None


def test_a_bundle_that_is_being_written_is_no_release(store: ReleaseStore, line: list[str]) -> None:
    unfinished = root_of(store) / f"{STAGING}1-abc"
    (root_of(store) / line[0]).rename(unfinished)
    assert [release.id for release in store.releases()[0]] == line[1:]
    with pytest.raises(ReleaseError, match="there is no release"):
        store.get(unfinished.name)


def test_a_release_says_what_it_is(store: ReleaseStore, line: list[str]) -> None:
    release = store.get(line[1])
    assert (release.day, release.parent, release.recipe) == (day_of(1), line[0], "small abc")
    assert release.facts["id"] == line[1]
    files = [path for path in store.fetch(release.id).rglob("*") if path.is_file() and path.name != MANIFEST]
    assert release.n_bytes == sum(path.stat().st_size for path in files)
    model = store.model(release, "knn", "item_knn")
    assert model is not None
    assert model.path.is_dir()
    assert store.model(release, "other", "item_knn") is None
    assert store.model(release, "knn", "two_tower") is None


def test_the_digest_of_a_release_leaves_the_report_out_and_nothing_else(store: ReleaseStore) -> None:
    def fill(report: str, payload: str) -> Callable[[Path], None]:
        def both(folder: Path) -> None:
            filler(DAY, None, payload)(folder)
            (folder / REPORT).write_text(report)

        return both

    one = store.add("one", fill("took 3 s", "p"))
    assert store.add("two", fill("took 4 s", "p")).digest == one.digest
    assert store.add("three", fill("took 3 s", "q")).digest != one.digest


def test_adding_a_release_that_is_there_leaves_it(store: ReleaseStore) -> None:
    id_ = add(store, 0)
    before = (root_of(store) / id_ / REPORT).stat()
    calls: list[Path] = []
    assert store.add(id_, calls.append).id == id_
    assert calls == []
    after = (root_of(store) / id_ / REPORT).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_release_that_fails_to_be_written_leaves_nothing(store: ReleaseStore) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.add("x", fill)
    assert list(root_of(store).iterdir()) == []


def test_a_night_starts_from_the_newest_earlier_day_of_the_live_line(store: ReleaseStore, line: list[str]) -> None:
    add(store, 1, "aside")  # never live: of no line

    def parent(offset: int) -> str | None:
        found = store.parent_for(day_of(offset))
        return found.id if found else None

    assert [parent(offset) for offset in range(5)] == [None, line[0], line[1], line[2], line[2]]
    roll_back(store, line[1])
    assert [parent(offset) for offset in range(5)] == [None, line[0], line[1], line[1], line[1]]


# Every byte counts.


def is_torn(store: ReleaseStore, id_: str) -> bool:
    try:
        store.verify(id_)
    except ReleaseError as error:
        return id_ in str(error)
    return False


def test_every_flipped_bit_of_every_file_is_found(store: ReleaseStore) -> None:
    id_ = add(store, 0)
    store.verify(id_)
    rng = random.Random(11)
    files = sorted(path for path in (root_of(store) / id_).rglob("*") if path.is_file())
    assert {path.name for path in files} == {RECIPE, RELEASE, REPORT, "weights.npy", MANIFEST}
    missed = []
    for path in files:
        whole = path.read_bytes()
        for _ in range(40):
            place, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            if not is_torn(store, id_):
                missed.append((path.name, place, whole[place], bit))
        path.write_bytes(whole)
    store.verify(id_)
    assert missed == []


@pytest.mark.parametrize("name", [RELEASE, REPORT, f"{SOURCES}/knn/{MODEL}/weights.npy"])
def test_a_missing_file_is_found(store: ReleaseStore, name: str) -> None:
    id_ = add(store, 0)
    (root_of(store) / id_ / name).unlink()
    with pytest.raises(ReleaseError, match=f"{id_} is torn.*{name}"):
        store.verify(id_)


def test_a_release_without_its_manifest_is_none(store: ReleaseStore) -> None:
    id_ = add(store, 0)
    (root_of(store) / id_ / MANIFEST).unlink()
    with pytest.raises(ReleaseError, match="there is no release"):
        store.verify(id_)


@pytest.mark.parametrize("name", ["surplus", f"{SOURCES}/knn/surplus", f"{SOURCES}/{MANIFEST}", ".hidden"])
def test_a_surplus_file_is_found(store: ReleaseStore, name: str) -> None:
    id_ = add(store, 0)
    (root_of(store) / id_ / name).write_text("x")
    with pytest.raises(ReleaseError, match=f"{id_} is torn.*not in the manifest"):
        store.verify(id_)
