"""Tables of logs into the values models learn from: rows instead of ids, signed weights instead of actions."""

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retrieval.domain import FOREVER, UNKNOWN, Catalogue, Histories, People, Ragged
from retrieval.rules import Action
from retrieval.vocabulary import Vocabulary

EPOCH = dt.date(1970, 1, 1)


def day_number(day: dt.date) -> int:
    """Days from 1970-01-01."""
    return (day - EPOCH).days


def day_of(number: int) -> dt.date:
    """The date of a day counted from 1970-01-01."""
    return EPOCH + dt.timedelta(days=number)


def build_catalogue(items: pa.Table, crosses: Sequence[tuple[str, str]] = ()) -> Catalogue:
    """The catalogue of a table with one row an item, ascending by item_id (`storage/logs/queries/catalogue.sql`).

    An item's features are its topics by level, its attributes, and both values of each crossed pair of fields.
    """
    items = items.combine_chunks()
    n = items.num_rows
    topics = _column(items, "topics")
    topic_owners = np.asarray(pc.list_parent_indices(topics))
    topic_values = pc.list_flatten(topics)
    topic_labels = _levelled(topics, topic_owners, topic_values)
    named = topic_values.is_valid()
    topic_owners = topic_owners[np.asarray(named)]
    topic_values, topic_labels = topic_values.filter(named), topic_labels.filter(named)
    topic_names = Vocabulary.of(topic_values, "topic")
    attribute_owners, attribute_names = _map_features(_column(items, "attributes"), "")
    fields = [
        (topic_owners, topic_labels),
        (attribute_owners, attribute_names),
    ]
    fields += [_crossed(fields, one, other, n) for one, other in crosses]
    owners = np.concatenate([entry[0] for entry in fields])
    features, feature_names = _features(owners, pa.concat_arrays([entry[1] for entry in fields]), n, "item feature")
    texts = _texts(items)
    distinct = Vocabulary.of(texts, "text")
    return Catalogue(
        ids=Vocabulary(_column(items, "item_id"), "item"),
        features=features,
        feature_names=feature_names,
        topics=Ragged.from_owners(topic_owners, topic_names.rows(topic_values), n),
        topic_names=topic_names,
        text_rows=distinct.rows(texts),
        texts=distinct.ids,
        first_seen=_days(items, "first_seen", 0),
        available_from=_days(items, "available_from", 0),
        available_until=_days(items, "available_until", FOREVER),
    )


def build_people(users: pa.Table) -> People:
    """The users of a table with one row each, ascending by user_id (`storage/logs/queries/people.sql`)."""
    users = users.combine_chunks()
    owners, labels = _map_features(_column(users, "attributes"), "")
    usual_owners, usual_labels = _map_features(_column(users, "context"), "usual ")
    features, names = _features(
        np.concatenate([owners, usual_owners]), pa.concat_arrays([labels, usual_labels]), users.num_rows, "user feature"
    )
    return People(Vocabulary(_column(users, "user_id"), "user"), features, names)


def build_histories(events: pa.Table, catalogue: Catalogue, people: People, actions: Mapping[str, Action]) -> Histories:
    """Histories of all people; events that say nothing by the recipe's actions weigh 0: seen, but no sign of taste."""
    users = people.ids.rows(events["user_id"])
    items = catalogue.ids.rows(events["item_id"])
    weights = signed_weights(events, actions)
    keep = (users != UNKNOWN) & (items != UNKNOWN)
    times = events["time"].to_numpy()
    return Histories.build(users[keep], items[keep], weights[keep], times[keep], len(people))


def signed_weights(events: pa.Table, actions: Mapping[str, Action]) -> np.ndarray:
    """What each event says about taste: its action's weight and sign, 0 below the action's least value."""
    names = list(actions)
    signed = np.array([a.weight if a.sign == "+" else -a.weight for a in actions.values()] + [0.0], np.float32)
    least = np.array([-np.inf if a.min_value is None else a.min_value for a in actions.values()] + [0.0])
    rows = np.asarray(pc.fill_null(pc.index_in(events["action"], value_set=pa.array(names)), len(names)))
    values = np.nan_to_num(pc.fill_null(events["value"], np.inf).to_numpy(), nan=np.inf)
    return np.where(values >= least[rows], signed[rows], 0.0).astype(np.float32)


def _features(owners: np.ndarray, labels: pa.Array, n: int, what: str) -> tuple[Ragged, Vocabulary]:
    names = Vocabulary.of(labels, what)
    rows = names.rows(labels)
    order = np.lexsort((rows, owners))
    return Ragged.from_owners(owners[order], rows[order], n), names


def _map_features(maps: pa.MapArray, prefix: str) -> tuple[np.ndarray, pa.StringArray]:
    """Owner and `key=value` label of each entry that has a value."""
    offsets = np.asarray(maps.offsets)
    owners = np.repeat(np.arange(len(maps)), np.diff(offsets))
    # Of a slice, keys and items are still those of the whole.
    keys, values = (part.slice(offsets[0], len(owners)) for part in (maps.keys, maps.items))
    present = values.is_valid()
    labels = pc.binary_join_element_wise(
        pc.binary_join_element_wise(pa.scalar(prefix), keys, ""), pc.fill_null(values, ""), "="
    )
    return owners[np.asarray(present)], labels.filter(present)


def _texts(items: pa.Table) -> pa.Array:
    title, description = _column(items, "title"), _column(items, "description")
    joined = pc.binary_join_element_wise(title, description, ". ")
    return pc.if_else(pc.equal(description, ""), title, joined)


def _levelled(topics: pa.ListArray, owners: np.ndarray, values: pa.Array) -> pa.Array:
    """`topic1=broadest`, `topic2=narrower` and so on."""
    offsets = np.asarray(topics.offsets)
    levels = np.arange(len(owners)) - (offsets - offsets[0])[owners] + 1
    return pc.binary_join_element_wise("topic", pa.array(levels).cast(pa.string()), "=", values, "")


def _crossed(
    fields: Sequence[tuple[np.ndarray, pa.Array]], one: str, other: str, n: int
) -> tuple[np.ndarray, pa.StringArray]:
    """`one*other=value|value` of the items that have both fields."""
    values = []
    for field in (one, other):
        found: list[str | None] = [None] * n
        for owners, labels in fields[:2]:
            mine = np.asarray(pc.starts_with(labels, f"{field}="))
            texts = pc.utf8_slice_codeunits(labels.filter(pa.array(mine)), len(field) + 1).to_pylist()
            for owner, text in zip(owners[mine], texts, strict=True):
                found[owner] = text
        values.append(pa.array(found, pa.string()))
    both = pc.and_(values[0].is_valid(), values[1].is_valid())
    labels = pc.binary_join_element_wise(f"{one}*{other}", pc.binary_join_element_wise(*values, "|"), "=")
    return np.flatnonzero(np.asarray(both)), labels.filter(both)


def _days(table: pa.Table, name: str, otherwise: int) -> np.ndarray:
    return np.asarray(pc.fill_null(_column(table, name).cast(pa.int32()), otherwise), dtype=np.int32)


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
