"""Candidates for one night that are worse than they look, or exactly as good, and what becomes of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from storage.artifacts import Make
from storage.bundle import VECTORS
from storage.refs import Ref
from tasks.accept import accept
from tasks.build_index import build_index
from tasks.checks import Judged
from tasks.compare import compare
from tasks.embed import embed
from tasks.evaluate import evaluate
from tasks.publish import Parts
from tasks.run import Night
from tasks.sources import SourceRefs
from tasks.train import train

SOURCE = "two_tower"


@dataclass(frozen=True)
class Challenge:
    """A finished night, whose release is live, and candidates beside it."""

    night: Night
    parts: Parts

    def judge(self, sources: dict[str, SourceRefs]) -> Judged:
        """What the acceptance tests and the gate say of a candidate of these sources."""
        night, prepared = self.night, self.parts.prepared
        live = night.store.current()
        scored = evaluate.fn(night, prepared, self.parts.encoded, sources, None)
        return Judged(
            live.id,
            accept.fn(night, prepared, self.parts.encoded, sources, live),
            compare.fn(night, prepared, scored, live),
            self.parts.converged,
        )

    def shuffled(self) -> Judged:
        """Every vector belongs to another item, in the index as well."""
        own = self._own

        def make(folder: Path) -> dict[str, Any]:
            vectors = np.load(own.vectors.path / VECTORS)
            np.save(folder / VECTORS, np.random.default_rng(1).permutation(vectors))
            return {}

        return self._of_vectors("shuffled", make)

    def stale_tower(self) -> Judged:
        """The towers are of another training of the same night than the vectors."""
        return self.judge(self._with(replace(self._own, model=self._trained(seed=99))))

    def former_tower(self) -> Judged:
        """The towers are of the night before, when there were fewer items."""
        return self.judge(self._with(replace(self._own, model=self._warm())))

    def half(self) -> Judged:
        """Vectors and index end in the middle of the catalogue."""
        own = self._own

        def make(folder: Path) -> dict[str, Any]:
            vectors = np.load(own.vectors.path / VECTORS)
            np.save(folder / VECTORS, vectors[: len(vectors) // 2])
            return {}

        return self._of_vectors("half", make)

    def equal(self, seed: int) -> Judged:
        """The same recipe by another seed, from the same release."""
        model = self._trained(seed)
        vectors = embed.fn(self.night, self.parts.prepared, self.parts.encoded, SOURCE, model)
        assert vectors is not None
        index = build_index.fn(self.night, self.parts.prepared, SOURCE, model, vectors)
        return self.judge(self._with(SourceRefs(model, vectors, index)))

    @property
    def _own(self) -> Any:
        return self.parts.sources[SOURCE]

    def _of_vectors(self, name: str, make: Make) -> Judged:
        own = self._own
        vectors = self.night.once(f"embed-{name}", [own.vectors], name, make).ref
        index = build_index.fn(self.night, self.parts.prepared, SOURCE, own.model, vectors)
        return self.judge(self._with(SourceRefs(own.model, vectors, index)))

    def _warm(self) -> Ref | None:
        store, parent = self.night.store, self.parts.parent
        return store.model(store.get(parent), SOURCE, "two_tower") if parent else None

    def _trained(self, seed: int) -> Ref:
        night = replace(self.night, recipe=self.night.recipe.model_copy(update={"seed": seed}))
        return train.fn(night, self.parts.prepared, self.parts.encoded, SOURCE, self._warm())

    def _with(self, source: SourceRefs) -> dict[str, SourceRefs]:
        return dict(self.parts.sources) | {SOURCE: source}
