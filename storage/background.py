"""Work beside a service's calls that lets them go first."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import faiss

T = TypeVar("T")
SWITCH_SECONDS = 0.0005
"""How long a call waits at most for the interpreter while such work has it; 5 ms are Python's own choice."""


def beside_calls(work: Callable[[], T]) -> T:
    """Do some work in a thread of its own that takes what calls leave: of the cores, and of the interpreter.

    The slowest of a hundred calls is then less than twice as slow as at rest (docs/experiments.md).
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, SWITCH_SECONDS))
    try:
        with ThreadPoolExecutor(1, "lamplighter-refresh", initializer=_yield_to_others) as one:
            return one.submit(work).result()
    finally:
        sys.setswitchinterval(usual)


def _yield_to_others() -> None:
    """The lowest priority for this thread alone, which cannot be undone, and no team of FAISS's threads."""
    with suppress(OSError, AttributeError):  # where threads have no priority of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    faiss.omp_set_num_threads(1)
