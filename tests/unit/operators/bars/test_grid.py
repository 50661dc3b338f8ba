"""Where bars of time and of the calendar begin and end."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.bars.grid import Cells, grid_steps
from operators.bars.grid import cells as cells_of
from operators.bars.settings import BarSettings, Every
from operators.bars.words import CUT_END, CUT_START, NEVER
from operators.sessions.daily import DailySessions
from operators.sessions.sessions import DAYS_OF_UTC, Sessions
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY, NS_PER_S

HOUR_NS = 3_600 * NS_PER_S
NEW_YORK = ZoneInfo("America/New_York")
REGULAR = DailySessions(9 * 60 + 30, 16 * 60, "America/New_York", frozenset(range(5)))


def ns(*when: int) -> int:
    return int(datetime(*when, tzinfo=NEW_YORK).timestamp()) * NS_PER_S  # type: ignore[arg-type, misc]


def at(*moments: int) -> Int64s:
    return np.array(moments, np.int64)


def cells(bars: BarSettings, sessions: Sessions, time_ns: Int64s) -> Cells:
    """The values of each moment's cell."""
    found = cells_of(bars, sessions, time_ns)
    of_each = np.diff(found.edges)
    return Cells._make([found.edges, *(np.repeat(values, of_each) for values in found[1:])])


def lengths(every: Every, timezone: str, *moments: int) -> list[tuple[int, int]]:
    bars = BarSettings(every=every, origin="zone", timezone=timezone)
    found = cells(bars, DAYS_OF_UTC, at(*moments))
    return list(zip(found.begin.tolist(), found.bound.tolist(), strict=True))


def test_days_of_a_zone_have_23_and_25_hours_where_the_clocks_change() -> None:
    (spring, autumn) = lengths("day", "America/New_York", ns(2024, 3, 10, 12), ns(2024, 11, 3, 0, 30))
    assert (spring[1] - spring[0], autumn[1] - autumn[0]) == (23 * HOUR_NS, 25 * HOUR_NS)


@pytest.mark.parametrize(
    ("every", "begin", "end"),
    [
        ("week", (2024, 2, 26), (2024, 3, 4)),
        ("month", (2024, 2, 1), (2024, 3, 1)),
        ("year", (2024, 1, 1), (2025, 1, 1)),
    ],
)
def test_steps_of_the_calendar_begin_at_local_midnight(
    every: Every, begin: tuple[int, ...], end: tuple[int, ...]
) -> None:
    last = ns(2024, 2, 29, 23, 59)
    assert lengths(every, "America/New_York", last) == [(ns(*begin), ns(*end))]


@given(st.integers(-(10**18), 3 * 10**18), st.sampled_from(["day", "week", "month", "year"]))
def test_every_moment_is_in_its_bar_and_bars_follow_one_another(time_ns: int, every: Every) -> None:
    ((begin, end),) = lengths(every, "Europe/Berlin", time_ns)
    assert begin <= time_ns < end
    assert lengths(every, "Europe/Berlin", begin, end - 1) == [(begin, end)] * 2
    assert lengths(every, "Europe/Berlin", end)[0][0] == end


def test_a_day_is_the_session_unless_it_is_said() -> None:
    open_ns, close_ns = ns(2024, 1, 15, 9, 30), ns(2024, 1, 15, 16)
    noon = at(ns(2024, 1, 15, 12), ns(2024, 1, 15, 17))
    session = cells(BarSettings(every="day", origin="session"), REGULAR, noon)
    assert (session.begin[0], session.bound[0]) == (open_ns, close_ns)
    assert session.inside.tolist() == [True, False]
    utc = cells(BarSettings(every="day", origin="utc"), REGULAR, noon)
    assert (utc.bound - utc.begin).tolist() == [NS_PER_DAY] * 2
    assert (utc.begin % NS_PER_DAY).tolist() == [0, 0]


def test_sessions_cut_the_grid_of_utc_and_begin_their_own() -> None:
    moments = at(ns(2024, 1, 15, 9, 31), ns(2024, 1, 15, 12), ns(2024, 1, 15, 15, 59))
    utc = cells(BarSettings(every="time", step_ns=HOUR_NS), REGULAR, moments)
    assert utc.begin.tolist() == [ns(2024, 1, 15, 9, 30), ns(2024, 1, 15, 12), ns(2024, 1, 15, 15)]
    assert utc.cut.tolist() == [CUT_START, 0, 0]
    own = cells(BarSettings(every="time", step_ns=HOUR_NS, origin="session"), REGULAR, moments)
    assert own.begin.tolist() == [ns(2024, 1, 15, 9, 30), ns(2024, 1, 15, 11, 30), ns(2024, 1, 15, 15, 30)]
    assert own.bound[2] == ns(2024, 1, 15, 16)
    assert own.cut.tolist() == [0, 0, CUT_END]


def test_bars_that_go_on_know_no_sessions() -> None:
    late = at(ns(2024, 1, 15, 20), -1)
    trades = cells(BarSettings(every="trades", limit="3", close_at_session_end=False), REGULAR, late)
    assert trades.bound.tolist() == [NEVER] * 2
    assert trades.inside.all()
    steps = cells(BarSettings(every="time", step_ns=HOUR_NS, close_at_session_end=False), REGULAR, late)
    assert (steps.begin[1], steps.bound[1]) == (-HOUR_NS, 0)


SETTINGS = (
    BarSettings(every="time", step_ns=HOUR_NS),
    BarSettings(every="time", step_ns=7 * HOUR_NS, origin="session"),
    BarSettings(every="time", step_ns=HOUR_NS, close_at_session_end=False),
    BarSettings(every="trades", limit="3"),
    BarSettings(every="day", origin="zone", timezone="America/New_York"),
)


@given(
    st.sampled_from(SETTINGS),
    st.lists(st.lists(st.integers(-9, 60), max_size=4), max_size=8),
)
def test_what_the_moments_before_have_told_changes_nothing(
    bars: BarSettings, batches: list[list[int]]
) -> None:
    opening_ns, last = ns(2024, 1, 15, 9, 30), None
    for quarters in batches:
        time_ns = at(*(opening_ns + quarter * HOUR_NS // 4 for quarter in quarters))
        told = cells_of(bars, REGULAR, time_ns, last)
        found = cells_of(bars, REGULAR, time_ns)
        for name in found._fields:
            assert getattr(told, name).tolist() == getattr(found, name).tolist()
        last = told


@given(
    st.lists(st.integers(-50, 400), min_size=1, max_size=60),
    st.sampled_from([1, 7, 100]),
    st.sampled_from([0, -3, 5]),
    st.booleans(),
)
def test_a_grid_begins_where_a_division_says(
    moments: list[int], step_ns: int, origin: int, in_order: bool
) -> None:
    time_ns = at(*(sorted(moments) if in_order else moments))
    wanted = [(moment - origin) // step_ns * step_ns + origin for moment in time_ns.tolist()]
    places, begins = grid_steps(time_ns, origin, step_ns)
    assert (np.diff(places) > 0).all()
    assert np.repeat(begins, np.diff(np.append(places, time_ns.size))).tolist() == wanted
