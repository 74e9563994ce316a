"""The book of incidents is whole, and written by one process at a time."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.errors import IncidentsError
from storage.incidents import MOST_PAST, Entry, opened_book, read_book

AT = dt.datetime(2026, 11, 20, 2, tzinfo=dt.UTC)


def entry(key: str, **more: object) -> Entry:
    return Entry({"kind": "disk", "key": key}, AT.isoformat(), **more)  # type: ignore[arg-type]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "incidents" / "incidents.json"
    assert read_book(path).open == []
    with opened_book(path) as book:
        book.since = AT.isoformat()
        book.open += [entry("a"), entry("b")]
        book.close(book.open[0], AT + dt.timedelta(hours=1))
    again = read_book(path)
    assert again == book
    assert [e.id for e in again.past] == ["disk.a"] and again.past[0].resolved == AT + dt.timedelta(hours=1)


def test_what_began_and_ended_unheard_is_never_told(tmp_path: Path) -> None:
    with opened_book(tmp_path / "incidents.json") as book:
        book.open += [entry("unheard"), entry("heard", told_opened=True), entry("new")]
        for known in book.open[:2]:
            book.close(known, AT)
        assert [e.id for e in book.untold()] == ["disk.heard", "disk.new"]


def test_the_past_and_the_nights_do_not_grow_for_ever(tmp_path: Path) -> None:
    with opened_book(tmp_path / "incidents.json") as book:
        for n in range(MOST_PAST + 5):
            book.open.append(entry(str(n)))
            book.close(book.open[0], AT)
        for n in range(150):
            book.note_night({"run": str(n % 120), "at": f"{n:04d}"})
    assert len(book.past) == MOST_PAST and book.past[-1].incident["key"] == str(MOST_PAST + 4)
    assert len(book.nights) == 100 and book.nights[-1] == {"run": "29", "at": "0149"}


def test_a_damaged_book_says_so_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "incidents.json"
    path.write_text('{"open": [')
    with pytest.raises(IncidentsError, match="damaged .*Remove it"):
        read_book(path)


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "incidents.json"
    program = (
        "import sys; from pathlib import Path; from storage.incidents import Entry, opened_book\n"
        "for n in range(40):\n"
        "    with opened_book(Path(sys.argv[1])) as book:\n"
        "        book.open.append(Entry({'kind': 'disk', 'key': sys.argv[2] + str(n)}, '2026-11-20T02:00:00+00:00'))\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in ("a", "b")]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len({e.id for e in read_book(path).open}) == 80
