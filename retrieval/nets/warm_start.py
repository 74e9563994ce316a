"""A model that goes on from a former state: rows found again by their names, layers as they were."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from retrieval.domain import UNKNOWN, State
from retrieval.vocabulary import Vocabulary

RowsOf = Callable[[str], str | None]
"""The vocabulary that the rows of a table of this name follow; None for a layer."""


def fits(model: nn.Module, warm: State, rows_of: RowsOf) -> bool:
    """Whether a former state is of the same make: the same tables and layers, as wide, whatever their rows."""

    def width(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[1:] if rows_of(name) else shape

    return all(
        name in warm.arrays and width(name, tuple(tensor.shape)) == width(name, warm.arrays[name].shape)
        for name, tensor in model.state_dict().items()
    )


def carry_over(model: nn.Module, vocabularies: Mapping[str, Vocabulary], warm: State, rows_of: RowsOf) -> None:
    """Start from a former state: rows found again by their names, rows not met before as they were initialised."""
    for name, tensor in model.state_dict().items():
        former = torch.from_numpy(np.array(warm.arrays[name]))
        names = rows_of(name)
        if names is None:
            tensor.copy_(former)
            continue
        rows = Vocabulary(warm.strings[names], names).rows(vocabularies[names].ids)
        known = rows != UNKNOWN
        tensor[torch.from_numpy(np.flatnonzero(known))] = former[torch.from_numpy(rows[known]).long()].to(tensor.device)
