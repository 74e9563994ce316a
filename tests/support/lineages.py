"""Lineages of nights: planted ones of known make, and real ones of models that go on from night to night."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa

from retrieval.convergence import Curve, Lineage, Positions, aligned, follow
from retrieval.convergence_rules import ConvergenceConfig, Verdict, judge
from retrieval.domain import Dataset, Ragged, State
from retrieval.retrievers.indexed import embed
from retrieval.retrievers.mtmh import MtmhConfig
from retrieval.retrievers.two_tower import TwoTowerConfig
from retrieval.synthetic import planted_world
from retrieval.text import HashedEncoder

CONFIG = ConvergenceConfig(settled_days=8, min_items=10, min_nights=5)
TOWERS = TwoTowerConfig(
    inputs=("ids", "content"), dim=16, min_history=2, uniform_negatives=64, train_days=10, warm_days=2
)
HEADS = MtmhConfig(
    dim=16, batch_size=512, uniform_negatives=64, window_days=1.0, train_days=10, warm_days=3, prerank_days=0
)
DRIFT = 0.02
DIM = 12
N_ESTABLISHED, N_FRESH = 200, 30
FIRST = 100
"""The planted lineages' first night, on which their cohort is first seen."""
FIRST_NIGHT = 12
"""The real lineage's, counted in the world's days."""

Way = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]
"""The fresh items' vectors on the k-th night after their first, given where they belong."""


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_rotation(rng: np.random.Generator, dim: int = DIM) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def noise(rng: np.random.Generator, shape: tuple[int, ...], length: float) -> np.ndarray:
    """Steps of about a length in random directions."""
    return rng.standard_normal(shape) * length / np.sqrt(shape[-1])


def planted(way: Way, n_nights: int = 8, seed: int = 3) -> list[Positions]:
    """Established items that walk a little every night, and a cohort that goes its way."""
    rng = np.random.default_rng(seed)
    old, home = unit(rng.standard_normal((N_ESTABLISHED, DIM))), unit(rng.standard_normal((N_FRESH, DIM)))
    ids = [f"a{n:03d}" for n in range(N_ESTABLISHED)] + [f"b{n:03d}" for n in range(N_FRESH)]
    seen = np.repeat([0, FIRST], [N_ESTABLISHED, N_FRESH])
    nights = []
    for k in range(n_nights):
        nights.append(Positions.of(FIRST + k, ids, seen, np.concatenate([old, way(rng, home, k)])))
        old = unit(old + noise(rng, old.shape, DRIFT))
    return nights


def settling(rng: np.random.Generator, home: np.ndarray, k: int, *, half_life: float = 1.0) -> np.ndarray:
    """Halves what is left of the way each night, and drifts as the established items do."""
    away = unit(np.roll(home, 1, axis=0))
    return home + 0.5 ** (k / half_life) * (away - home) + noise(rng, home.shape, DRIFT / 2)


def walking(home: np.ndarray, n_nights: int, step: float, seed: int = 5) -> list[np.ndarray]:
    """A random walk of steps of one length."""
    rng, places = np.random.default_rng(seed), [home]
    for _ in range(n_nights - 1):
        places.append(unit(places[-1] + noise(rng, home.shape, step)))
    return places


def walk(step: float) -> Way:
    def way(rng: np.random.Generator, home: np.ndarray, k: int) -> np.ndarray:
        return walking(home, k + 1, step)[k]

    return way


def restless(rng: np.random.Generator, home: np.ndarray, k: int) -> np.ndarray:
    """Comes near quickly, then jumps about."""
    return home + 0.2 ** min(k, 3) * (unit(np.roll(home, 1, axis=0)) - home) + noise(rng, home.shape, 4 * DRIFT)


def jumping(rng: np.random.Generator, home: np.ndarray, k: int) -> np.ndarray:
    """Each item goes where it belongs at once, on a night of its own, and otherwise moves as the established items do."""
    away = np.where((np.arange(len(home)) % 7 < k)[:, None], home, unit(home + 0.4 * np.roll(home, 1, axis=0)))
    return walking(away, k + 1, DRIFT)[k]


def frozen(rng: np.random.Generator, home: np.ndarray, k: int) -> np.ndarray:
    return home


def calm(rng: np.random.Generator, home: np.ndarray, k: int) -> np.ndarray:
    """Where they belong from the first night on, moving as the established items do."""
    return walking(home, k + 1, DRIFT)[k]


def turned(nights: Sequence[Positions], seed: int) -> list[Positions]:
    """Every night's vectors in a space turned anew."""
    rng = np.random.default_rng(seed)
    rotate = partial(random_rotation, rng, nights[0].vectors.shape[1])
    return [dataclasses.replace(n, vectors=(n.vectors @ rotate()).astype(np.float32)) for n in nights]


def thawless(nights: Sequence[Positions], settled_before: int) -> list[Positions]:
    """Fresh rows that stay as they were on their first night."""
    first: dict[str, np.ndarray] = {}
    changed = []
    for night in nights:
        vectors = night.vectors.copy()
        for row in np.flatnonzero(night.first_seen > settled_before):
            vectors[row] = first.setdefault(str(night.ids[row]), vectors[row].copy())
        changed.append(dataclasses.replace(night, vectors=vectors))
    return changed


def lineage_of(nights: Sequence[Positions], config: ConvergenceConfig = CONFIG, seed: int = 1) -> Lineage:
    """As a lake's history keeps it."""
    turns = [aligned(a, b, config.settled_days, seed) for a, b in pairwise(nights)]
    assert all(turns)
    kept = tuple(night.worth_keeping(config.settled_days, seed) for night in nights)
    return Lineage(kept, tuple(turn for turn in turns if turn is not None))


def judged(
    nights: Sequence[Positions], chosen: Sequence[str] | None = None, config: ConvergenceConfig = CONFIG
) -> list[tuple[Curve, Verdict]]:
    """Every cohort's curve and verdict; all items count as chosen unless they are named."""
    picked = np.asarray(nights[-1].ids if chosen is None else chosen, str)
    curves = follow(lineage_of(nights, config), picked, config.settled_days)
    return [(curve, judge(curve, config)) for curve in curves]


def real_lineage(
    n_nights: int, config: TwoTowerConfig | MtmhConfig = TOWERS, *, blind: bool = False
) -> tuple[dict[str, list[Positions]], list[str]]:
    """By space, nights of real models, each going on from the one before, and the items chosen before the last.

    Fresh items land on the first two nights and are chosen from the day after; `blind` leaves them without text, topics
    and attributes.
    """
    days = (FIRST_NIGHT, FIRST_NIGHT + 1)
    sizes = {"n_users": 150, "n_items": 276, "n_fresh": 24, "n_groups": 4, "n_days": FIRST_NIGHT + n_nights}
    world = planted_world(**sizes, minority=0.8, events_per_user_day=4.0, landings=days)  # type: ignore[arg-type]
    encoder, nights, warm = HashedEncoder(), defaultdict[str, list[Positions]](list), None
    for day in world.days[FIRST_NIGHT:]:
        dataset = world.dataset(day, encoder)
        dataset = without_content(dataset) if blind else dataset
        model = config.fit(dataset, seed=5, warm=warm)
        warm: State = model.state()
        ids, first_seen = dataset.catalogue.ids.ids.to_pylist(), dataset.catalogue.first_seen
        for name, space in embed(model, dataset).items():
            nights[name].append(Positions.of(dataset.day, ids, first_seen, space.targets))
    chosen = dataset.catalogue.ids.names(np.unique(dataset.histories.positives().items))
    return dict(nights), chosen


def without_content(dataset: Dataset) -> Dataset:
    """Items that were not there from the beginning say nothing of themselves."""
    catalogue, texts = dataset.catalogue, dataset.text_vectors
    assert texts is not None
    fresh = catalogue.first_seen > catalogue.first_seen.min()
    owners = catalogue.features.owners()
    kept = ~fresh[owners]
    silent = dataclasses.replace(
        catalogue,
        text_rows=np.where(fresh, len(texts), catalogue.text_rows).astype(np.int32),
        texts=pa.concat_arrays([catalogue.texts, pa.array([""])]),
        features=Ragged.from_owners(owners[kept], catalogue.features.values[kept], len(catalogue)),
    )
    nothing = np.zeros((1, texts.shape[1]), np.float32)
    return dataclasses.replace(dataset, catalogue=silent, text_vectors=np.concatenate([texts, nothing]))
