"""The core of `make bench-peers PEERS=--quick`, with our own families, on real ratings."""

from pathlib import Path

import pytest
from bench_peers import QUICK, QUICK_SPLITS, Progress, Run, data_folder
from peer_grid import Grid
from peer_pool import Pool
from peer_results import Laboratory
from peer_sets import SETS, missing
from peer_tables import as_json, section

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]
(RATINGS,) = [real_set for real_set in SETS if real_set.name == "movielens-100k"]


def test_our_families_are_measured_on_two_windows_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    why = missing(RATINGS, data_folder())
    if why:
        pytest.skip(why)
    grid = Grid.read().model_copy(update=QUICK | {"races": ()})
    models = [model for model in grid.models(["lamplighter.*"]) if model.name not in grid.slow]
    with Pool(tmp_path / "workers", grid.threads) as pool:
        run = Run(Laboratory(pool, tmp_path, grid), models, data_folder(), Progress(), QUICK_SPLITS)
        (summary,), _ = run.of_set(RATINGS)
        n_fitted = capsys.readouterr().out.count("fit ")
        monkeypatch.setattr(Pool, "ask", None)  # the second run has nothing to ask
        (again,), _ = run.of_set(RATINGS)
    assert not summary.failures and n_fitted > len(models)
    assert "fit " not in capsys.readouterr().out
    assert as_json(RATINGS, [again], []) == as_json(RATINGS, [summary], [])
    for row in summary.families:
        for estimate in row.estimates.values():
            assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1
    text = section(RATINGS, [summary], [], grid)
    popular = next(row for row in summary.families if row.model.family == "popular")
    assert (
        popular.estimates["recall_at_100"].mean > 0.4
    )  # recent popularity is strong where most come without a history
    print(text)
