"""Steps down a loss by several optimisers at once, each for the parameters that it suits."""

import numpy as np
import torch
from torch import Tensor


class Descent:
    """Optimisers whose learning rates rise and fall together."""

    def __init__(self, *optimisers: torch.optim.Optimizer) -> None:
        self.optimisers = optimisers
        self.full_rates = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]

    def set_rates(self, scale: float) -> None:
        """Learning rates as a share of those that the optimisers came with."""
        for optimiser, rates in zip(self.optimisers, self.full_rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * scale

    def rise_and_fall(self, done: float, n_all: int, *, scale: float, fall: float) -> None:
        """Rates at a share of all work: up over its first tenth, down by half of `fall` over its second half."""
        rise = min(1.0, 10 * (done + 1 / n_all))
        self.set_rates(scale * rise * (1 - fall * max(0.0, done - 0.5)))

    def step(self, loss: Tensor) -> float:
        """Move every parameter against the loss's gradient; the loss before."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in self.optimisers:
            optimiser.step()
        return float(loss.detach())


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """An array where the model is."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
