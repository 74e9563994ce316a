"""What comes next, in closed form: a ridge regression from a user's last steps to the steps that follow them."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float32, Int32
from pydantic import Field

from retrieval.domain import Candidates, Dataset, Histories, Queries, State
from retrieval.interactions import last_steps
from retrieval.progress import advance
from retrieval.retrievers.protocol import FamilyConfig
from retrieval.ridge import add_product, most_chosen, only, solve
from retrieval.search import rank_all
from retrieval.steps import Steps

ENTRIES_AT_ONCE = 1 << 24
"""Items before steps that one decay reads at once, by the mean size of a step: 8 bytes each, held twice."""

Decay = Annotated[float, Field(ge=0, lt=1)]


class SequentialLinearConfig(FamilyConfig):
    """W = (X'X + ridge I)^-1 X'Y, one row of X and Y for every step of every user's positives.

    A step is all that a user chose at the same second, so a basket is learnt from what came before it, never from
    itself. x = for each decay d the sum over j = 1..last of d^(j-1) times the items j steps before;
    y = the sum over j = 0..ahead-1 of ahead_decay^j times the items j steps on, the step itself included.

    Limits: for n items and D decays the fit takes (D n)^3 / 3 operations and 4 (D n)^2 + 12 D n^2 bytes, the state
    4 D n^2. Items beyond `max_items` are neither read nor recommended.
    """

    kind: Literal["sequential_linear"] = "sequential_linear"
    max_items: int = Field(default=4000, ge=2)
    """Only that many items, the most chosen, take part."""
    decays: tuple[Decay, ...] = Field(default=(0.0, 0.5, 0.8, 0.95), min_length=1)
    """Each reads the history once more, with weights of its own; 0 reads the last step alone."""
    last: int = Field(default=60, ge=1)
    """Steps of the history that are read."""
    ahead: int = Field(default=12, ge=1)
    """Steps that are to be foretold: more than the next one say what belongs together."""
    ahead_decay: Decay = 0.65
    """How much less each further step counts; 0 foretells the next one alone."""
    ridge: float = Field(default=500.0, gt=0)
    """Larger values trust rare sequences less."""
    rarity: float = Field(default=0.1, ge=0)
    """An item chosen n times scores n^-rarity times as much: above 0 rare items are shown more."""

    def fit(self, dataset: Dataset, *, seed: int, warm: State | None = None) -> "SequentialLinear":
        positives, n_items = dataset.histories.positives(), len(dataset.catalogue)
        items = most_chosen(positives, n_items, self.max_items)
        known = only(positives, items, n_items)
        weights = self._weights(Steps.of(known, len(items)))
        weights *= (np.bincount(known.items, minlength=len(items)) ** -self.rarity).astype(np.float32)
        return SequentialLinear(self, items, weights, n_items)

    def restore(self, state: State) -> "SequentialLinear":
        items, weights = (np.asarray(state.arrays[name]) for name in ("items", "weights"))
        return SequentialLinear(self, items, weights, int(state.facts["n_items"]))  # type: ignore[call-overload]

    def _weights(self, steps: Steps) -> Float32[np.ndarray, "features items"]:
        n_items, n_features = steps.items.shape[1], steps.items.shape[1] * len(self.decays)
        gram, moments = np.zeros((n_features, n_features), np.float32), np.zeros((n_features, n_items), np.float32)
        blocks = [slice(index * n_items, (index + 1) * n_items) for index in range(len(self.decays))]
        at_once = max(1, ENTRIES_AT_ONCE * len(steps) // max(1, self.last * steps.items.nnz))
        for start in range(0, len(steps), at_once):
            advance("sequences", start, len(steps))
            rows = np.arange(start, min(start + at_once, len(steps)))
            before = [steps.before(rows, decay, self.last) for decay in self.decays]
            following = steps.following(rows, self.ahead_decay, self.ahead)
            for index, (block, read) in enumerate(zip(blocks, before, strict=True)):
                add_product(moments[block], read, following)
                for other, beside in zip(blocks[index:], before[index:], strict=True):
                    add_product(gram[block, other], read, beside)  # the upper half, which is all that is read
        gram[np.diag_indices_from(gram)] += self.ridge
        return solve(gram, moments)


@dataclass(frozen=True, slots=True)
class SequentialLinear:
    """A query scores every item by x W, x read off the last steps of its positives."""

    config: SequentialLinearConfig
    items: Int32[np.ndarray, " chosen"]
    weights: Float32[np.ndarray, "features chosen"]
    n_items: int

    def retrieve(self, queries: Queries, k: int) -> Candidates:
        """Queries whose histories hold none of the items get nothing."""
        return rank_all(queries, k, lambda block, _: self._scores(block.histories))

    def state(self) -> State:
        return State(arrays={"items": self.items, "weights": self.weights}, facts={"n_items": self.n_items})

    def _scores(self, histories: Histories) -> Float32[np.ndarray, "queries items"]:
        known = last_steps(only(histories.positives(), self.items, self.n_items), self.config.last)
        steps = Steps.of(known, len(self.items))
        has_history = np.flatnonzero(np.diff(steps.offsets))
        n = len(self.items)
        found = np.zeros((len(has_history), n), np.float32)
        for block, decay in enumerate(self.config.decays):
            found += steps.latest(has_history, decay, self.config.last) @ self.weights[block * n : (block + 1) * n]
        scores = np.full((len(histories), self.n_items), -np.inf, np.float32)
        scores[np.ix_(has_history, self.items)] = found
        return scores
