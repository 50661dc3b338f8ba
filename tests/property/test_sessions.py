"""Sessions against their definition: by a rule around moments at which clocks change, and of tables."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.sessions.daily import DailySessions, days_text, read_days
from operators.sessions.sessions import DAYS_OF_UTC, OUTSIDE, Spans
from operators.sessions.table import SessionTable
from schemas.clocks import END_NS, NS_PER_DAY, NS_PER_S
from tests.oracles.sessions import daily_session_of, session_of

# Days on which something happens to the clocks, or to the calendar: forward, back, at midnight, by half an
# hour, over the date line, and a year's end.
DAYS = {
    "America/New_York": ("2024-03-10", "2024-11-03", "2023-12-31"),
    "Europe/London": ("2024-03-31", "2024-10-27", "2000-02-29"),
    "America/Sao_Paulo": ("2018-11-04", "2019-02-17"),
    "Australia/Lord_Howe": ("2024-04-07", "2024-10-06"),
    "Pacific/Apia": ("2011-12-29", "2011-12-31"),
    "Pacific/Kwajalein": ("1993-08-20", "1993-08-22"),
    "Asia/Kolkata": ("2024-01-01",),
}
PLACES = [(zone, day) for zone, days in DAYS.items() for day in days]
HOURS = st.one_of(st.sampled_from([0, 60, 90, 120, 150, 180, 570, 960, 1_020, 1_439]), st.integers(0, 1_439))
WEEKDAYS = st.one_of(st.just(frozenset(range(7))), st.frozensets(st.integers(0, 6), min_size=1))
LISTS = st.lists(st.integers(-3 * NS_PER_DAY, 3 * NS_PER_DAY), max_size=6)


@given(st.sampled_from(PLACES), HOURS, st.one_of(HOURS, st.just(1_440)), WEEKDAYS, LISTS)
def test_a_rule_gives_the_sessions_that_the_clocks_show(
    place: tuple[str, str], opens: int, closes: int, days: frozenset[int], offsets_ns: list[int]
) -> None:
    zone, day = place
    around_ns = np.datetime64(day, "ns").astype(np.int64)
    times_ns = around_ns + np.array(offsets_ns, dtype=np.int64)
    rule = DailySessions(opens, closes, zone, days)
    wanted = [daily_session_of(opens, closes, zone, days, int(moment_ns)) for moment_ns in times_ns]
    assert rule.ids(times_ns).tolist() == wanted


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[int]]:
    """Sessions on whole seconds, some of them touching, and moments in, between and at the ends of them."""
    gaps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=8))
    place, spans = draw(st.integers(-20, 5)), []
    for gap, length in gaps:
        spans.append(((place + gap) * NS_PER_S, (place + gap + length) * NS_PER_S))
        place += gap + length
    near_ns = st.builds(
        lambda second, ns: second * NS_PER_S + ns, st.integers(-25, 60), st.sampled_from([-1, 0, 1, 500])
    )
    return spans, draw(st.lists(near_ns, max_size=12))


def spans_of(rows: list[tuple[int, int]]) -> Spans:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return Spans(columns[:, 0].copy(), columns[:, 1].copy())


@given(tables())
def test_a_table_gives_each_moment_its_session_in_any_order(
    drawn: tuple[list[tuple[int, int]], list[int]],
) -> None:
    rows, times_ns = drawn
    ids = spans_of(rows).ids(np.array(times_ns, dtype=np.int64))
    assert ids.dtype == np.int64
    assert ids.tolist() == [session_of(rows, moment_ns) for moment_ns in times_ns]


@given(tables(), st.integers(0, 8))
def test_sessions_added_to_a_table_renumber_none(
    drawn: tuple[list[tuple[int, int]], list[int]], count: int
) -> None:
    rows, times_ns = drawn
    early, bounds = rows[:count], [*rows[count:], (100 * NS_PER_S, 101 * NS_PER_S)]
    until_ns = bounds[0][0]
    inside = np.array([moment_ns for moment_ns in times_ns if moment_ns < until_ns], dtype=np.int64)
    tables = [
        SessionTable(name="X", version=1, spans=spans_of(part), from_ns=-30 * NS_PER_S, until_ns=end_ns)
        for part, end_ns in ((early, until_ns), (rows, 200 * NS_PER_S))
    ]
    assert tables[0].ids(inside).tolist() == tables[1].ids(inside).tolist()
    assert tables[0].meaning == tables[1].meaning


@given(st.lists(st.integers(-END_NS + 1, END_NS - 1), max_size=5))
def test_a_day_of_utc_has_every_moment_that_a_row_can_have(times_ns: list[int]) -> None:
    ids = DAYS_OF_UTC.ids(np.array(times_ns, dtype=np.int64))
    assert [moment_ns - id_ for moment_ns, id_ in zip(times_ns, ids.tolist(), strict=True)] == [
        moment_ns % NS_PER_DAY for moment_ns in times_ns
    ]
    assert OUTSIDE not in ids


@given(st.frozensets(st.integers(0, 6), min_size=1))
def test_days_of_the_week_are_read_as_they_are_written(days: frozenset[int]) -> None:
    assert read_days(days_text(days)) == days
