"""What tables say of many answers: intervals over people, and who is compared with whom."""

import numpy as np
import pytest
from peer_grid import Model
from peer_results import METRICS
from peer_summary import JUDGED, Askers, Pooled, duels_by, over_people

from retrieval.seeds import generator

ASKERS = Askers(np.arange(40), np.ones(40, bool))


def pooled(name: str, recall: float, ndcg: float, level: float) -> Pooled:
    """A family with two figures on the validation window, and one level in all windows that are reported."""
    library, family = name.split(" ")
    validated = {"recall_at_10": 0.0, "recall_at_100": recall, "ndcg_at_10": ndcg}
    figures = {metric: np.full(40, level) for metric in METRICS}
    return Pooled(Model(library=library, family=family), {}, validated, figures, {}, 0.0, 0.0, 0.0)


FAMILIES = [
    pooled("lamplighter als", 0.5, 0.2, 0.30),
    pooled("lamplighter bpr", 0.4, 0.3, 0.20),
    pooled("lamplighter fan_out", 0.9, 0.9, 0.35),
    pooled("lamplighter fan_out_factors", 0.8, 0.95, 0.25),
    pooled("lenskit ease", 0.4, 0.1, 0.10),
    pooled("lenskit als", 0.3, 0.2, 0.90),
    pooled("implicit bm25", 0.1, 0.1, 0.05),
]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("recall_at_100", [("als", "ease", 0.20), ("als", "bm25", 0.25), ("fan_out", "als", 0.05)]),
        ("ndcg_at_10", [("bpr", "als", -0.70), ("bpr", "bm25", 0.15), ("fan_out_factors", "bpr", 0.05)]),
    ],
)
def test_the_validation_window_says_who_is_best_at_each_figure(by: str, expected: list[tuple[str, str, float]]) -> None:
    found = duels_by(by, FAMILIES, ASKERS, seed=1)
    assert by in JUDGED
    assert [(duel.ours.model.family, duel.other.model.family) for duel in found] == [row[:2] for row in expected]
    for duel, (_, _, gap) in zip(found, expected, strict=True):
        assert duel.change["recall_at_100"].mean == pytest.approx(gap)


def test_without_a_family_of_ours_nothing_is_compared() -> None:
    assert duels_by("recall_at_100", FAMILIES[2:], ASKERS, seed=1) == []


def test_intervals_resample_people_with_all_their_questions() -> None:
    rng = np.random.default_rng(5)
    people = np.sort(rng.integers(0, 12, 60))
    values = rng.random(60) + (people % 2)
    found = over_people(values, people, seed=3)
    draws = generator(3, "bootstrap").multinomial(
        len(set(people)), np.full(len(set(people)), 1 / len(set(people))), 1000
    )
    means = []
    for draw in draws:
        taken = [
            values[people == person] for person, n in zip(sorted(set(people)), draw, strict=True) for _ in range(n)
        ]
        means.append(np.concatenate(taken).mean())
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
