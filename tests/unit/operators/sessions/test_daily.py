"""Sessions of a rule: the hours of days, whatever the clocks do."""

import numpy as np
import pytest

from operators.sessions.daily import DailySessions, read_days, read_hours
from operators.sessions.sessions import DAYS_OF_UTC, OUTSIDE, CalendarError
from schemas.batch import Int64s
from schemas.clocks import END_NS, NS_PER_DAY, NS_PER_S

NEW_YORK = "America/New_York"
HOUR_S = 3_600


def ns(*texts: str) -> Int64s:
    return np.array(texts, dtype="datetime64[ns]").astype(np.int64)


def rule(session: str, timezone: str = NEW_YORK, days: str = "Mon-Sun") -> DailySessions:
    return DailySessions(*read_hours(session), timezone, read_days(days))


def lengths_h(sessions: DailySessions, *times: str) -> list[float]:
    """How many hours the session of each moment has, by looking at each quarter of an hour around it."""
    lengths: list[float] = []
    for moment_ns in ns(*times):
        around_ns = moment_ns + np.arange(-30 * HOUR_S, 30 * HOUR_S, 900, dtype=np.int64) * NS_PER_S
        ids = sessions.ids(around_ns)
        lengths.append(int(np.count_nonzero(ids == sessions.ids(np.array([moment_ns]))[0])) / 4)
    return lengths


def test_a_session_is_from_its_first_moment_to_before_its_last() -> None:
    start, end = ns("2024-01-16T14:30", "2024-01-16T21:00").tolist()
    ids = rule("09:30-16:00").ids(np.array([start - 1, start, end - 1, end]))
    assert ids.tolist() == [OUTSIDE, start, start, OUTSIDE]


def test_the_hours_are_those_of_the_zone_in_summer_too() -> None:
    winter, summer = ns("2024-03-08T14:30", "2024-03-11T13:30")
    ids = rule("09:30-16:00").ids(np.array([winter, summer, summer - 1]))
    assert ids.tolist() == [winter, summer, OUTSIDE]


def test_a_day_on_which_clocks_change_has_23_or_25_hours() -> None:
    day = rule("00:00-24:00")
    assert lengths_h(day, "2024-03-09T12:00", "2024-03-10T12:00", "2024-11-03T12:00") == [24, 23, 25]


def test_an_hour_that_is_skipped_is_the_moment_at_which_it_is() -> None:
    # At 07:00 UTC the clocks of New York go from 02:00 to 03:00.
    skipped = int(ns("2024-03-10T07:00")[0])
    assert rule("02:30-16:00").ids(np.array([skipped - 1, skipped])).tolist() == [OUTSIDE, skipped]
    assert rule("00:00-02:30").ids(np.array([skipped - 1, skipped])).tolist()[1] == OUTSIDE


def test_an_hour_that_comes_twice_is_the_first_of_the_two() -> None:
    first, second = ns("2024-11-03T05:30", "2024-11-03T06:30")  # both are 01:30
    ids = rule("01:30-16:00").ids(np.array([first - 1, first, second]))
    assert ids.tolist() == [OUTSIDE, first, first]


def test_a_session_over_night_is_of_the_day_on_which_it_opens() -> None:
    futures = rule("18:00-17:00", "America/Chicago", "Sun-Thu")
    opens, before_close, pause, friday = ns(
        "2024-01-15T00:00", "2024-01-15T22:59:59", "2024-01-15T23:30", "2024-01-20T01:00"
    )
    ids = futures.ids(np.array([opens, before_close, pause, friday]))
    assert ids.tolist() == [opens, opens, OUTSIDE, OUTSIDE]
    assert lengths_h(rule("17:00-17:00"), "2024-01-16T12:00") == [24]


def test_a_day_that_a_zone_skipped_has_no_session() -> None:
    # Samoa went from the end of 29 December 2011 to the begin of the 31st.
    first, last = ns("2011-12-28T00:00", "2012-01-02T00:00").tolist()
    around = np.arange(first, last, 900 * NS_PER_S, dtype=np.int64)
    starts = np.unique(rule("00:00-24:00", "Pacific/Apia").ids(around))
    assert np.diff(starts).tolist() == [NS_PER_DAY] * (starts.size - 1)
    assert starts.size == 6


def test_without_days_a_session_is_on_every_day_and_with_them_on_those() -> None:
    saturday = ns("2024-01-13T15:00")
    assert rule("09:30-16:00").ids(saturday).tolist() != [OUTSIDE]
    assert rule("09:30-16:00", days="Mon-Fri").ids(saturday).tolist() == [OUTSIDE]


def test_every_time_that_a_row_can_have_is_known_of() -> None:
    ends = np.array([-END_NS + 1, END_NS - 1], dtype=np.int64)
    ids = rule("00:00-24:00").ids(ends)
    assert (ends - ids < 2 * NS_PER_DAY).all()
    assert rule("09:30-16:00").ids(ends[:0]).size == 0


def test_rules_mean_the_same_where_they_say_the_same() -> None:
    meanings = {
        rule("09:30-16:00").meaning,
        rule("09:30-16:00", days="Mon-Fri").meaning,
        rule("09:30-16:01").meaning,
        rule("09:30-16:00", "UTC").meaning,
        DAYS_OF_UTC.meaning,
    }
    assert len(meanings) == 5
    assert all(len(meaning) == 16 for meaning in meanings)
    same = rule("09:30 - 16:00", days="Mon, Tue-Fri")
    assert same.meaning == rule("09:30-16:00", days="Mon-Fri").meaning
    assert same.describe() == "session 09:30-16:00 Mon-Fri America/New_York"
    assert rule("18:00-17:00", days="Sun-Thu").describe() == "session 18:00-17:00 Sun-Thu America/New_York"
    assert DAYS_OF_UTC.describe() == "days of UTC"


@pytest.mark.parametrize("text", ["9:30-16:00", "09:30", "09:30-16:00-17:00", "", "0930-1600"])
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(CalendarError, match="expected hours from and to, as 09:30-16:00"):
        read_hours(text)


@pytest.mark.parametrize("text", ["24:00-16:00", "09:60-16:00", "09:30-24:01", "09:30-15:75"])
def test_hours_that_no_clock_shows_are_refused(text: str) -> None:
    with pytest.raises(CalendarError, match="expected hours of the clock"):
        read_hours(text)


@pytest.mark.parametrize(
    ("text", "named"), [("Mon-Fry", "'Fry'"), ("mon", "'mon'"), ("", "''"), ("Mon,,Tue", "''")]
)
def test_days_that_are_none_are_refused(text: str, named: str) -> None:
    with pytest.raises(CalendarError, match=f"{named} is no day of the week: expected days as Mon-Fri"):
        read_days(text)


@pytest.mark.parametrize("name", ["America/New_Yrok", "", "/etc", "../UTC", "America"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(CalendarError, match="is no time zone that this machine knows"):
        DailySessions(570, 960, name)
