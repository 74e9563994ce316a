"""ML-1M as its published leave-one-out files have it: sequences of item numbers, the last one asked for.

The files know order and no time. The last item before the question stands one day before it, the one before it two days,
and so on: every reader of ages sees positions.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from peer_splits import Split

from retrieval.domain import DAY, FOREVER, Catalogue, Dataset, Histories, People, Ragged
from retrieval.errors import ContractError
from retrieval.vocabulary import Vocabulary

ASKED_ON = 20_000
"""The day of the question; any day that leaves room for the longest sequence does."""
TEXT_DIM = 8
Sequences = list[np.ndarray]


def split_sequences(folder: Path) -> Iterator[Split]:
    """The validation users' item before the last, then everybody's last.

    Of users outside the validation sample the copy lacks the item before the last: their histories end before it.
    """
    train, known = _read(folder / "train_input.txt"), _read(folder / "val_input.txt")
    before_last, last = _read(folder / "val_output.txt"), _read(folder / "test_output.txt")
    n_items = 1 + max(int(row.max()) for row in (*train, *known, *before_last, *last))
    validated = _rows_of(train, known)
    histories = dict(enumerate(train)) | dict(zip(validated, known, strict=True))
    answers = dict(zip(validated, before_last, strict=True))
    yield _split("validation", histories, answers, len(train), n_items)
    histories |= {row: np.concatenate([histories[row], answers[row]]) for row in validated}
    yield _split("test", histories, dict(enumerate(last)), len(train), n_items)


def _read(path: Path) -> Sequences:
    """One line a user; the files count items from 1, we from 0."""
    return [np.array(line.split(), np.int64) - 1 for line in path.read_text().splitlines()]


def _rows_of(train: Sequences, known: Sequences) -> list[int]:
    """Which users the validation sample holds: theirs is the training sequence with one item more."""
    rows = {row.tobytes(): number for number, row in enumerate(train)}
    found = [rows.get(row[:-1].tobytes()) for row in known]
    if None in found or len(set(found)) < len(known):
        raise ContractError(
            f"{sum(row is None for row in found)} of {len(known)} validation sequences continue no training sequence, or two "
            f"continue one; expected one each. Get the set's files again."
        )
    return [row for row in found if row is not None]


def _split(
    name: str, histories: dict[int, np.ndarray], answers: dict[int, np.ndarray], n_users: int, n_items: int
) -> Split:
    dataset = Dataset(
        ASKED_ON,
        _nameless_catalogue(n_items),
        People(_numbered("user", n_users), Ragged.empty(n_users), _none("user feature")),
        _as_histories(histories, n_users),
        np.full((1, TEXT_DIM), TEXT_DIM**-0.5, np.float32),
    )
    return Split.of(name, dataset, _as_histories(answers, n_users), ("new",))


def _as_histories(sequences: dict[int, np.ndarray], n_users: int) -> Histories:
    users = np.repeat(list(sequences), [len(items) for items in sequences.values()])
    items = np.concatenate(list(sequences.values()))
    from_end = np.concatenate([np.arange(len(items), 0, -1) for items in sequences.values()])
    return Histories.build(users, items, np.ones(len(items)), (ASKED_ON - from_end) * DAY, n_users)


def _nameless_catalogue(n_items: int) -> Catalogue:
    always = np.zeros(n_items, np.int32)
    return Catalogue(
        ids=_numbered("item", n_items),
        features=Ragged.empty(n_items),
        feature_names=_none("item feature"),
        topics=Ragged.empty(n_items),
        topic_names=_none("topic"),
        text_rows=always,
        texts=pa.array([""], pa.string()),
        first_seen=always,
        available_from=always,
        available_until=np.full(n_items, FOREVER, np.int32),
    )


def _numbered(what: str, n: int) -> Vocabulary:
    return Vocabulary(pa.array([f"{number:05d}" for number in range(n)], pa.string()), what)


def _none(what: str) -> Vocabulary:
    return Vocabulary(pa.array([], pa.string()), what)
