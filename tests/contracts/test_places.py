"""Every place keeps the same promises: a folder, an S3 server that keeps conditions, one that ignores them."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.retries.standard import ExponentialBackoff
from release_places import Server

from retrieval.errors import ArtifactError, ReleaseError
from storage.manifest import MANIFEST, Manifest
from storage.releases import lease
from storage.releases.lease import LEASE, LEASE_SECONDS, Lease
from storage.releases.places import Conflict, Place, place_of
from storage.releases.s3 import S3Place

NOW = dt.datetime(2026, 3, 6, 4, tzinfo=dt.UTC)
SETTLE_SECONDS = 0.02


@pytest.fixture
def open_place(release_uri: str, tmp_path: Path) -> Callable[[], Place]:
    """The same place, as each of several processes would open it."""

    def opened() -> Place:
        place = place_of(release_uri, tmp_path / "copies")
        if isinstance(place, S3Place):
            place.settle_seconds = SETTLE_SECONDS
        return place

    return opened


@pytest.fixture
def place(open_place: Callable[[], Place]) -> Place:
    return open_place()


def fill(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a").write_bytes(b"a" * 1000)
    (folder / "deep" / "er" / "b").write_bytes(b"b" * 10)
    (folder / "empty").write_bytes(b"")


def swap(place: Place, data: bytes, expected: str | None, owner: str = "me") -> None:
    place.swap("P", data, expected, owner=owner)


def test_nothing_is_there_at_first(place: Place) -> None:
    assert place.names() == place.names("x") == []
    assert not place.exists("x")
    assert place.read_tagged("x") is None
    assert place.touched("x") is None
    for ask in (place.read, place.fetch):
        with pytest.raises(FileNotFoundError):
            ask("x")
    place.remove("x")
    place.remove_folder("x")


def test_an_object_is_made_once(place: Place) -> None:
    place.create("deep/x", b"one")
    assert place.read("deep/x") == b"one"
    assert place.exists("deep/x") and not place.exists("deep")
    assert place.names() == ["deep"] and place.names("deep") == ["x"]
    touched = place.touched("deep/x")
    below = place.touched("deep")
    assert touched is not None and below is not None and abs(touched - below) < dt.timedelta(seconds=1)
    place.remove("deep/x")
    assert not place.exists("deep/x")


def test_a_second_making_is_refused_where_the_server_can(release_uri: str, place: Place) -> None:
    place.create("x", b"one")
    if isinstance(place, S3Place) and not place.honours_conditions():
        pytest.skip("the server ignores conditions: names that must not meet are unique")
    with pytest.raises(FileExistsError):
        place.create("x", b"two")
    assert place.read("x") == b"one"


def test_a_swap_needs_the_tag_of_what_is_there(place: Place) -> None:
    swap(place, b"one", None)
    data, tag = place.read_tagged("P") or (b"", "")
    assert data == b"one"
    with pytest.raises(Conflict):
        swap(place, b"two", None)
    swap(place, b"three", tag)
    with pytest.raises(Conflict):
        swap(place, b"four", tag)
    with pytest.raises(Conflict):
        place.swap("Q", b"first", tag, owner="me")
    assert place.read("P") == b"three"
    assert place.read_tagged("Q") is None


def race(places: list[Place], expected: str | None, round_: int) -> list[str]:
    """Two swaps from the same state at the same moment; what became of each."""
    outcomes: dict[int, str] = {}
    together = threading.Barrier(2)

    def publish(n: int) -> None:
        together.wait()
        try:
            swap(places[n], f"{round_}-{n}".encode(), expected, owner=f"publisher {n}")
            outcomes[n] = "won"
        except Conflict:
            outcomes[n] = "lost"
        except ReleaseError as error:
            assert "publisher" in str(error) or "taken away" in str(error)
            outcomes[n] = "lost"

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes.get(n, "died") for n in range(2)]


def race_often(open_place: Callable[[], Place], n_rounds: int) -> None:
    places = [open_place(), open_place()]
    tag = None
    for round_ in range(n_rounds):
        outcomes = race(places, tag, round_)
        data, tag = places[0].read_tagged("P") or (b"", "")
        assert sorted(outcomes) == ["lost", "won"], (round_, outcomes)
        assert data == f"{round_}-{outcomes.index('won')}".encode()
    assert places[0].names() in (["P"], ["P", "probes"])


def test_of_two_publishers_at_once_exactly_one_wins(open_place: Callable[[], Place]) -> None:
    race_often(open_place, 10)


@pytest.mark.slow
def test_of_two_publishers_at_once_exactly_one_wins_two_hundred_times(open_place: Callable[[], Place]) -> None:
    race_often(open_place, 200)


def test_a_bundle_comes_back_as_it_was_written(place: Place, tmp_path: Path) -> None:
    place.add_folder("r", fill)
    assert place.names() == ["r"]
    folder = place.fetch("r")
    assert (folder / "a").read_bytes() == b"a" * 1000
    assert (folder / "deep" / "er" / "b").read_bytes() == b"b" * 10
    assert (folder / "empty").read_bytes() == b""
    manifest = Manifest.read(folder)
    assert manifest.as_bytes() == place.read(f"r/{MANIFEST}")
    place.check("r", manifest, full=True)
    assert place.fetch("r") == folder
    place.remove_folder("r")
    assert place.names() == []


def test_a_folder_of_a_bundle_may_be_left_where_it_is(place: Place) -> None:
    place.add_folder("r", fill)
    part, whole = place.fetch("r", without="deep"), place.fetch("r")
    assert (part / "a").read_bytes() == (whole / "a").read_bytes()
    assert (whole / "deep" / "er" / "b").exists()
    assert place.fetch("r", without="deep") == part
    if isinstance(place, S3Place):
        assert not (part / "deep").exists()
        Manifest.read(part).check(part)
        assert place.fetch("r", without="dee") not in (part, whole), "a folder's name, not how it begins"
        assert (place.fetch("r", without="dee") / "deep" / "er" / "b").exists()
        place.sweep(NOW, frozenset({"r"}))
        assert part.exists() and whole.exists()
        place.sweep(NOW, frozenset())
        assert not part.exists() and not whole.exists()
    else:
        assert part == whole


def test_adding_a_bundle_again_leaves_the_first(place: Place) -> None:
    place.add_folder("r", fill)
    before = place.read(f"r/{MANIFEST}")
    place.add_folder("r", fill)
    assert place.read(f"r/{MANIFEST}") == before
    place.check("r", Manifest.parse(before, "r"), full=True)


def test_a_bundle_that_fails_to_be_filled_is_none(place: Place, tmp_path: Path) -> None:
    def break_off(folder: Path) -> None:
        fill(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        place.add_folder("r", break_off)
    assert place.names() == []
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def damage(place: Place, name: str, data: bytes) -> None:
    if isinstance(place, S3Place):
        place.bucket.write(name, data)
    else:
        (Path(place.uri) / name).write_bytes(data)


def test_a_changed_or_missing_file_is_named(place: Place) -> None:
    place.add_folder("r", fill)
    manifest = Manifest.parse(place.read(f"r/{MANIFEST}"), "r")
    name = next(place.member("r", entry.path, entry.sha256) for entry in manifest.files if entry.path == "a")
    damage(place, name, b"b" + b"a" * 999)
    place.check("r", manifest, full=False)
    with pytest.raises(ArtifactError, match="/a does not match"):
        place.check("r", manifest, full=True)
    damage(place, name, b"a" * 999)
    with pytest.raises(ArtifactError, match="/a does not match"):
        place.check("r", manifest, full=False)
    place.remove(name)
    with pytest.raises(ArtifactError, match="/a is missing"):
        place.check("r", manifest, full=False)


def test_what_cannot_be_fetched_whole_is_not_fetched(place: Place) -> None:
    if not isinstance(place, S3Place):
        pytest.skip("a folder is not copied")
    place.add_folder("r", fill)
    manifest = Manifest.parse(place.read(f"r/{MANIFEST}"), "r")
    damage(place, place.member("r", "a", manifest.files[0].sha256), b"b" * 1000)
    with pytest.raises(ArtifactError):
        place.fetch("r")
    assert not [path for path in place.cache.rglob("*") if path.is_file()]


def test_a_copy_that_was_dropped_is_fetched_anew(place: Place) -> None:
    for id_ in ("r", "r-2"):
        place.add_folder(id_, fill)
    other, copy = place.fetch("r-2"), place.fetch("r")
    assert place.drop_copy("r") == isinstance(place, S3Place)
    assert copy.exists() != isinstance(place, S3Place) and other.exists()
    assert place.fetch("r") == copy and (copy / "a").exists()


@pytest.fixture(params=["moto", "juicefs"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    found: Server = request.getfixturevalue(request.param)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


def test_the_probe_finds_out_which_server_keeps_conditions(server: Server, tmp_path: Path) -> None:
    place = S3Place("s3://lamplighter/probed", tmp_path)
    assert place.bucket.probe() == server.honours_conditions
    assert place.honours_conditions() == server.honours_conditions
    assert place.names("probes") == []


def test_a_publisher_that_meets_a_lease_is_told_whose_and_until_when(
    juicefs: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in juicefs.environment.items():
        monkeypatch.setenv(name, value)
    place = S3Place(f"s3://lamplighter/{tmp_path.name}-lease", tmp_path)
    place.settle_seconds = SETTLE_SECONDS
    place.bucket.write(LEASE, Lease("ada@host", LEASE_SECONDS, "t").as_bytes())
    taken_at = place.touched(LEASE)
    assert taken_at is not None
    until = f"{taken_at + dt.timedelta(seconds=LEASE_SECONDS):%Y-%m-%d %H:%M:%S}"
    with pytest.raises(ReleaseError, match=rf"held by ada@host until {until} UTC.*Nothing was changed"):
        swap(place, b"one", None)
    assert place.read_tagged("P") is None
    assert place.sweep(NOW, frozenset()) == []
    place.bucket.write(LEASE, Lease("ada@host", -5, "t").as_bytes())  # one that ended
    swap(place, b"one", None)
    assert place.read("P") == b"one"
    assert not place.exists(LEASE)
    place.bucket.write(LEASE, Lease("ada@host", -5, "t").as_bytes())
    assert place.sweep(NOW, frozenset()) == [LEASE]
    place.bucket.write(LEASE, b"{")
    swap(place, b"two", (place.read_tagged("P") or (b"", ""))[1])


def test_the_end_of_a_lease_is_told_by_the_server_s_clock_alone(
    juicefs: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in juicefs.environment.items():
        monkeypatch.setenv(name, value)
    place = S3Place(f"s3://lamplighter/{tmp_path.name}-clock", tmp_path)
    place.settle_seconds = 0
    place.bucket.write(LEASE, Lease("ada@host", 1, "t").as_bytes())
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            swap(place, b"one", None)
            break
        except ReleaseError as error:
            assert "is held by ada@host" in str(error)
    assert place.read("P") == b"one"


def test_a_publisher_whose_lease_ended_meanwhile_writes_nothing(
    juicefs: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in juicefs.environment.items():
        monkeypatch.setenv(name, value)
    place = S3Place(f"s3://lamplighter/{tmp_path.name}-slow", tmp_path)
    place.settle_seconds = 0
    monkeypatch.setattr(lease, "LEASE_SECONDS", -5)
    with pytest.raises(ReleaseError, match="ended or was taken away. Nothing was changed"):
        swap(place, b"one", None)
    assert place.read_tagged("P") is None and not place.exists(LEASE)


@pytest.mark.parametrize("uri", ["gs://bucket/x", "http://host/x", "s3://", "s3:///"])
def test_another_kind_of_uri_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="Name a folder, or s3://bucket/prefix"):
        place_of(uri, tmp_path)


def test_a_server_that_cannot_be_reached_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: Server
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    place = S3Place("s3://no-such-bucket/x", tmp_path)
    assert place.names() == []
    with pytest.raises(ReleaseError, match=r"s3://no-such-bucket/x cannot be written.*Make the bucket"):
        place.create("x", b"")
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.01)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ReleaseError, match=r"s3://b/x cannot be read.*What is live there is unchanged"):
        S3Place("s3://b/x", tmp_path).read("x")
