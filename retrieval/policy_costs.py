"""What policies cost: recall with all of them, and with all but one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from retrieval import metrics
from retrieval.domain import Candidates
from retrieval.evaluation import Holdout
from retrieval.merging import Merge, blended
from retrieval.metrics import Estimate
from retrieval.retrievers.protocol import Retriever
from retrieval.seeds import generator

TOGETHER = "all policies"
"""The name under which what all of them cost together is told."""


@dataclass(frozen=True, slots=True)
class Change:
    """A metric with a policy and without it, and the difference over the same users, resampled together."""

    with_policy: Estimate
    without_policy: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class PolicyCost:
    """What one policy does to recall where all others stay."""

    policy: str
    n_users: int
    recall_at_10: Change
    recall_at_100: Change


def policy_costs(
    sources: Mapping[str, Retriever],
    merge: Merge,
    found: Mapping[str, Candidates],
    shown: Candidates,
    holdout: Holdout,
    seed: int,
) -> list[PolicyCost]:
    """All policies together, then one after the other; nothing where there are none.

    `shown` are the lists with all policies, `found` what the sources found for them.
    """
    names, k = merge.policies.names, shown.items.shape[1]
    lesser = {TOGETHER: merge.plain()} | {name: merge.without(name) for name in names} if names else {}
    return [
        _cost(
            name, shown, blended(sources, less, holdout.queries, k, found=found), holdout, generator(seed, "policies")
        )
        for name, less in lesser.items()
    ]


def _cost(name: str, shown: Candidates, plain: Candidates, holdout: Holdout, rng: np.random.Generator) -> PolicyCost:
    return PolicyCost(name, len(shown), *(_change(shown, plain, holdout, k, rng) for k in (10, 100)))


def _change(shown: Candidates, plain: Candidates, holdout: Holdout, k: int, rng: np.random.Generator) -> Change:
    n_items = len(holdout.queries.eligible)
    here, there = (
        metrics.recall(metrics.hits(found, holdout.targets, n_items), holdout.targets, k) for found in (shown, plain)
    )
    return Change(**metrics.estimates({"with_policy": here, "without_policy": there, "difference": here - there}, rng))
