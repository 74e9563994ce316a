"""What services use: a store's release, answering in the caller's own ids, and following the pointer as it moves."""

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from retrieval.domain import UNKNOWN, Candidates, Queries
from retrieval.queries import features_of
from retrieval.recommender import Snapshot
from retrieval.vocabulary import Vocabulary
from storage.background import beside_calls
from storage.manifest import MANIFEST
from storage.opening import Opened, Origin, Verify
from storage.releases import ReleaseStore
from storage.whys import Reason, in_ids

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """Rankings of one release, one a question, best first."""

    release_id: str
    ids: list[list[str]]
    scores: list[list[float]]
    unknown: list[str]
    """What the question named and the release does not know."""
    reasons: list[list[Reason]] = field(default_factory=list)
    """Where they were asked for, why each item is there."""


def open_release(
    uri: str | Path, release: str | None = None, *, cache: Path | None = None, verify: Verify = "full"
) -> "Recommender":
    """The live release of a store, a folder or `s3://bucket/prefix`; with `release` that one; or that of a folder.

    `cache` holds copies of what lies on S3, ~/.cache/lamplighter/releases where it is not given.

    Raises:
        ReleaseError: when there is none, or it is torn: it names the file.
    """
    folder = Path(uri).expanduser().absolute() if "://" not in str(uri) else None
    if release is None and folder is not None and (folder / MANIFEST).is_file():
        return Recommender(Origin(ReleaseStore(folder.parent), folder.name), verify)
    return Recommender(Origin(ReleaseStore(uri, cache), release), verify)


class Recommender:
    """Answers from a release, from any number of threads; a call that has begun ends on the release it began with."""

    def __init__(self, origin: Origin, verify: Verify) -> None:
        self._origin, self._verify = origin, verify
        self._opened = origin.open(full=verify == "full")
        self._former: str | None = None
        self._refreshing, self._closed = threading.Lock(), threading.Event()
        self._watcher: threading.Thread | None = None
        self.last_error: Exception | None = None
        """Why the newest refresh failed; None when it did not."""
        if verify == "lazy":
            threading.Thread(target=self._opened.compare_bytes, name="lamplighter-verify", daemon=True).start()

    @property
    def release_id(self) -> str:
        """The release that answers now."""
        return self._opened.release.id

    @property
    def opened(self) -> Opened:
        """The release that answers now, with its rows and its folder: for tools that look inside."""
        return self._opened

    def recommend(
        self,
        users: Sequence[str] | None = None,
        k: int = 20,
        *,
        histories: Sequence[Sequence[str]] | None = None,
        attributes: Sequence[Mapping[str, str]] | None = None,
        condition: str | None = None,
        sources: Collection[str] | None = None,
        why: bool = False,
    ) -> Answer:
        """The best k items of each user, or after each history of item ids, oldest first.

        Somebody new may bring `attributes` and context, such as age and store, beside a history or without one.
        `condition` is a topic: only its items are shown. `sources` are those to blend. Users nobody knows get what a
        newcomer gets, unknown items and attributes are passed over; all are named in the answer. `why` asks for the
        reasons of each item, which takes several times as long.

        Raises:
            UnknownId: for a topic or a source that the release does not have; it names those there are.
        """
        snapshot = self._snapshot(k)
        if (users is None) == (histories is None and attributes is None):
            raise ValueError("recommend takes either users, or histories and attributes: give one of them")
        if users is not None:
            asked = snapshot.questions_of(_many(users, "users"))
            unknown = _unknown(snapshot.dataset.people.ids, users)
        else:
            asked, unknown = _newcomers(snapshot, histories, attributes)
        if not why:
            return _answer(snapshot, snapshot.answer(asked, k, condition=condition, sources=sources), unknown)
        found, reasons = snapshot.explain(asked, k, condition=condition, sources=sources)
        answer = _answer(snapshot, found, unknown)
        return replace(answer, reasons=[in_ids(snapshot, *pair) for pair in zip(found.items, reasons, strict=True)])

    def similar(
        self,
        items: Sequence[str],
        k: int = 20,
        *,
        condition: str | None = None,
        alpha: float | None = None,
        head: str | None = None,
    ) -> Answer:
        """The k items most like each item; nothing is like an unknown one, which is named in the answer.

        Where a source has heads, `alpha` says how many of the places in percent go to what is chosen together, the rest
        to what means the same; the recipe's share if it is not given. `head` asks one head alone.

        Raises:
            UnknownId: for a topic or a head that the release does not have; it names those there are.
            ValueError: for an alpha that is no percentage.
        """
        snapshot = self._snapshot(k)
        found = snapshot.similar(_many(items, "items"), k, condition=condition, alpha=alpha, head=head)
        return _answer(snapshot, found, _unknown(snapshot.dataset.catalogue.ids, items))

    def search(self, texts: Sequence[str], k: int = 20, *, condition: str | None = None) -> Answer:
        """The k items that mean most nearly what each text says."""
        snapshot = self._snapshot(k)
        return _answer(snapshot, snapshot.search(_many(texts, "texts"), k, condition=condition), [])

    def refresh(self) -> bool:
        """Go over to the release that is live now; whether there was another.

        When that fails the present one goes on answering, and `last_error` says why.
        """
        with self._refreshing:
            try:
                changed = self._refresh()
                self.last_error = None
            except Exception as error:  # whatever it is, it must end neither a query nor the watcher
                self.last_error, changed = error, False
                log.warning("release %s goes on answering: %s", self.release_id, error)
        return changed

    def watch(self, seconds: float) -> Self:
        """Refresh again and again, in a thread of its own, until `close`."""
        if self._watcher is not None:
            raise ValueError("the release is being watched already: close it, or open another")
        self._watcher = threading.Thread(target=self._watch, args=(seconds,), name="lamplighter-watch", daemon=True)
        self._watcher.start()
        return self

    def close(self) -> None:
        """End the watching; calls that have begun end well."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _snapshot(self, k: int) -> Snapshot:
        """What this call answers from, to its end."""
        if k < 1:
            raise ValueError(f"k is {k}: ask for 1 item or more")
        return self._opened.whole()

    def _refresh(self) -> bool:
        former = self._opened
        if former.fault is None and self._origin.target() == former.target:
            return False
        opened = beside_calls(lambda: self._origin.open(former, full=self._verify != "size"))
        self._opened = opened
        left, self._former = self._former, former.release.id
        if left is not None and left not in {opened.release.id, former.release.id}:
            self._origin.store.drop_copy(left)
        return True

    def _watch(self, seconds: float) -> None:
        while not self._closed.wait(seconds):
            self.refresh()


def _newcomers(
    snapshot: Snapshot, histories: Sequence[Sequence[str]] | None, attributes: Sequence[Mapping[str, str]] | None
) -> tuple[Queries, list[str]]:
    """The questions of people nobody knows, and what of them the release does not know."""
    said = [{}] * len(histories or []) if attributes is None else _many(attributes, "attributes")
    chosen = [[]] * len(said) if histories is None else _many(histories, "histories")
    if len(said) != len(chosen):
        raise ValueError(f"there are {len(chosen)} histories and {len(said)} attributes: give one of each a question")
    named = [item for items in chosen for item in _many(items, "a history")]
    _, unknown = features_of(snapshot.dataset.people, said)
    return snapshot.questions_after(chosen, said), _unknown(snapshot.dataset.catalogue.ids, named) + unknown


def _answer(snapshot: Snapshot, found: Candidates, unknown: list[str]) -> Answer:
    names, rows = snapshot.dataset.catalogue.ids, [items[items != UNKNOWN] for items in found.items]
    scores = [line[: len(kept)].tolist() for line, kept in zip(found.scores, rows, strict=True)]
    return Answer(snapshot.release_id, [names.names(kept) for kept in rows], scores, unknown)


def _unknown(vocabulary: Vocabulary, ids: Sequence[str]) -> list[str]:
    """Each id once that has no row."""
    return list(dict.fromkeys(id_ for id_, row in zip(ids, vocabulary.rows(ids), strict=True) if row == UNKNOWN))


def _many(values: Sequence[T], what: str) -> Sequence[T]:
    """The values, which must not be one text: that is a sequence too, of letters."""
    if isinstance(values, str):
        raise TypeError(f"{what} is the text {values!r}, expected a list. Put it in brackets.")
    return values
