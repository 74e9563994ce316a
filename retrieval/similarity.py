"""What each way to say what is like an item is worth on the newest day, and what the merge's share makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from retrieval.domain import Candidates
from retrieval.head_health import greatest_cka, overlap
from retrieval.item_quality import DEPTH, ItemHoldout, ItemJudge, ItemScore
from retrieval.progress import advance
from retrieval.retrievers.heads import merged
from retrieval.retrievers.protocol import MERGED, AnswersByVectors, Retriever
from retrieval.rules import FrozenModel


class SimilarConfig(FrozenModel):
    """How answers about items are measured."""

    max_triggers: int = Field(default=1000, ge=0)
    """Items of the newest day that are asked about, at most; 0 measures nothing."""
    window_days: float = Field(default=14.0, gt=0)
    """How far apart what goes together may be chosen."""
    alphas: tuple[float, ...] = (0.0, 30.0, 50.0, 70.0, 100.0)
    """Shares of the engagement head, in percent, that the merge is measured with."""


@dataclass(frozen=True, slots=True)
class HeadHealth:
    """How far apart a source's heads are."""

    source: str
    overlap_at_100: float
    """Share of one head's first answers that the other gives too."""
    cka: float
    gradient_cosine: float | None
    """Between the pulls of both losses on what the heads share; None where one loss was learnt."""


@dataclass(frozen=True, slots=True)
class Similar:
    """Everything that was measured about items."""

    n_triggers: int
    scores: tuple[ItemScore, ...]
    """One a source without heads, one a head, and one a share of the merge."""
    heads: tuple[HeadHealth, ...]


def measure(
    sources: Mapping[str, Retriever], item_to_item: frozenset[str], judge: ItemJudge, config: SimilarConfig
) -> Similar:
    """The figures of all sources that answer about items; `item_to_item` names those that do without vectors."""
    scores, heads = list[ItemScore](), list[HeadHealth]()
    for number, (name, source) in enumerate(sources.items()):
        advance("measure what is alike", number, len(sources))
        if not len(judge.holdout):
            break
        if isinstance(source, AnswersByVectors):
            found = answers_of(source, judge.holdout, config.alphas)
            scores += [judge.score(name, answers, *way) for way, answers in found.items()]
            if len(source.spaces()) > 1:
                heads.append(health_of(name, source, found))
        elif name in item_to_item:
            scores.append(judge.score(name, source.retrieve(judge.holdout.queries, DEPTH)))
    return Similar(len(judge.holdout), tuple(scores), tuple(heads))


def name_of(source: str, head: str = "", alpha: float | None = None) -> str:
    """What a way to answer is called in tables."""
    return " ".join([source, *([head] if head else []), *([f"α={alpha:g}"] if alpha is not None else [])])


def answers_of(
    source: AnswersByVectors, holdout: ItemHoldout, alphas: Sequence[float]
) -> dict[tuple[str, float | None], Candidates]:
    """By head, and by share of the engagement head where there are several: what a source says of the triggers."""
    by_head = {
        head: source.similar(holdout.triggers, holdout.queries, DEPTH, head=head or None) for head in source.spaces()
    }
    found: dict[tuple[str, float | None], Candidates] = {(head, None): answers for head, answers in by_head.items()}
    if len(by_head) > 1:
        found |= {(MERGED, alpha): merged(by_head, alpha, DEPTH) for alpha in alphas}
    return found


def health_of(name: str, source: AnswersByVectors, found: Mapping[tuple[str, float | None], Candidates]) -> HeadHealth:
    """How far apart the first two heads of a source are, by what they said of the same triggers."""
    one, other = list(found.values())[:2]
    cosine = source.state().facts.get("gradient_cosine", source.state().facts.get("through.gradient_cosine"))
    return HeadHealth(
        name,
        float(overlap(one, other, source.n_items).mean()),
        greatest_cka(source),
        None if cosine is None else float(str(cosine)),
    )
