"""Checks the shapes and types in retrieval's signatures while tests run."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintException

CONFIG = BeartypeConf(is_pep484_tower=True)  # an int will do where a float is asked for


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check a function's arguments and result, unless its hints are ones that beartype cannot read, such as Self."""
    try:
        return beartype(conf=CONFIG)(function)
    except BeartypeDecorHintException:
        return function
