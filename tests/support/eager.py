"""The sampled softmax as one would write it first: every score stored, and differentiated by autograd."""

import torch
from torch import Tensor


def eager_softmax(
    queries: Tensor,
    candidates: Tensor,
    log_q: Tensor,
    positives: tuple[Tensor, Tensor],
    ignored: tuple[Tensor, Tensor],
    weights: Tensor,
) -> Tensor:
    """The value of `retrieval.losses.sampled_softmax`."""
    scores, none = queries @ candidates.T, torch.tensor(-torch.inf)
    rest = (scores - log_q).index_put(ignored, none).index_put(positives, none)
    margin = torch.logsumexp(rest, 1)[positives[0]] - scores[positives]
    return (torch.nn.functional.softplus(margin) * weights).sum()
