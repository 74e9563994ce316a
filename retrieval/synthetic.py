"""A small planted world whose right answers are known: groups of users, each with a topic of its own.

Group g prefers topic g; later groups are smaller, so popularity serves the first one and nobody else. Within a topic
titles share words and a few items are chosen most. The same seed always gives the same world.
"""

import datetime as dt
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from retrieval.dataset import build_catalogue, build_histories, build_people, day_number
from retrieval.domain import Dataset, Histories
from retrieval.rules import Action
from retrieval.schema import EVENTS, ITEMS, TEXT_MAP, USERS
from retrieval.seeds import generator
from retrieval.text import TextEncoder

FIRST_DAY = dt.date(2024, 1, 1)
ACTIONS = {"purchase": Action(sign="+"), "return": Action(sign="-")}
TOPICS = ("bakery", "garden", "dairy", "tools")
WORDS = {
    "bakery": ("rye", "bread", "wheat", "loaf", "crust", "seeded", "bun", "oat"),
    "garden": ("clay", "flower", "pot", "soil", "watering", "hose", "trowel", "herb"),
    "dairy": ("whole", "milk", "cream", "aged", "cheese", "butter", "yogurt", "fresh"),
    "tools": ("steel", "hammer", "drill", "bit", "cordless", "saw", "wrench", "claw"),
}
STORES = ("north", "south", "east")


@dataclass(frozen=True, slots=True)
class World:
    """What would have landed: users and most items on the first day, fresh items later, and days of events."""

    days: tuple[dt.date, ...]
    items: pa.Table
    """In the columns of `schema.ITEMS`, ascending by item_id."""
    users: pa.Table
    """In the columns of `schema.USERS`, ascending by user_id."""
    log: pa.Table
    """Every event, in the columns of `schema.EVENTS`, in order of time within a day."""
    topic_of: Int64[np.ndarray, " items"]
    """Each item's topic, as a position in `TOPICS`."""
    group_of: Int64[np.ndarray, " users"]
    """Each user's group, which prefers the topic of the same number."""
    first_seen: pa.Array
    """The day each item lands."""

    def events(self, day: dt.date) -> pa.Table:
        """The events of one day."""
        return self.log.filter(pc.equal(pc.cast(self.log["occurred_at"], pa.date32()), pa.scalar(day)))

    def landed_items(self, day: dt.date) -> pa.Table:
        """The items that land on one day."""
        return self.items.filter(pc.equal(self.first_seen, pa.scalar(day)))

    def catalogue(self, day: dt.date) -> pa.Table:
        """What `storage/logs/queries/catalogue.sql` gives on a day."""
        known = self.items.append_column("first_seen", self.first_seen)
        return known.filter(pc.less_equal(self.first_seen, pa.scalar(day)))

    def people(self, day: dt.date) -> pa.Table:
        """What `storage/logs/queries/people.sql` gives on a day, with the store each user went to most before it."""
        counts: dict[str, Counter[str]] = {}
        for event in self._between(self.days[0], day - dt.timedelta(days=1)).select(["user_id", "context"]).to_pylist():
            counts.setdefault(event["user_id"], Counter())[dict(event["context"])["store"]] += 1
        usual = [
            [("store", max(found, key=lambda store: (found[store], store)))] if (found := counts.get(user)) else []
            for user in self.users["user_id"].to_pylist()
        ]
        return self.users.append_column("context", pa.array(usual, TEXT_MAP))

    def interactions(self, first: dt.date, last: dt.date) -> pa.Table:
        """What `storage/logs/queries/interactions.sql` gives of a span of days."""
        found = self._between(first, last)
        seconds = pc.divide(pc.cast(found["occurred_at"], pa.int64()), 1_000_000)
        table = found.select(["user_id", "item_id", "action", "value"]).append_column("time", seconds)
        keys = ("user_id", "time", "item_id", "action")
        return table.sort_by([(key, "ascending") for key in keys])

    def dataset(self, day: dt.date, encoder: TextEncoder | None = None) -> Dataset:
        """What a model may learn from as a day begins; with text vectors when an encoder is given."""
        catalogue, people = build_catalogue(self.catalogue(day)), build_people(self.people(day))
        before = self.interactions(self.days[0], day - dt.timedelta(days=1))
        histories = build_histories(before, catalogue, people, ACTIONS)
        vectors = encoder.encode(catalogue.texts.to_pylist()) if encoder else None
        return Dataset(day_number(day), catalogue, people, histories, vectors)

    def held_out(self, day: dt.date) -> Histories:
        """The day itself, over the same rows as `dataset` of that day."""
        catalogue, people = build_catalogue(self.catalogue(day)), build_people(self.people(day))
        return build_histories(self.interactions(day, day), catalogue, people, ACTIONS)

    def _between(self, first: dt.date, last: dt.date) -> pa.Table:
        days = pc.cast(self.log["occurred_at"], pa.date32())
        inside = pc.and_(pc.greater_equal(days, pa.scalar(first)), pc.less_equal(days, pa.scalar(last)))
        return self.log.filter(inside)


def planted_world(
    *,
    n_users: int = 120,
    n_items: int = 120,
    n_fresh: int = 4,
    n_days: int = 21,
    n_groups: int = 2,
    minority: float = 0.3,
    loyalty: float = 0.9,
    events_per_user_day: float = 2.0,
    landings: tuple[int, ...] = (-1,),
    first_day: dt.date = FIRST_DAY,
    seed: int = 17,
) -> World:
    """A world of `n_days` days from `first_day`; `n_fresh` items land on each of the days at `landings`, ascending.

    Each further group is `minority` times as large as the one before it. A user chooses from the own topic with
    probability `loyalty`, from any other else, and within a topic by a popularity of 1 / rank; every 40th event or so
    is a return. A fresh item may be chosen from the day after it landed, and ranks among those that were there before
    it: fresh items are spread evenly over the ranks, so those of the last day are never chosen.
    """
    if not 1 <= n_groups <= len(TOPICS):
        raise ValueError(f"{n_groups} groups, but there are {len(TOPICS)} topics: ask for 1 to {len(TOPICS)}")
    days = tuple(first_day + dt.timedelta(days=index) for index in range(n_days))
    topic_of = np.arange(n_items) % n_groups
    sizes = minority ** np.arange(n_groups)
    group_of = np.sort(generator(seed, "groups").choice(n_groups, n_users, p=sizes / sizes.sum()))
    group_of = group_of[generator(seed, "mix").permutation(n_users)]
    lands = np.zeros(n_items, np.int64)
    lands[n_items - n_fresh * len(landings) :] = np.repeat([day % n_days for day in landings], n_fresh)
    return World(
        days=days,
        items=_items(topic_of, generator(seed, "titles")),
        users=_users(n_users, generator(seed, "users")),
        log=_log(
            days,
            topic_of=topic_of,
            group_of=group_of,
            lands=lands,
            loyalty=loyalty,
            events_per_user_day=events_per_user_day,
            rng=generator(seed, "events"),
        ),
        topic_of=topic_of,
        group_of=group_of,
        first_seen=pa.array([days[index] for index in lands], pa.date32()),
    )


def errands_world(
    *, n_users: int = 80, n_items: int = 80, n_days: int = 12, n_errands: int = 10, seed: int = 17
) -> World:
    """A world in which what goes with an item never reads like it: a basket serves one errand, from two topics.

    Each item has a topic and belongs to one errand, which has items of every topic. The items of its errand of other
    topics are what is chosen with an item; those of its topic are what means the same, and are never chosen with it.
    """
    days = tuple(FIRST_DAY + dt.timedelta(days=index) for index in range(n_days))
    rng, n_topics = generator(seed, "baskets"), len(TOPICS)
    topic_of, errand_of = np.arange(n_items) % n_topics, np.arange(n_items) // n_topics % n_errands
    day, second = np.repeat(np.arange(n_days), n_users), rng.integers(0, 86_400, n_days * n_users)
    errand, first = rng.integers(0, n_errands, len(day)), rng.integers(0, n_topics, len(day))
    topics = (first, (first + rng.integers(1, n_topics, len(day))) % n_topics)
    n_alike = n_items // (n_topics * n_errands)
    sides = [n_topics * (errand + n_errands * rng.integers(0, n_alike, len(day))) + topic for topic in topics]
    order = np.argsort(np.repeat(day * 86_400 + second, 2), kind="stable")
    users = np.tile(np.arange(n_users), n_days)
    columns = {
        "user_id": [f"u{row:05d}" for row in np.repeat(users, 2)[order]],
        "item_id": [f"i{row:05d}" for row in np.stack(sides, axis=1).ravel()[order]],
        "action": ["purchase"] * (2 * len(day)),
        "occurred_at": _moments(days[0], np.repeat(day, 2)[order], np.repeat(second, 2)[order]),
        "value": np.ones(2 * len(day)),
        "context": [[("store", STORES[0])]] * (2 * len(day)),
    }
    return World(
        days=days,
        items=_items(topic_of, generator(seed, "titles")),
        users=_users(n_users, generator(seed, "users")),
        log=pa.table(columns, pa.schema([EVENTS.arrow.field(name) for name in columns])),
        topic_of=topic_of,
        group_of=errand_of,
        first_seen=pa.array([days[0]] * n_items, pa.date32()),
    )


def _moments(first: dt.date, day: np.ndarray, second: np.ndarray) -> pa.Array:
    micros = ((day_number(first) + day) * 86_400 + second) * 1_000_000
    return pa.array(micros, pa.int64()).cast(EVENTS.arrow.field("occurred_at").type)


def _items(topic_of: np.ndarray, rng: np.random.Generator) -> pa.Table:
    topics = [TOPICS[topic] for topic in topic_of]
    titles = [" ".join(rng.choice(WORDS[topic], 3, replace=False)) for topic in topics]
    brands = rng.choice(["acme", "bolt", "crown"], len(topics))
    columns = {
        "item_id": [f"i{row:05d}" for row in range(len(topics))],
        "title": titles,
        "description": [f"from the {topic} shelf" for topic in topics],
        "topics": [[topic, f"{topic} {title.split()[0]}"] for topic, title in zip(topics, titles, strict=True)],
        "attributes": [[("brand", str(brand))] for brand in brands],
        "available_from": [None] * len(topics),
        "available_until": [None] * len(topics),
    }
    names = list(columns)
    return pa.table(columns, pa.schema([ITEMS.arrow.field(name) for name in names]))


def _users(n_users: int, rng: np.random.Generator) -> pa.Table:
    bands = rng.choice(["18-34", "35-54", "55+"], n_users)
    columns = {
        "user_id": [f"u{row:05d}" for row in range(n_users)],
        "attributes": [[("age", str(band))] for band in bands],
    }
    return pa.table(columns, USERS.arrow)


def _log(
    days: tuple[dt.date, ...],
    *,
    topic_of: np.ndarray,
    group_of: np.ndarray,
    lands: np.ndarray,
    loyalty: float,
    events_per_user_day: float,
    rng: np.random.Generator,
) -> pa.Table:
    n_groups = int(topic_of.max()) + 1
    day, user = _who_and_when(len(days), len(group_of), events_per_user_day, rng)
    strays = rng.random(len(user)) >= loyalty
    away = rng.integers(1, max(n_groups, 2), len(user))
    topic = np.where(strays, group_of[user] + away, group_of[user]) % n_groups
    item = np.empty(len(user), np.int64)
    landed = np.searchsorted(np.unique(lands), day)  # how many landings were over when the day began
    for n_landings, number in np.ndindex(len(np.unique(lands)) + 1, n_groups):
        mine = (topic == number) & (np.maximum(landed, 1) == n_landings)
        if mine.any():
            shelf = _shelf(np.flatnonzero(topic_of == number), lands, np.unique(lands)[:n_landings])
            popularity = 1 / np.arange(1, len(shelf) + 1)
            item[mine] = rng.choice(shelf, int(mine.sum()), p=popularity / popularity.sum())
    second = rng.integers(0, 86_400, len(user))
    order = np.lexsort((second, day))
    usual = np.asarray(STORES)[rng.integers(0, len(STORES), len(group_of))][user]
    store = np.where(rng.random(len(user)) < 0.8, usual, rng.choice(STORES, len(user)))
    columns = {
        "user_id": [f"u{row:05d}" for row in user[order]],
        "item_id": [f"i{row:05d}" for row in item[order]],
        "action": np.where(rng.random(len(user)) < 1 / 40, "return", "purchase").tolist(),
        "occurred_at": _moments(days[0], day[order], second[order]),
        "value": np.ones(len(user)),
        "context": [[("store", str(name))] for name in store[order]],
    }
    return pa.table(columns, pa.schema([EVENTS.arrow.field(name) for name in columns]))


def _shelf(items: np.ndarray, lands: np.ndarray, landings: np.ndarray) -> np.ndarray:
    """The items that landed so far, most popular first: those of each landing spread evenly over the ranks."""
    parts = [items[lands[items] == day] for day in landings]
    ranks = np.concatenate([(np.arange(len(part)) + 0.5) / max(len(part), 1) for part in parts])
    return np.concatenate(parts)[np.argsort(ranks, kind="stable")]


def _who_and_when(
    n_days: int, n_users: int, events_per_user_day: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Day and user of each event: users differ in how much they do."""
    zeal = rng.gamma(4.0, 0.25, n_users)
    counts = rng.poisson(np.tile(zeal * events_per_user_day, (n_days, 1)))
    day, user = np.indices(counts.shape)
    return np.repeat(day.ravel(), counts.ravel()), np.repeat(user.ravel(), counts.ravel())
