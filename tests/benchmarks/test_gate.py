"""How often the gate holds what is worse, and what is exactly as good, on a year of real baskets."""

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest
from challengers import Challenge

from flows.backfill import run_backfill
from flows.nightly import nightly
from flows.settings import Settings
from flows.span import Span
from retrieval.errors import ModelError
from storage.datasets import import_dataset
from validation.gate import decide

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600), pytest.mark.usefixtures("prefect_server")]
DATASET = "complete-journey"
HISTORY = (dt.date(2017, 1, 1), dt.date(2017, 9, 29))
NIGHTS = (dt.date(2017, 9, 30), dt.date(2017, 10, 1))
N_EQUAL = 20


def test_worse_challengers_are_never_promoted_and_equal_ones_are_seldom_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.given(lake=tmp_path / "lake", recipe=DATASET)
    import_dataset(DATASET, landing=settings.landing_uri)
    where = (DATASET, str(settings.place.root), settings.landing_uri)
    run_backfill(Span(start=HISTORY[0], end=HISTORY[1], max_days=366), settings)
    nights = [nightly(day, *where) for day in NIGHTS]
    assert nights[-1].is_live
    challenge = Challenge(settings.night(NIGHTS[-1]), nights[-1].parts)
    rows = ["| challenger | decision | by its answers alone | what failed |", "|---|---|---|---|"]
    decisions = []
    for name in ("shuffled", "stale_tower", "former_tower", "half"):
        try:
            judged = getattr(challenge, name)()
        except ModelError as error:
            rows.append(f"| {name} | the night stops | | {error} |")
            continue
        failed = [check.rule for check in (*judged.acceptance, *judged.gate) if check.blocks]
        alone = decide([], judged.gate).decision
        rows.append(f"| {name} | {judged.ruling.decision} | {alone} | {', '.join(failed)} |")
        decisions.append(judged.ruling.decision)
    equal = Counter[str]()
    for seed in range(N_EQUAL):
        judged = challenge.equal(seed)
        equal[judged.ruling.decision] += 1
        for check in (*judged.acceptance, *judged.gate):
            if check.blocks:
                rows.append(f"| equal, seed {seed} | {judged.ruling.decision} | | {check.sentence()} |")
    rows.append(f"| {N_EQUAL} equal ones | {dict(equal)} | | |")
    with capsys.disabled():
        print("\n" + "\n".join(rows))
    assert "promote" not in decisions
    assert equal["promote"] >= N_EQUAL - 1
