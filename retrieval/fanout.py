"""All sources asked the same questions, side by side where that is worth a thread."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from retrieval.domain import Candidates, Queries
from retrieval.retrievers.protocol import Retriever

WORTH_THREADS = 64
"""Questions from which on threads are worth their making: fewer are answered before a thread has begun."""
Clock = Callable[[], float]
"""Seconds from any moment."""


@dataclass(frozen=True, slots=True)
class Found:
    """What each source found, and how long that took it."""

    candidates: dict[str, Candidates]
    microseconds: dict[str, float]
    """By source, for all questions together; all 0 where no clock was given."""


def fan_out(
    sources: Mapping[str, Retriever],
    queries: Queries,
    depth: int,
    *,
    threads: bool = True,
    clock: Clock = lambda: 0.0,
) -> Found:
    """The first `depth` candidates of each source.

    Many questions are answered by a thread a source, whose numerics release the interpreter's lock; without `threads`,
    or for few, one source after another: what keeps every core busy already must not ask for more threads.
    """

    def ask(source: Retriever) -> tuple[Candidates, float]:
        start = clock()
        return source.retrieve(queries, depth), 1e6 * (clock() - start)

    if threads and len(sources) > 1 and len(queries) >= WORTH_THREADS:
        with ThreadPoolExecutor(len(sources)) as pool:
            answers = list(pool.map(ask, sources.values()))
    else:
        answers = [ask(source) for source in sources.values()]
    named = dict(zip(sources, answers, strict=True))
    return Found({name: found for name, (found, _) in named.items()}, {name: took for name, (_, took) in named.items()})
