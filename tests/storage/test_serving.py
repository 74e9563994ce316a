"""What services get of a release: the row-level answers in ids, whatever happens beside the calls."""

import itertools
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from served import Served, eventually, spoil

from retrieval.domain import DAY, Candidates, Histories, Queries, Ragged, State
from retrieval.errors import ReleaseError, UnknownId
from retrieval.recommender import Snapshot
from retrieval.retrievers.protocol import Retriever
from storage.bundle import DISPLAY
from storage.releases import CURRENT
from storage.serving import Answer, Recommender, open_release

ROOT = Path(__file__).parents[2]


def in_ids(snapshot: Snapshot, found: Candidates) -> list[list[str]]:
    return [snapshot.dataset.catalogue.ids.names(row[row >= 0]) for row in found.items]


def items_of(snapshot: Snapshot, topic: str) -> set[str]:
    catalogue = snapshot.dataset.catalogue
    row = catalogue.topic_names.row(topic)
    return set(catalogue.ids.names([i for i in range(len(catalogue)) if row in catalogue.topics.row(i)]))


@pytest.fixture
def recommender(released: Served) -> Recommender:
    return open_release(released.root)


def test_answers_are_those_of_the_rows_in_the_callers_ids(released: Served, recommender: Recommender) -> None:
    snapshot = released.snapshot(released.latter)
    users, items = snapshot.dataset.people.ids.names(range(12)), snapshot.dataset.catalogue.ids.names(range(12))
    for asked, expected in (
        (recommender.recommend(users, 7), snapshot.recommend(users, 7)),
        (recommender.recommend(users, 7, sources=["item_knn"]), snapshot.recommend(users, 7, sources=["item_knn"])),
        (recommender.similar(items, 7), snapshot.similar(items, 7)),
        (recommender.search(["rye bread"], 7), snapshot.search(["rye bread"], 7)),
    ):
        assert asked.ids == in_ids(snapshot, expected)
        assert asked.scores == [line[line > -np.inf].tolist() for line in expected.scores]
        assert (asked.release_id, asked.unknown) == (released.latter, [])


def test_a_history_gets_what_a_user_with_that_history_gets(recommender: Recommender) -> None:
    snapshot = recommender.opened.snapshot
    dataset, n_users = snapshot.dataset, len(snapshot.dataset.people)
    just_now = np.full(dataset.histories.n_events, dataset.day * DAY - 1, np.int64)
    ones = np.ones(dataset.histories.n_events, np.float32)
    histories = Histories(dataset.histories.offsets, dataset.histories.items, ones, just_now)
    people = replace(dataset.people, features=Ragged.empty(n_users))
    plain = replace(snapshot, dataset=replace(dataset, people=people, histories=histories))
    users = people.ids.names(range(n_users))
    chosen = [dataset.catalogue.ids.names(histories.take(np.array([row])).items) for row in range(n_users)]
    assert recommender.recommend(histories=chosen, k=10).ids == in_ids(plain, plain.recommend(users, 10))


def test_who_is_not_known_gets_what_a_newcomer_gets_and_is_named(recommender: Recommender) -> None:
    (known,) = recommender.opened.snapshot.dataset.people.ids.names([3])
    found = recommender.recommend(["nobody", known, "nobody"], 5)
    newcomer, alone = recommender.recommend(histories=[[]], k=5), recommender.recommend([known], 5)
    assert found.unknown == ["nobody"]
    assert found.ids == [newcomer.ids[0], alone.ids[0], newcomer.ids[0]]
    assert len(newcomer.ids[0]) == 5


def test_items_that_are_not_known_are_passed_over_and_named(recommender: Recommender) -> None:
    found = recommender.recommend(histories=[["gone", "i00003"], ["i00003"]], k=5)
    assert found.unknown == ["gone"] and found.ids[0] == found.ids[1]
    alike = recommender.similar(["gone", "i00003"], 5)
    assert alike.unknown == ["gone"] and alike.ids[0] == alike.scores[0] == []
    assert alike.ids[1] == recommender.similar(["i00003"], 5).ids[0] != []


def test_somebody_new_may_bring_attributes_and_no_history(recommender: Recommender) -> None:
    names = recommender.opened.snapshot.dataset.people.feature_names.ids.to_pylist()
    store = next(name for name in names if name.startswith("usual store=")).partition("=")[2]
    said = [{"store": store}, {"store": "moon", "hat": "red"}]
    found = recommender.recommend(attributes=said, k=5)
    assert found.unknown == ["store=moon", "hat"] and [len(ids) for ids in found.ids] == [5, 5]
    both = recommender.recommend(histories=[["i00003", "gone"], []], attributes=said, k=5)
    assert both.unknown == ["gone", "store=moon", "hat"]
    assert both.ids[1] == found.ids[1] == recommender.recommend(histories=[[]], k=5).ids[0]
    with pytest.raises(ValueError, match=r"1 histories and 2 attributes"):
        recommender.recommend(histories=[[]], attributes=said)
    with pytest.raises(TypeError, match=r"attributes is the text"):
        recommender.recommend(attributes="store=north")  # type: ignore[arg-type]


def test_why_gives_the_same_answer_with_reasons_in_the_callers_ids(recommender: Recommender) -> None:
    snapshot = recommender.opened.snapshot
    users = snapshot.dataset.people.ids.names(range(5))
    plain, told = recommender.recommend(users, 6), recommender.recommend(users, 6, why=True)
    assert (told.ids, plain.reasons) == (plain.ids, []) and len(told.reasons) == 5
    histories = snapshot.dataset.histories.positives()
    for row, (ids, reasons) in enumerate(zip(told.ids, told.reasons, strict=True)):
        chosen = set(snapshot.dataset.catalogue.ids.names(np.unique(histories.take(np.array([row])).items)))
        for id_, reason in zip(ids, reasons, strict=True):
            assert sum(by.share for by in reason.found_by) == pytest.approx(1)
            assert {by.source for by in reason.found_by} <= set(snapshot.sources) and reason.moved_by == []
            assert set(reason.near) <= chosen and (id_ not in chosen or reason.near[0] == id_)
    alone = recommender.recommend(users, 6, sources=["popular"], why=True)
    for reasons in alone.reasons:
        assert [[(by.source, by.rank, by.share) for by in r.found_by] for r in reasons] == [
            [("popular", rank, 1.0)] for rank in range(1, 7)
        ]


def test_questions_of_nobody_have_no_answers(recommender: Recommender) -> None:
    for found in (
        recommender.recommend([]),
        recommender.recommend([], why=True),
        recommender.similar([]),
        recommender.search([]),
    ):
        assert found.ids == found.scores == []


def test_a_condition_shows_items_of_that_topic_alone_and_all_of_them(recommender: Recommender) -> None:
    snapshot = recommender.opened.snapshot
    for topic in ("bakery", "garden"):
        wanted = items_of(snapshot, topic)
        answers = [
            recommender.recommend(["u00000", "nobody"], 8, condition=topic),
            recommender.recommend(histories=[["i00001"]], k=8, condition=topic),
            recommender.similar(["i00001", "i00002"], 8, condition=topic),
            recommender.search(["clay pot", "rye bread"], 8, condition=topic),
        ]
        for ids in (ids for answer in answers for ids in answer.ids):
            assert len(ids) == 8 and set(ids) <= wanted
        (everything,) = recommender.search(["bread"], len(snapshot.dataset.catalogue), condition=topic).ids
        assert set(everything) == wanted


def test_an_unknown_topic_or_source_is_refused_with_what_there_is(recommender: Recommender) -> None:
    with pytest.raises(UnknownId, match=r"topic 'bakry' is not in this release .*near it: 'bakery'"):
        recommender.recommend(["u00000"], 5, condition="bakry")
    with pytest.raises(UnknownId, match=r"source 'knn' is not in release .*: popular, item_knn, two_tower\."):
        recommender.recommend(["u00000"], 5, sources=["popular", "knn"])
    with pytest.raises(UnknownId, match=r"no source is named"):
        recommender.recommend(["u00000"], 5, sources=[])


def test_wrong_use_is_refused(recommender: Recommender) -> None:
    with pytest.raises(TypeError, match=r"users is the text 'u00000', expected a list"):
        recommender.recommend("u00000")
    with pytest.raises(TypeError, match=r"a history is the text 'i00001'"):
        recommender.recommend(histories=["i00001"])
    with pytest.raises(ValueError, match=r"either users, or histories"):
        recommender.recommend()
    with pytest.raises(ValueError, match=r"k is 0"):
        recommender.search(["bread"], 0)


def test_search_finds_an_item_by_its_title(released: Served, recommender: Recommender) -> None:
    items = pq.read_table(released.folder(released.latter) / DISPLAY).to_pylist()
    titles = {item["item_id"]: item["title"] for item in items}
    for title, ids in zip(titles.values(), recommender.search(list(titles.values()), 8).ids, strict=True):
        assert set(title.split()) in [set(titles[id_].split()) for id_ in ids]


def test_opening_and_answering_loads_nothing_that_only_nights_need(released: Served) -> None:
    code = (
        "import sys\nfrom storage.serving import open_release\n"
        "with open_release(sys.argv[1]).watch(9) as r:\n"
        "    ids = r.recommend(['u00000'], 3).ids[0]\n    r.recommend(histories=[ids])\n    r.similar(ids)\n"
        "    r.search(['bread'])\n    r.refresh()\n"
        "unwanted = ('torch', 'prefect', 'duckdb', 'great_expectations', 's3fs', 'fsspec', 'onnx', 'transformers')\n"
        "print([name for name in unwanted if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(released.root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


class Held:
    """A retriever that waits before it answers."""

    def __init__(self, real: Retriever) -> None:
        self.real, self.begun, self.go_on = real, threading.Event(), threading.Event()

    @property
    def n_items(self) -> int:
        return self.real.n_items

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        self.begun.set()
        assert self.go_on.wait(20)
        return self.real.retrieve(queries, k)

    def state(self) -> State:
        return self.real.state()


def test_a_call_that_has_begun_ends_on_the_release_it_began_with(served: Served) -> None:
    recommender = open_release(served.root)
    opened, expected = recommender.opened, recommender.recommend(["u00001"], 5)
    held = Held(opened.snapshot.sources["popular"])
    recommender._opened = replace(
        opened, snapshot=replace(opened.snapshot, sources={**opened.snapshot.sources, "popular": held})
    )
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(recommender.recommend, ["u00001"], 5)
        assert held.begun.wait(20)
        served.promote(served.former)
        assert recommender.refresh()
        shutil.rmtree(served.folder(served.latter))
        assert recommender.recommend(["u00001"], 5).release_id == served.former
        assert not call.done()
        held.go_on.set()
        assert call.result(20) == expected


@pytest.mark.nights
def test_every_answer_is_exactly_that_of_the_release_it_names_while_releases_change(served: Served) -> None:
    snapshots = {id_: served.snapshot(id_) for id_ in (served.former, served.latter)}
    users = snapshots[served.former].dataset.people.ids.names(range(20))
    expected = {id_: dict(zip(users, in_ids(s, s.recommend(users, 8)), strict=True)) for id_, s in snapshots.items()}
    assert expected[served.former] != expected[served.latter]
    recommender, done = open_release(served.root), threading.Event()

    def ask(worker: int) -> list[Answer]:
        found = []
        for user in itertools.islice(itertools.cycle(users), worker, None):
            found.append(recommender.recommend([user], 8))
            assert found[-1].ids[0] == expected[found[-1].release_id][user]
            if done.wait(0.02):
                return found
        raise AssertionError

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(ask, worker) for worker in range(8)]
        try:
            for target, _ in zip(itertools.cycle([served.former, served.latter]), range(20), strict=False):
                served.promote(target)
                assert recommender.refresh(), recommender.last_error
        finally:
            done.set()
        answers = [answer for call in calls for answer in call.result(30)]
    assert {answer.release_id for answer in answers} == {served.former, served.latter}


def test_nothing_changes_where_nothing_became_live(served: Served) -> None:
    recommender = open_release(served.root)
    before = recommender.opened
    assert not recommender.refresh()
    assert recommender.opened is before


def test_what_did_not_change_is_not_read_again(served: Served) -> None:
    recommender = open_release(served.root)
    encoder = recommender.opened.snapshot.encoder
    served.promote(served.former)
    assert recommender.refresh()
    assert recommender.opened.snapshot.encoder is encoder


def test_a_watcher_notices_what_became_live_and_ends_when_it_is_closed(served: Served) -> None:
    with open_release(served.root).watch(0.02) as recommender:
        served.promote(served.former)
        eventually(lambda: recommender.release_id == served.former)
        with pytest.raises(ValueError, match="watched already"):
            recommender.watch(1)
    assert recommender._watcher is not None and not recommender._watcher.is_alive()
    served.promote(served.latter)
    assert recommender.recommend(["u00000"], 3).release_id == served.former


@pytest.mark.parametrize("fault", ["torn release", "damaged pointer", "no pointer"])
def test_a_refresh_that_fails_leaves_the_old_release_answering(
    served: Served, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    served.promote(served.former)
    recommender = open_release(served.root)
    before, pointer = recommender.recommend(["u00000"], 5), served.root / CURRENT
    was = pointer.read_bytes()
    if fault == "torn release":
        served.promote(served.latter)
        spoil(served, "swapped")
    elif fault == "damaged pointer":
        pointer.write_text("{")
    else:
        pointer.unlink()
    assert not recommender.refresh()
    assert recommender.recommend(["u00000"], 5) == before
    assert isinstance(recommender.last_error, ReleaseError)
    assert f"release {served.former} goes on answering" in caplog.text
    pointer.write_bytes(was)
    assert not recommender.refresh()
    assert recommender.last_error is None
