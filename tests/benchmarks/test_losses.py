"""The chunked loss against the form that stores queries x candidates, in one run."""

import time
from collections.abc import Callable

import pytest
import torch
from eager import eager_softmax

from retrieval.losses import sampled_softmax

pytestmark = pytest.mark.benchmark
REPEATS = 7


def best_seconds(run: Callable[[], torch.Tensor], *inputs: torch.Tensor) -> float:
    seconds = []
    for _ in range(REPEATS):
        for tensor in inputs:
            tensor.grad = None
        start = time.perf_counter()
        run().backward()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@pytest.mark.parametrize("batch", [1024, 2048, 4096])
def test_the_chunked_loss_beats_the_eager_form(batch: int) -> None:
    torch.manual_seed(0)
    queries = torch.randn(batch, 64, requires_grad=True)
    items = torch.randn(2 * batch, 64, requires_grad=True)
    log_q, rows = torch.zeros(2 * batch), torch.arange(batch)
    none = torch.zeros(0, dtype=torch.long)
    weights = torch.full((batch,), 1 / batch)
    ours = best_seconds(
        lambda: sampled_softmax(queries, items, log_q, (rows, rows), (none, none), weights), queries, items
    )
    theirs = best_seconds(
        lambda: eager_softmax(queries, items, log_q, (rows, rows), (none, none), weights), queries, items
    )
    matmuls = best_seconds(lambda: (queries @ items.T).sum() + 0 * queries.sum(), queries, items)
    print(
        f"\nB = {batch}: chunked {1e3 * ours:.0f} ms, eager {1e3 * theirs:.0f} ms ({theirs / ours:.2f} x); "
        f"its three matrix products alone {1e3 * matmuls:.0f} ms ({matmuls / ours:.0%} of ours)"
    )
    assert ours < theirs
