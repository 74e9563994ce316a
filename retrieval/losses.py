"""Losses of retrieval: what is said of a positive against a sample of everything else."""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 128
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
        grad_queries, grad_candidates = torch.empty_like(queries), torch.zeros_like(candidates)
        total, room = queries.new_zeros(()), queries.new_empty((min(CHUNK, len(queries)), len(candidates)))
        own, barred = _by_chunk(positives[0], len(queries)), _by_chunk(ignored[0], len(queries))
        for chunk, start in enumerate(range(0, len(queries), CHUNK)):
            stop = min(start + CHUNK, len(queries))
            rows, columns, weight = positives[0][own[chunk]] - start, positives[1][own[chunk]], weights[own[chunk]]
            scores = torch.mm(queries[start:stop], candidates.T, out=room[: stop - start])
            positive = scores[rows, columns]
            scores -= log_q
            scores[ignored[0][barred[chunk]] - start, ignored[1][barred[chunk]]] = -torch.inf
            scores[rows, columns] = -torch.inf
            # One exponential serves the value and the gradient; a query with nothing against it has a sum of 0.
            highest = scores.amax(dim=1).clamp(min=torch.finfo(scores.dtype).min)
            summed = scores.sub_(highest[:, None]).exp_().sum(dim=1)
            margin = (highest + summed.log())[rows] - positive
            total += (torch.nn.functional.softplus(margin) * weight).sum()
            slope = torch.sigmoid(margin) * weight
            per_query = slope.new_zeros(stop - start).index_add_(0, rows, slope)
            scores *= (per_query / summed.clamp(min=torch.finfo(scores.dtype).tiny))[:, None]
            scores.index_put_((rows, columns), -slope, accumulate=True)
            torch.mm(scores, candidates, out=grad_queries[start:stop])
            grad_candidates.addmm_(scores.T, queries[start:stop])
        ctx.save_for_backward(grad_queries, grad_candidates)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        grad_queries, grad_candidates = ctx.saved_tensors
        return grad_queries * outer[0], grad_candidates * outer[0], None, None, None, None


def _by_chunk(rows: Tensor, n_queries: int) -> list[slice]:
    """Which entries belong to the query rows of each chunk; rows ascend."""
    starts = torch.arange(0, n_queries + CHUNK, CHUNK, device=rows.device).clamp(max=n_queries)
    bounds = torch.searchsorted(rows, starts).tolist()
    return [slice(low, high) for low, high in pairwise(bounds)]


def distillation(
    queries: Float[Tensor, "queries dim"],
    candidates: Float[Tensor, "candidates dim"],
    teacher_queries: Float[Tensor, "queries text"],
    teacher_candidates: Float[Tensor, "candidates text"],
    teacher_temperature: float,
) -> Float[Tensor, ""]:
    """Mean over queries of KL(Q || P): what the student says of the candidates against what the teacher says.

    Q = softmax(teacher similarities / temperature), P = softmax(s), s the student's inner products, which carry their
    own temperature. The gradient on s is P - Q.
    Source: MTMH, arXiv 2506.06239, equation 2.
    """
    loss: Float[Tensor, ""] = _Distillation.apply(
        queries, candidates, teacher_queries, teacher_candidates, teacher_temperature
    )
    return loss


class _Distillation(torch.autograd.Function):
    """The divergence and its gradient in one pass over chunks of query rows."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        candidates: Tensor,
        teacher_queries: Tensor,
        teacher_candidates: Tensor,
        teacher_temperature: float,
    ) -> Tensor:
        grad_queries, grad_candidates = torch.empty_like(queries), torch.zeros_like(candidates)
        total, scaled = queries.new_zeros(()), teacher_queries / teacher_temperature
        room = queries.new_empty((2, min(CHUNK, len(queries)), len(candidates)))
        for start in range(0, len(queries), CHUNK):
            stop = min(start + CHUNK, len(queries))
            taught = torch.mm(scaled[start:stop], teacher_candidates.T, out=room[0, : stop - start])
            scores = torch.mm(queries[start:stop], candidates.T, out=room[1, : stop - start])
            taught -= taught.logsumexp(dim=1, keepdim=True)
            scores -= scores.logsumexp(dim=1, keepdim=True)
            wanted = taught.exp()
            total += (wanted * (taught - scores)).sum()
            slope = scores.exp_().sub_(wanted).div_(len(queries))
            torch.mm(slope, candidates, out=grad_queries[start:stop])
            grad_candidates.addmm_(slope.T, queries[start:stop])
        ctx.save_for_backward(grad_queries, grad_candidates)
        return total / max(len(queries), 1)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Any:
        grad_queries, grad_candidates = ctx.saved_tensors
        return grad_queries * outer[0], grad_candidates * outer[0], None, None, None
