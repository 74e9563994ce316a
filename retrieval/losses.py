"""Losses of retrieval: what is said of a positive against a sample of everything else."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 256
"""Query rows whose scores are held at once: they stay in cache, and queries x candidates is never stored."""


def sampled_softmax(
    queries: Float[Tensor, "queries dim"],
    candidates: Float[Tensor, "candidates dim"],
    log_q: Float[Tensor, " candidates"],
    positives: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]],
    ignored: tuple[Int[Tensor, " hits"], Int[Tensor, " hits"]],
    weights: Float[Tensor, " pairs"],
) -> Float[Tensor, ""]:
    """Mean over pairs of -log softmax of the positive among the sampled candidates.

    With s the inner products, L = -s⁺ + log(exp s⁺ + Σ_j exp(s_j - log Q_j)) over the candidates j that are neither
    positives of the query nor ignored for it; `positives` and `ignored` are (query rows, candidate rows), `weights`
    sums to 1. The positive is no sample, so it carries no log Q of its own.
    Source: Bengio and Senecal 2008 for log Q; the positive kept out of the correction: arXiv 2507.09331.
    """
    loss: Float[Tensor, ""] = _SampledSoftmax.apply(queries, candidates, log_q, positives, ignored, weights)
    return loss


class _SampledSoftmax(torch.autograd.Function):
    """The loss and its gradient in one pass over chunks of query rows; pairs ascend by query row."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        candidates: Tensor,
        log_q: Tensor,
        positives: tuple[Tensor, Tensor],
        ignored: tuple[Tensor, Tensor],
        weights: Tensor,
    ) -> Tensor:
        grad_queries, grad_candidates = torch.zeros_like(queries), torch.zeros_like(candidates)
        total = queries.new_zeros(())
        for start in range(0, len(queries), CHUNK):
            stop = min(start + CHUNK, len(queries))
            scores = queries[start:stop] @ candidates.T
            rows, columns, weight = *_within(positives, start, stop), weights[_between(positives[0], start, stop)]
            positive = scores[rows, columns]
            scores -= log_q
            scores[_within(ignored, start, stop)] = -torch.inf
            scores[rows, columns] = -torch.inf
            log_rest = torch.logsumexp(scores, dim=1)
            margin = log_rest[rows] - positive
            total += (torch.nn.functional.softplus(margin) * weight).sum()
            slope = torch.sigmoid(margin) * weight
            per_query = slope.new_zeros(stop - start).index_add_(0, rows, slope)
            # A query with nothing against it has log_rest = -inf, and exp(-inf + inf) is no number.
            log_rest = log_rest.masked_fill(log_rest.isneginf(), 0.0)
            gradient = torch.exp(scores - log_rest[:, None]) * per_query[:, None]
            gradient.index_put_((rows, columns), -slope, accumulate=True)
            grad_queries[start:stop] = gradient @ candidates
            grad_candidates += gradient.T @ queries[start:stop]
        ctx.save_for_backward(grad_queries, grad_candidates)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        grad_queries, grad_candidates = ctx.saved_tensors
        return grad_queries * outer[0], grad_candidates * outer[0], None, None, None, None


def _between(rows: Tensor, start: int, stop: int) -> slice:
    low, high = torch.searchsorted(rows, torch.tensor([start, stop], device=rows.device)).tolist()
    return slice(low, high)


def _within(pairs: tuple[Tensor, Tensor], start: int, stop: int) -> tuple[Tensor, Tensor]:
    """The pairs whose query row lies in a chunk, query rows counted from its start."""
    chosen = _between(pairs[0], start, stop)
    return pairs[0][chosen] - start, pairs[1][chosen]
