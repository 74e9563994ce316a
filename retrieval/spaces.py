"""Where items lie in a vector space, and what searches it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from retrieval.index import ExactIndex, VectorIndex


@dataclass(frozen=True, slots=True)
class Space:
    """Where items lie in one space."""

    targets: Float32[np.ndarray, "items dim"]
    triggers: Float32[np.ndarray, "items dim"] | None = None
    """Items as what is asked about; None where they are the same."""
    ranked: Float32[np.ndarray, "items width"] | None = None
    """What the index ranks by, where that is more than where items lie."""

    @property
    def searched(self) -> Float32[np.ndarray, "items width"]:
        """The vectors that an index is made of."""
        return self.targets if self.ranked is None else self.ranked


@dataclass(frozen=True, slots=True)
class Placed:
    """A space with the index over it."""

    index: VectorIndex | ExactIndex
    space: Space

    @property
    def triggers(self) -> Float32[np.ndarray, "items dim"]:
        return self.space.targets if self.space.triggers is None else self.space.triggers

    @classmethod
    def exactly(cls, space: Space) -> "Placed":
        """A space searched by comparing with every item."""
        return cls(ExactIndex(space.searched), space)

    def exact(self) -> "Placed":
        """The same space, searched by comparing with every item."""
        return Placed.exactly(self.space)
