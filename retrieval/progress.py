"""How long work says how far it is, without knowing who listens."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, runtime_checkable


@runtime_checkable
class Listener(Protocol):
    """Hears that `done` of `total` parts of some work are finished."""

    def __call__(self, work: str, done: int, total: int) -> None: ...


def _nobody(work: str, done: int, total: int) -> None: ...


_listener: ContextVar[Listener] = ContextVar("progress_listener", default=_nobody)


def advance(work: str, done: int, total: int) -> None:
    """Say how far a piece of work is."""
    _listener.get()(work, done, total)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a listener hear everything said inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def also_listening(listener: Listener) -> Iterator[None]:
    """Let a listener hear everything said inside the block, besides whoever hears it already."""
    former = _listener.get()

    def both(work: str, done: int, total: int) -> None:
        former(work, done, total)
        listener(work, done, total)

    with listening(both):
        yield
