"""A calendar as a file: written anew it means the same, unless a session that has been is another."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.calendar.table import Version, table_text, write_table
from app.calendar.venue import VenueSessions
from app.errors import UsageError
from app.wiring.sessions import read_calendar

HOUR = timedelta(hours=1)


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


def session(number: int, hours: float = 6.5) -> tuple[datetime, datetime]:
    begin = day(number) + 14.5 * HOUR
    return begin, begin + hours * HOUR


def venue(
    *rows: tuple[datetime, datetime], name: str = "XNYS", first: int = 2, last: int = 20
) -> VenueSessions:
    return VenueSessions(name, list(rows), day(first), day(last), "a list")


NOW = day(10)
ROWS = (session(3), session(4), session(5), session(11), session(12))


def written(tmp_path: Path, *later: VenueSessions) -> list[Version]:
    path = tmp_path / "xnys.toml"
    return [write_table(path, one, NOW) for one in (venue(*ROWS), *later)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert written(tmp_path) == [Version(1)]
    table = read_calendar(tmp_path / "xnys.toml", "x")
    assert (table.name, table.version, table.from_, table.to) == ("XNYS", 1, day(2), day(20))
    assert table.sessions == ROWS
    assert list(tmp_path.iterdir()) == [tmp_path / "xnys.toml"]


def test_a_table_is_a_line_for_each_session() -> None:
    lines = table_text(venue(*ROWS), 3).splitlines()
    assert "version = 3" in lines
    assert "  [2026-11-03T14:30:00Z, 2026-11-03T21:00:00Z]," in lines
    assert len([line for line in lines if line.startswith("  [")]) == len(ROWS)


@pytest.mark.parametrize(
    "later",
    [
        venue(*ROWS),
        venue(*ROWS, session(19), session(23), last=30),
        venue(session(1), *ROWS, first=1),
        venue(*ROWS[1:], first=4),
        venue(*ROWS[:3], session(11, 3.5)),
        venue(*ROWS[:3], session(12), session(13)),
    ],
    ids=[
        "the same",
        "later days",
        "earlier days",
        "fewer days",
        "a shorter day to come",
        "a holiday to come",
    ],
)
def test_days_that_are_added_and_days_to_come_keep_the_version(tmp_path: Path, later: VenueSessions) -> None:
    assert written(tmp_path, later) == [Version(1), Version(1)]
    assert read_calendar(tmp_path / "xnys.toml", "x").sessions == tuple(later.rows)


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (venue(ROWS[0], *ROWS[2:]), "2026-11-04T14:30:00Z to 2026-11-04T21:00:00Z is there no more"),
        (
            venue(*ROWS[:3], session(6), *ROWS[3:]),
            "2026-11-06T14:30:00Z to 2026-11-06T21:00:00Z was not there",
        ),
        (
            venue(session(3, 3.5), *ROWS[1:]),
            "2026-11-03T14:30:00Z to 2026-11-03T18:00:00Z was not there before",
        ),
    ],
)
def test_a_session_that_has_been_and_is_another_raises_the_version(
    tmp_path: Path, later: VenueSessions, why: str
) -> None:
    first, second, third = written(tmp_path, later, later)
    assert (first.number, second.number, third.number) == (1, 2, 2)
    assert why in second.why
    assert third.why == ""


def test_a_file_of_another_calendar_is_not_written_over(tmp_path: Path) -> None:
    written(tmp_path)
    before = (tmp_path / "xnys.toml").read_text()
    with pytest.raises(UsageError, match=r"xnys.toml has the calendar XNYS: choose another --out"):
        write_table(tmp_path / "xnys.toml", venue(*ROWS, name="XLON"), NOW)
    assert (tmp_path / "xnys.toml").read_text() == before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent/xnys.toml: cannot be written: No such file or directory"):
        write_table(tmp_path / "absent" / "xnys.toml", venue(*ROWS), NOW)
