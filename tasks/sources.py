"""The fitted sources of a night, put together from their artifacts."""

from dataclasses import dataclass
from pathlib import Path

from retrieval.recipe import Recipe
from retrieval.retrievers.protocol import Retriever
from storage.refs import Ref
from storage.spaces import read_source


@dataclass(frozen=True, slots=True)
class SourceRefs:
    """Where the parts of one source are; vectors and index only for a source that answers through them."""

    model: Ref
    vectors: Ref | None = None
    index: Ref | None = None

    @property
    def refs(self) -> list[Ref]:
        return [ref for ref in (self.model, self.vectors, self.index) if ref is not None]

    def restore(self, recipe: Recipe, name: str) -> Retriever:
        """The fitted source."""
        parts: list[Path | None] = [ref.path if ref else None for ref in (self.vectors, self.index)]
        return read_source(recipe.sources[name], self.model.path, parts[0], parts[1])
