"""The loss written by hand, with its own gradients, is the one that a loop and autograd give."""

import numpy as np
import pytest
import torch
from torch import Tensor

from retrieval.losses import CHUNK, distillation, sampled_softmax

Pairs = tuple[Tensor, Tensor]


def loss_by_loop(  # the arguments of what it is the twin of
    queries: Tensor, candidates: Tensor, log_q: Tensor, positives: Pairs, ignored: Pairs, weights: Tensor
) -> Tensor:
    """-log of the positive's share, one pair at a time, by the formula."""
    own = [set(positives[1][positives[0] == query].tolist()) for query in range(len(queries))]
    barred = [own[query] | set(ignored[1][ignored[0] == query].tolist()) for query in range(len(queries))]
    total = queries.new_zeros(())
    for query, column, weight in zip(*positives, weights, strict=True):
        s = queries[query] @ candidates[column]
        rest = [j for j in range(len(candidates)) if j not in barred[int(query)]]
        negatives = [queries[query] @ candidates[j] - log_q[j] for j in rest]
        total = total + weight * (torch.logsumexp(torch.stack([s, *negatives]), 0) - s)
    return total


def batch(n_queries: int, n_candidates: int, n_pairs: int, n_ignored: int, seed: int) -> tuple[Tensor, ...]:
    rng = np.random.default_rng(seed)

    def pairs(n: int) -> Pairs:
        cells = np.sort(rng.choice(n_queries * n_candidates, n, replace=False))
        return torch.from_numpy(cells // n_candidates), torch.from_numpy(cells % n_candidates)

    weights = torch.from_numpy(rng.random(n_pairs))
    return (
        torch.from_numpy(rng.standard_normal((n_queries, 4))).requires_grad_(),
        torch.from_numpy(rng.standard_normal((n_candidates, 4))).requires_grad_(),
        torch.from_numpy(np.log(rng.uniform(0.05, 1, n_candidates))),
        pairs(n_pairs),
        pairs(n_ignored),
        weights / weights.sum(),
    )


def value_and_gradients(loss: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (loss.detach(), *torch.autograd.grad(loss, inputs))


@pytest.mark.parametrize(
    ("n_queries", "n_candidates", "n_pairs", "n_ignored"),
    [(1, 5, 1, 0), (4, 9, 12, 8), (30, 7, 25, 60), (2 * CHUNK + 7, 6, 700, 500)],
    ids=["one pair", "several positives a query", "queries without positives", "more rows than a chunk"],
)
def test_loss_and_gradients_are_those_of_a_loop(
    n_queries: int, n_candidates: int, n_pairs: int, n_ignored: int
) -> None:
    given = batch(n_queries, n_candidates, n_pairs, n_ignored, seed=n_queries)
    found = value_and_gradients(sampled_softmax(*given), given[:2])
    wanted = value_and_gradients(loss_by_loop(*given), given[:2])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_gradients_pass_a_numerical_check() -> None:
    queries, candidates, *rest = batch(5, 8, 9, 6, seed=3)
    assert torch.autograd.gradcheck(lambda q, c: sampled_softmax(q, c, *rest), (queries, candidates))


def test_outer_gradient_scales_the_inner_one() -> None:
    given = batch(3, 6, 4, 2, seed=5)
    plain = torch.autograd.grad(sampled_softmax(*given), given[:2])
    tripled = torch.autograd.grad(3 * sampled_softmax(*given), given[:2])
    for one, other in zip(plain, tripled, strict=True):
        torch.testing.assert_close(3 * one, other)


def test_a_query_with_nothing_against_it_teaches_nothing_and_breaks_nothing() -> None:
    queries, candidates = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    positives = torch.tensor([0, 1]), torch.tensor([0, 1])
    ignored = torch.tensor([0]), torch.tensor([1])
    loss = sampled_softmax(queries, candidates, torch.zeros(2), positives, ignored, torch.tensor([0.5, 0.5]))
    loss.backward()
    assert loss.isfinite()
    assert queries.grad is not None and candidates.grad is not None
    assert queries.grad.isfinite().all() and candidates.grad.isfinite().all()
    assert not queries.grad[0].any()
    assert queries.grad[1].any()


def test_certain_candidates_without_correction_make_plain_cross_entropy() -> None:
    queries, candidates = torch.randn(6, 3), torch.randn(6, 3)
    rows, none = torch.arange(6), torch.zeros(0, dtype=torch.int64)
    found = sampled_softmax(queries, candidates, torch.zeros(6), (rows, rows), (none, none), torch.full((6,), 1 / 6))
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(queries @ candidates.T, rows))


def test_a_rarely_drawn_negative_weighs_more() -> None:
    queries, candidates = torch.ones(1, 2), torch.ones(2, 2)
    pair, none = (torch.tensor([0]), torch.tensor([0])), torch.zeros(0, dtype=torch.int64)

    def loss(probability: float) -> float:
        log_q = torch.tensor([0.0, probability]).log()
        return float(sampled_softmax(queries, candidates, log_q, pair, (none, none), torch.ones(1)))

    assert loss(1.0) == pytest.approx(np.log(2))
    assert loss(0.25) == pytest.approx(np.log(1 + 4)), "drawn a quarter of the time, it stands for four"


def divergence_by_torch(queries: Tensor, candidates: Tensor, taught: tuple[Tensor, Tensor], heat: float) -> Tensor:
    wanted = torch.log_softmax(taught[0] @ taught[1].T / heat, dim=1)
    said = torch.log_softmax(queries @ candidates.T, dim=1)
    return torch.nn.functional.kl_div(said, wanted, reduction="batchmean", log_target=True)


@pytest.mark.parametrize(("n_queries", "n_candidates"), [(1, 3), (5, 1), (2 * CHUNK + 3, 40)])
def test_distillation_and_its_gradients_are_those_of_autograd(n_queries: int, n_candidates: int) -> None:
    draw = torch.Generator().manual_seed(n_queries)

    def random(rows: int, width: int) -> Tensor:
        return torch.randn(rows, width, generator=draw, dtype=torch.float64)

    student = (random(n_queries, 4).requires_grad_(), random(n_candidates, 4).requires_grad_())
    taught = (random(n_queries, 7), random(n_candidates, 7))
    found = value_and_gradients(distillation(*student, *taught, 0.3), student)
    wanted = value_and_gradients(divergence_by_torch(*student, taught, 0.3), student)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn() -> None:
    taught = (torch.eye(3), torch.eye(3))
    alike = distillation(torch.eye(3) / 0.5, torch.eye(3), *taught, 0.5)
    assert float(alike) == pytest.approx(0, abs=1e-6)
    assert float(distillation(torch.eye(3), torch.eye(3).flip(0), *taught, 0.1)) > 0.5
