"""The page of what landed says first whether the day is in the logs, accounts for every row, and lets no row run."""

import dataclasses
import datetime as dt

import pytest
from markup import EVIL, EVIL_ATTRIBUTE, Page, assert_fetches_nothing

from retrieval.pages import CheckResult, RowCounts, by_subject, figures, gauge
from retrieval.quality_page import N_PARTITIONS, PartitionRows, QualityPage, render, totals
from retrieval.quality_page import verdict as verdict_of

DAY = dt.date(2017, 10, 2)


def check(
    rule: str = "null_share",
    about: str = "completeness",
    *,
    passed: bool = True,
    severity: str = "block",
    day: dt.date = DAY,
    observed: str = "0.13",
    expected: str = "at most 0.2",
) -> CheckResult:
    meaning, cure = f"meaning of {rule}", f"Cure of {rule}."
    return CheckResult("events", about, rule, meaning, day.isoformat(), severity, passed, observed, expected, cure)


def landed(
    day: dt.date = DAY, *, quarantined: int = 0, is_refused: bool = False, kind: str = "events"
) -> PartitionRows:
    loaded = 0 if is_refused else 1000 - quarantined - 15
    return PartitionRows(kind, day, is_refused, 1000, loaded, 985 - loaded, 12, 3, 0 if is_refused else 5)


@pytest.fixture
def good() -> QualityPage:
    return QualityPage(
        day=DAY,
        recipe_name="complete-journey",
        recipe_id="a1b2c3d4e5f6",
        partitions=[landed(quarantined=28), landed(kind="items")],
        reasons={"missing_user": 8, "unknown_item": 20},
        reason_meanings={"missing_user": "the row has no user_id", "unknown_item": "the item was in no catalogue"},
        checks=[check(), check("late_share", "freshness", severity="warn")],
        refused={},
    )


@pytest.fixture
def refused(good: QualityPage) -> QualityPage:
    failed = check(passed=False, observed="0.31")
    return dataclasses.replace(
        good,
        partitions=[landed(is_refused=True), landed(kind="items")],
        checks=[check("late_share", "freshness", severity="warn", passed=False), check("n_rows", "volume"), failed],
        refused={DAY: failed.sentence()},
    )


@pytest.fixture
def many(good: QualityPage) -> QualityPage:
    """A hundred days: one refused by a rule, one with files that cannot be used, every other with rows set aside."""
    days = [DAY - dt.timedelta(days=back) for back in range(100)]
    bad, unusable = days[40], days[-1] - dt.timedelta(days=1)
    failed = check("n_rows", "volume", passed=False, day=bad, observed="0", expected="at least 1")
    return dataclasses.replace(
        good,
        partitions=[landed(day, quarantined=i % 2, is_refused=day == bad) for i, day in enumerate(days)],
        checks=[check(day=day) for day in days] + [failed],
        refused={bad: failed.sentence(), unusable: "part-0.parquet cannot be read. Land it again."},
    )


def text_of(page: QualityPage) -> str:
    return Page(render(page)).text


def test_page_of_every_verdict_fetches_nothing_and_closes_its_elements(
    good: QualityPage, refused: QualityPage, many: QualityPage
) -> None:
    for page in (good, refused, many):
        html = render(page)
        assert_fetches_nothing(html)
        assert Page(html).open == []
        assert "http" not in html


def test_same_page_gives_the_same_bytes(many: QualityPage) -> None:
    shuffled = dataclasses.replace(many, partitions=many.partitions[::-1], checks=many.checks[::-1])
    assert render(many) == render(dataclasses.replace(many)) == render(shuffled)


@pytest.mark.parametrize("evil", [EVIL, EVIL_ATTRIBUTE])
def test_nothing_from_the_logs_becomes_markup(good: QualityPage, evil: str) -> None:
    earlier = DAY - dt.timedelta(days=1)
    planted = dataclasses.replace(
        good,
        recipe_name=evil,
        recipe_id=evil,
        partitions=[landed(kind=evil, is_refused=True), landed(earlier, kind=evil, quarantined=1)],
        reasons={evil: 3},
        reason_meanings={evil: evil},
        checks=[CheckResult(evil, evil, evil, evil, DAY.isoformat(), "block", False, evil, evil, evil)],
        refused={DAY: evil, earlier: evil},
    )
    page = Page(render(planted))
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.text.count(evil) >= 12


def test_day_without_failures_is_all_well(good: QualityPage) -> None:
    found = verdict_of(good)
    assert (found.tone, found.headline) == ("good", "✓ All well")
    assert found.sentences == ["All 2 checks passed: every landed row is in its place."]


def test_refused_day_says_why_and_what_to_do(refused: QualityPage) -> None:
    found = verdict_of(refused)
    assert (found.tone, found.headline) == ("bad", "✗ Refused")
    why, stands = found.sentences
    assert why == "null_share of 2017-10-02 (meaning of null_share) is 0.31, expected at most 0.2. Cure of null_share."
    assert "the live release stands" in stands


def test_files_that_cannot_be_used_are_said_beside_failed_rules(refused: QualityPage) -> None:
    both = f"users/part-0.csv cannot be read. {refused.refused[DAY]}"
    found = verdict_of(dataclasses.replace(refused, refused={DAY: both}))
    assert found.sentences[0] == "users/part-0.csv cannot be read."
    assert found.sentences[1] == refused.refused[DAY]


def test_failed_warning_is_worth_a_look_with_its_cure(good: QualityPage) -> None:
    warned = dataclasses.replace(good, checks=[check(), check("late_share", passed=False, severity="warn")])
    found = verdict_of(warned)
    assert (found.tone, found.headline) == ("look", "! Loaded, with warnings")
    assert found.sentences[0].endswith("Cure of late_share.")


def test_refused_earlier_day_is_not_taken_for_all_well(many: QualityPage) -> None:
    found = verdict_of(many)
    assert (found.tone, found.headline) == ("bad", "✗ 2 earlier days are refused")
    why, others, itself = found.sentences
    assert why.startswith("n_rows of 2017-08-23")
    assert others == "Refused as well: 2017-06-24; the reasons are below."
    assert itself == "2017-10-02 itself is in the logs."


def test_many_failures_are_counted_in_the_verdict(good: QualityPage) -> None:
    checks = [check(f"rule_{n}", severity="warn", passed=False) for n in range(9)]
    assert verdict_of(dataclasses.replace(good, checks=checks)).sentences[-1] == "And 4 more, listed below."


def test_pass_that_judged_nothing_says_so(good: QualityPage) -> None:
    text = text_of(dataclasses.replace(good, partitions=[], reasons={}, checks=[]))
    for sentence in (
        "Nothing new landed, so nothing was judged.",
        "Nothing new landed.",
        "No row was set aside for a fault of its own.",
        "No checks were run",
    ):
        assert sentence in text, sentence


def test_totals_add_up_by_kind(many: QualityPage) -> None:
    (events,) = totals(many.partitions)
    assert events.landed == 100_000
    assert events.quarantined == 50 + 985, "every other day one row, and the refused day whole but for the rest"
    assert events.landed == events.loaded + events.quarantined + events.duplicates + events.forgotten
    assert events.unaccounted == 0
    assert f"{events.loaded:,}" in text_of(many)


def test_rows_that_are_lost_need_somebody_even_when_days_make_up_for_each_other(good: QualityPage) -> None:
    short, long = landed(), landed(DAY - dt.timedelta(days=1))
    pair = [dataclasses.replace(short, loaded=short.loaded - 3), dataclasses.replace(long, loaded=long.loaded + 3)]
    assert verdict_of(dataclasses.replace(good, partitions=pair)).sentences[0] == "6 landed rows are not accounted for."
    found = verdict_of(dataclasses.replace(good, partitions=pair[:1]))
    assert found.tone == "bad"
    assert "✗ off by 3" in text_of(dataclasses.replace(good, partitions=pair[:1]))


def test_cards_show_events_alone(good: QualityPage) -> None:
    html = render(good)
    cards = html[html.index('class="cards"') : html.index("</section>")]
    values = [part.split("<")[0] for part in cards.split('class="value">')[1:]]
    assert values == ["1,000", "957", "28", "12", "5"]
    assert "95.7 % of landed" in cards


def test_reasons_come_most_frequent_first_with_meaning_and_share(good: QualityPage) -> None:
    text = text_of(good)
    assert "unknown_item 20 1.0 % the item was in no catalogue missing_user 8 0.40 % the row has no user_id" in text


def test_one_day_needs_no_table_of_days(good: QualityPage) -> None:
    assert 'id="days"' not in render(good)
    assert "Other refused days" not in render(good)


def test_many_days_show_refused_ones_first_and_leave_out_those_without_a_mark(many: QualityPage) -> None:
    html = render(many)
    table = html[html.index('id="days"') :].split("</table>")[0]
    assert table.count("<tr>") - 1 == 51, "the refused day and every other"
    assert table.index("2017-08-23") < table.index("2017-10-01") < table.index("2017-09-29")
    assert "2017-10-02" not in table
    assert "The other 49 partitions loaded with no row set aside." in text_of(many)


def test_days_beyond_the_most_shown_are_counted(many: QualityPage) -> None:
    days = [DAY - dt.timedelta(days=back) for back in range(N_PARTITIONS + 12)]
    html = render(dataclasses.replace(many, partitions=[landed(day, quarantined=1) for day in days]))
    table = html[html.index('id="days"') :].split("</table>")[0]
    assert table.count("<tr>") - 1 == N_PARTITIONS
    assert "And 12 more partitions" in html


def test_refused_days_that_left_no_rows_are_listed_with_their_reason(many: QualityPage) -> None:
    html = render(many)
    section = html[html.index('id="refused"') :].split("</section>")[0]
    assert "2017-06-24" in section
    assert "part-0.parquet cannot be read. Land it again." in section


def test_other_days_show_only_their_failed_checks(many: QualityPage) -> None:
    html = render(many)
    suite = html[html.index('id="checks"') :]
    assert suite.count("<li>") == 2, "what passed on the day itself, and what failed on another"
    assert "99 others passed" in html


def test_subjects_with_failures_come_first_and_open(refused: QualityPage) -> None:
    subjects = by_subject(refused.checks)
    assert [(s.name, s.tone) for s in subjects] == [("completeness", "bad"), ("freshness", "look"), ("volume", "good")]
    page = Page(render(refused))
    assert ["open" in attributes for tag, attributes in page.elements if tag == "details"] == [True, True, False]


def test_failed_check_shows_its_cure_and_passed_one_what_it_would_do(refused: QualityPage) -> None:
    text = text_of(refused)
    suite = text[text.index("What the rules found") :]
    assert "✗ failed, blocks null_share of events" in suite
    assert "! failed, warns late_share of events" in suite
    assert "✓ passed would block n_rows of events" in suite
    assert "What to do: Cure of null_share." in suite
    assert "Cure of n_rows." not in suite, "a rule that passed needs no cure"


def test_failed_checks_of_years_are_counted_after_the_newest() -> None:
    days = [DAY - dt.timedelta(days=back) for back in range(80)]
    (subject,) = by_subject([check(passed=False, day=day) for day in days])
    assert (len(subject.checks), subject.n_more) == (60, 20)
    assert subject.checks[0].day == "2017-10-02"


@pytest.mark.parametrize(
    ("observed", "expected", "is_beyond"),
    [("0.31", "at most 0.2", True), ("0.1", "at most 0.2", False), ("3", "between 0.2 and 5", False)],
)
def test_gauge_passes_the_bound_exactly_when_the_number_does(observed: str, expected: str, is_beyond: bool) -> None:
    bar = gauge(check(observed=observed, expected=expected))
    assert bar is not None
    assert (bar.width > bar.high) == is_beyond
    assert 0 <= bar.low <= bar.high <= 100
    assert 0 < bar.width <= 100


def test_gauge_of_a_least_value_allows_all_above_it() -> None:
    bar = gauge(check(observed="1.235e+04", expected="at least 1"))
    assert bar is not None
    assert (bar.has_low, bar.has_high, bar.high) == (True, False, 100.0)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ("nothing to compare with", "at most 0.1"),
        ("nan", "at most 0.1"),
        ("1e400", "at most 1"),
        ("0.1", "at most a few"),
        ("1", "x"),
    ],
)
def test_words_have_no_gauge(observed: str, expected: str) -> None:
    assert gauge(check(observed=observed, expected=expected)) is None


def test_zero_beside_a_zero_bound_has_a_gauge() -> None:
    assert gauge(check(observed="0", expected="at most 0")) is not None


def test_large_numbers_are_written_out() -> None:
    assert figures("1.235e+04") == "12,350"
    assert figures("between 0.2 and 1e+06") == "between 0.2 and 1,000,000"
    assert figures("0.0567") == "0.0567"


def test_row_counts_know_what_they_miss() -> None:
    assert RowCounts("events", 10, 5, 2, 1, 1, 0).unaccounted == 1
