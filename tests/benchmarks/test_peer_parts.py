"""The parts of `make bench-peers`: fair trials, honest splits, workers that may fail, figures that pool what belongs together."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from answers_of_lamplighter import config_of
from peer_files import Questions, Ranking, Training
from peer_grid import NOTHING, Grid, Model
from peer_pool import Pool
from peer_results import Laboratory, judged
from peer_sequences import ASKED_ON, split_sequences
from peer_sets import RealSet, window_split
from peer_splits import WrittenSplit, write_split
from peer_summary import trials_of
from peer_tables import replace_section

from retrieval.domain import DAY, UNKNOWN
from retrieval.errors import ContractError, ModelError, RecipeError
from retrieval.recipe import Recipe

RECIPE = Recipe.model_validate(
    {
        "name": "planted",
        "actions": {"rate": {"sign": "+", "min_value": 4.0}},
        "text": {"encoder": "hashed"},
        "sources": {"popular": {"kind": "popular"}},
    }
)
FIRST, LAST = dt.date(2026, 3, 8), dt.date(2026, 3, 10)
COSINE = Model(library="implicit", family="cosine")
NEIGHBOURS = {"min_users": 1, "shrinkage": 0.0}
"""So little evidence is enough in so small a world."""


@pytest.fixture
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    """Twenty users of two tastes over twelve items, a week to learn from; `late` is listed and `new` comes within the window."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            """
            CREATE TABLE seen AS
            SELECT user_number, item_number, DATE '2026-03-01' + ((user_number + item_number) % 10)::INTEGER AS day,
                CASE WHEN user_number % 2 = item_number % 2 THEN 5.0 ELSE 2.0 END::DOUBLE AS value
            FROM range(20) users(user_number), range(12) items(item_number) WHERE (user_number * 7 + item_number * 5) % 3 <> 0;
            CREATE TABLE events AS
            SELECT day, 'u' || lpad(user_number::VARCHAR, 2, '0') AS user_id, 'i' || lpad(item_number::VARCHAR, 2, '0') AS item_id,
                'rate' AS action, day::TIMESTAMP AT TIME ZONE 'UTC' + INTERVAL 12 HOUR AS occurred_at, value
            FROM seen
            UNION ALL SELECT DATE '2026-03-09', user_id, item_id, 'rate', TIMESTAMPTZ '2026-03-09 12:00:00+00', 5.0::DOUBLE
            FROM (VALUES ('new', 'i01'), ('new', 'late'), ('u01', 'late')) late(user_id, item_id);
            CREATE TABLE items AS
            SELECT DISTINCT DATE '2026-03-01' AS day, item_id, item_id AS title FROM events WHERE item_id <> 'late'
            UNION ALL SELECT DATE '2026-03-09', 'late', 'late';
            CREATE TABLE users AS SELECT user_id, min(day) AS day FROM events GROUP BY user_id;
            """
        )
        yield connection


@pytest.fixture
def written(tables: duckdb.DuckDBPyConnection, tmp_path: Path) -> WrittenSplit:
    split = window_split(tables, RECIPE, FIRST, LAST, ("all", "new"), tmp_path)
    return write_split(split, tmp_path / "split")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    with Pool(tmp_path / "workers", threads=1) as pool:
        yield Laboratory(pool, tmp_path, Grid.read())


def test_a_window_is_asked_about_with_what_was_known_before_it(
    tables: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    split = window_split(tables, RECIPE, FIRST, LAST, ("all", "new"), tmp_path)
    assert split.dataset.histories.times.max() < split.dataset.day * DAY
    assert "late" not in split.dataset.catalogue.ids.ids.to_pylist()
    asked = split.holdouts["new"]
    newcomer = int(split.dataset.people.ids.row("new"))
    place = int(np.flatnonzero(asked.queries.users == newcomer)[0])
    assert asked.queries.histories.take(np.array([place])).n_events == 0
    assert asked.targets.row(place).tolist() == [split.dataset.catalogue.ids.row("i01")]


def test_the_answers_of_a_window_are_its_positives(tables: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    split = window_split(tables, RECIPE, FIRST, LAST, ("all",), tmp_path)
    catalogue, people, holdout = split.dataset.catalogue, split.dataset.people, split.holdouts["all"]
    found = {
        (people.ids.ids[int(holdout.queries.users[row])].as_py(), catalogue.ids.ids[int(item)].as_py())
        for row in range(len(holdout.queries))
        for item in holdout.targets.row(row)
    }
    expected = tables.execute(
        "SELECT user_id, item_id FROM events WHERE day >= ? AND day <= ? AND value >= 4 AND item_id <> 'late'",
        [FIRST, LAST],
    ).fetchall()
    assert found == set(expected)


def test_workers_are_given_no_answers(written: WrittenSplit) -> None:
    training = Training.read(written.folder / "training.npz")
    assert training.times.max() < training.asked_at
    files = {path.name for path in written.folder.iterdir()}
    assert not any("target" in name or "answer" in name for name in files)


def test_training_of_the_most_chosen_items_keeps_only_their_events() -> None:
    users, items = np.array([0, 1, 2, 0, 1, 0]), np.array([3, 3, 3, 1, 1, 0])
    kept = Training(users, items, np.arange(6), np.array([3, 4]), np.array(9)).of_most_chosen(2)
    assert kept.items.tolist() == [3, 3, 3, 1, 1] and kept.users.tolist() == [0, 1, 2, 0, 1]


def test_rankings_from_rows_are_cut_and_padded() -> None:
    ranking = Ranking.of_rows(np.array([0, 0, 0, 2]), np.array([5, 6, 7, 8]), np.array([3.0, 2.0, 1.0, 9.0]), 3, 2)
    assert ranking.items.tolist() == [[5, 6], [UNKNOWN, UNKNOWN], [8, UNKNOWN]]
    assert ranking.scores[2].tolist() == [9.0, -np.inf]


@pytest.mark.parametrize("library", ["lamplighter", "implicit"])
def test_a_worker_answers_without_what_a_question_excludes(
    library: str, written: WrittenSplit, lab: Laboratory
) -> None:
    model, settings = (
        (COSINE, {"K": 20})
        if library == "implicit"
        else (
            Model(library=library, family="item_knn"),
            NEIGHBOURS,
        )
    )
    result = lab.result(model, settings, written)
    assert result.error is None
    assert result.by_pairs["new"].mean("recall_at_100") > 0.5  # those with a history find their taste's other items


def test_a_worker_goes_on_after_a_job_that_failed_or_took_too_long(written: WrittenSplit, lab: Laboratory) -> None:
    wrong = lab.result(Model(library="implicit", family="no such family"), {}, written)
    assert wrong.error is not None and "no such family" in wrong.error
    hasty = Laboratory(lab.pool, lab.cache, lab.grid.model_copy(update={"limit_seconds": 0.0}))
    late = hasty.result(COSINE, {"K": 7}, written)
    assert late.error is not None and "took more than 0 s" in late.error
    assert lab.result(COSINE, {"K": 8}, written).error is None


def test_what_is_known_is_not_fitted_again_and_what_failed_can_be(written: WrittenSplit, lab: Laboratory) -> None:
    first = lab.result(COSINE, {"K": 20}, written)
    path = next((lab.cache / "results").iterdir())
    stamp = path.stat().st_mtime_ns
    again = lab.result(COSINE, {"K": 20}, written)
    assert path.stat().st_mtime_ns == stamp and again.fit_seconds == first.fit_seconds
    for pairs, answers in first.by_pairs.items():
        for metric, values in answers.metrics.items():
            np.testing.assert_array_equal(values, again.by_pairs[pairs].metrics[metric])
    lab.forget_failure(COSINE, {"K": 20}, written)
    assert lab.known(COSINE, {"K": 20}, written) is not None
    failed = Model(library="implicit", family="none")
    lab.result(failed, {}, written)
    lab.forget_failure(failed, {}, written)
    assert lab.known(failed, {}, written) is None


def test_rankings_that_break_the_rules_are_refused(written: WrittenSplit) -> None:
    holdout = written.holdouts["new"]
    excluded = holdout.queries.excluded
    fair = np.full((len(holdout.queries), 2), UNKNOWN, np.int32)
    judged(Ranking(fair, np.zeros(fair.shape, np.float32)), holdout, 0.0)
    row = int(np.flatnonzero(excluded.lengths)[0])
    barred, twice = fair.copy(), fair.copy()
    barred[row, 0] = excluded.row(row)[0]
    twice[0] = np.setdiff1d(np.arange(12), excluded.row(0))[0]
    with pytest.raises(ModelError, match="0 items twice and 1 that their questions exclude"):
        judged(Ranking(barred, np.zeros(fair.shape, np.float32)), holdout, 0.0)
    with pytest.raises(ModelError, match="1 items twice and 0 that"):
        judged(Ranking(twice, np.zeros(fair.shape, np.float32)), holdout, 0.0)


def test_every_family_has_as_many_trials_and_begins_with_the_usual_settings() -> None:
    grid = Grid.read()
    for model in grid.models([]):
        options = grid.families[model.library][model.family]
        trials = grid.trials(model)
        n_combinations = int(np.prod([len(values) for values in options.values()]))
        assert len(trials) == min(grid.n_trials, n_combinations)
        assert trials[0] == {name: None if values[0] == NOTHING else values[0] for name, values in options.items()}
        assert all(trial not in trials[:row] for row, trial in enumerate(trials))
        assert trials == grid.trials(model)


def test_a_set_may_have_fewer_trials_and_families() -> None:
    grid = Grid.read()
    there = grid.of_set("online-retail")
    assert there.n_trials == grid.sets["online-retail"].n_trials
    left_out = {model.name for model in grid.models([])} - {model.name for model in there.models([])}
    assert left_out == set(grid.sets["online-retail"].without)
    assert grid.of_set("movielens-100k") == grid


def test_a_grid_can_say_that_a_setting_has_no_value() -> None:
    grid = Grid.read().model_copy(update={"families": {"implicit": {"als": {"alpha": [1.0], "dtype": ["none"]}}}})
    assert grid.trials(Model(library="implicit", family="als")) == [{"alpha": 1.0, "dtype": None}]


def test_every_trial_of_ours_is_a_configuration_that_recipes_take() -> None:
    grid = Grid.read()
    for model in grid.models(["lamplighter.*"]):
        for settings in grid.trials(model):
            config_of(model.family, settings)
    for race in grid.races:
        config_of(race.ours.family, race.ours.settings)


def test_libraries_take_turns() -> None:
    grid = Grid.read()
    few = {"lamplighter": {name: grid.families["lamplighter"][name] for name in ("popular", "item_knn")}}
    few |= {"implicit": {name: grid.families["implicit"][name] for name in ("als", "bpr")}}
    models = grid.model_copy(update={"families": few}).models([])
    assert [model.library for model in models] == ["lamplighter", "implicit"] * 2
    turns = [turn for _, turn, _ in trials_of(grid, models)]
    assert turns == sorted(turns)


def test_a_grid_of_an_unknown_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    text = Path(Grid.read.__globals__["GRID"]).read_text()
    path.write_text(text.replace("[families.lenskit]", "[families.surprise]"))
    with pytest.raises(RecipeError, match="no worker knows"):
        Grid.read(path)


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("# Title\n\nWords.\n")
    replace_section(document, "one", r"first \1")
    replace_section(document, "two", "second")
    replace_section(document, "one", "third")
    text = document.read_text()
    assert text.startswith("# Title\n\nWords.\n") and "first" not in text
    assert text.index("third") < text.index("second") and text.count("<!-- begin one -->") == 1


def sequences(folder: Path, known: str) -> Path:
    (folder / "train_input.txt").write_text("1 2 3\n4 5\n")
    (folder / "val_input.txt").write_text(known)
    (folder / "val_output.txt").write_text("7\n")
    (folder / "test_output.txt").write_text("9\n8\n")
    return folder


def test_a_sequence_s_last_item_is_asked_for_with_all_before_it(tmp_path: Path) -> None:
    validation, test = split_sequences(sequences(tmp_path, "4 5 6\n"))
    assert validation.holdouts["new"].queries.users.tolist() == [1]
    assert validation.holdouts["new"].targets.values.tolist() == [6]
    assert test.dataset.histories.items.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert (ASKED_ON - test.dataset.histories.times // DAY).tolist() == [3, 2, 1, 4, 3, 2, 1]
    assert test.holdouts["new"].targets.values.tolist() == [8, 7]
    assert len(test.dataset.catalogue) == 9


def test_a_validation_sequence_that_continues_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="1 of 1 validation sequences continue no training sequence"):
        list(split_sequences(sequences(tmp_path, "4 6 5\n")))


def test_questions_come_back_as_they_were_written(tmp_path: Path) -> None:
    questions = Questions(np.array([3, 1]), np.array([0, 2, 3]), np.array([5, 6, 7]))
    questions.write(tmp_path / "questions.npz")
    read = Questions.read(tmp_path / "questions.npz")
    assert read.owners().tolist() == [0, 0, 1] and read.excluded.tolist() == [5, 6, 7]
    assert pa.array(read.users).to_pylist() == [3, 1]


def test_the_first_windows_alone_are_those_of_the_whole_and_the_caption_says_so(tmp_path: Path) -> None:
    def splits(data: Path | None, cache: Path) -> Iterator[str]:
        yield from ("validation", "first", "second")

    whole = RealSet("ratings", "Ratings", "two windows", ("new",), splits)  # type: ignore[arg-type]
    short = whole.first(1)
    assert list(short.splits(None, tmp_path)) == ["validation", "first"]
    assert short.protocol == "two windows, of which the first 1 were run"
