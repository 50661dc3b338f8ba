"""Sessions of a calendar's table: those it has, and an error for times it is not about."""

import numpy as np
import pytest

from operators.sessions.sessions import OUTSIDE, CalendarError, Spans, ids_if_known
from operators.sessions.table import SessionTable, first_fault, moment_text
from schemas.batch import Int64s
from schemas.clocks import NS_PER_S


def ns(*texts: str) -> Int64s:
    return np.array(texts, dtype="datetime64[ns]").astype(np.int64)


STARTS = ("2026-12-24T14:30", "2026-12-28T14:30")
ENDS = ("2026-12-24T18:00", "2026-12-28T21:00")
FROM_NS, UNTIL_NS = (int(moment) for moment in ns("2026-12-23T05:00", "2027-01-01T05:00"))
TABLE = SessionTable(
    name="XNYS",
    version=2,
    spans=Spans(ns(*STARTS), ns(*ENDS)),
    from_ns=FROM_NS,
    until_ns=UNTIL_NS,
    home="xnys.toml",
)


def test_a_holiday_and_the_rest_of_a_short_day_are_outside() -> None:
    times_ns = ns("2026-12-24T17:59:59", "2026-12-24T18:00", "2026-12-25T15:00", "2026-12-28T15:00")
    starts = ns(*STARTS)
    assert TABLE.ids(times_ns).tolist() == [starts[0], OUTSIDE, OUTSIDE, starts[1]]
    assert TABLE.ids(times_ns[:0]).size == 0


def test_before_the_first_session_and_after_the_last_is_outside_while_the_table_is_about_it() -> None:
    assert TABLE.ids(np.array([FROM_NS])).tolist() == [OUTSIDE]
    assert TABLE.ids(np.array([UNTIL_NS - 1])).tolist() == [OUTSIDE]
    assert TABLE.ids(np.array([FROM_NS, UNTIL_NS - 1])).tolist() == [OUTSIDE, OUTSIDE]


@pytest.mark.parametrize(
    ("moment_ns", "words"),
    [
        (UNTIL_NS, "a row is of 2027-01-01T05:00:00Z: add the later sessions, such as with .* another --to"),
        (FROM_NS - 1, r"a row is of 2026-12-23T04:59:59.999999999Z: add the earlier .* another --from"),
    ],
)
def test_a_time_that_the_table_is_not_about_is_an_error_and_not_outside(moment_ns: int, words: str) -> None:
    with pytest.raises(CalendarError, match=words) as refused:
        TABLE.ids(np.array([FROM_NS + 1, moment_ns, FROM_NS + 2]))
    assert "the calendar XNYS (xnys.toml) has the sessions from 2026-12-23T05:00:00Z to" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_means_its_name_and_version() -> None:
    def meaning(name: str, version: int) -> str:
        return SessionTable(
            name=name, version=version, spans=TABLE.spans, from_ns=FROM_NS, until_ns=UNTIL_NS
        ).meaning

    assert meaning("XNYS", 2) == TABLE.meaning
    assert len({meaning("XNYS", 1), meaning("XLON", 2), TABLE.meaning}) == 3
    assert TABLE.describe() == "calendar XNYS@2"


def test_the_rows_of_a_table_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        TABLE.spans.start_ns[0] = 0


@pytest.mark.parametrize(
    ("rows", "place", "why"),
    [
        ([(1, 2), (3, 3)], 1, "ends after it begins"),
        ([(1, 3), (2, 4)], 1, "no earlier than the one before it ends"),
        ([(-1, 3)], 0, "no earlier than its `from`"),
        ([(1, 2), (3, 101)], 1, "no later than its `to`"),
        ([(5, 6), (3, 3)], 1, "ends after it begins"),
    ],
)
def test_a_session_that_cannot_be_is_named_by_its_place(
    rows: list[tuple[int, int]], place: int, why: str
) -> None:
    columns = np.array(rows, dtype=np.int64) * NS_PER_S
    fault = first_fault(Spans(columns[:, 0], columns[:, 1]), 0, 100 * NS_PER_S)
    assert fault is not None
    assert fault[0] == place
    assert why in fault[1]


def test_sessions_on_whole_seconds_alone_never_have_the_id_of_none() -> None:
    spans = Spans(np.array([OUTSIDE]), np.array([NS_PER_S]))
    assert first_fault(spans, -NS_PER_S, NS_PER_S) == (0, "a session begins and ends on whole seconds")


def test_sessions_that_touch_and_an_empty_table_are_good() -> None:
    assert first_fault(Spans(np.array([0, NS_PER_S]), np.array([1, 2]) * NS_PER_S), 0, 2 * NS_PER_S) is None
    assert first_fault(Spans(np.array([], dtype=np.int64), np.array([], dtype=np.int64)), 0, 1) is None


def test_a_moment_is_written_as_exactly_as_it_is() -> None:
    assert moment_text(1_500_000_000) == "1970-01-01T00:00:01.500000000Z"
    assert moment_text(-1) == "1969-12-31T23:59:59.999999999Z"


def test_the_end_of_what_was_made_is_outside_where_no_table_knows_it() -> None:
    starts = ns(*STARTS)
    moments = np.array([UNTIL_NS + 5, starts[0], FROM_NS, UNTIL_NS, starts[1], FROM_NS - 1])
    assert ids_if_known(TABLE.ids, moments).tolist() == [
        OUTSIDE,
        starts[0],
        OUTSIDE,
        OUTSIDE,
        starts[1],
        OUTSIDE,
    ]
    assert ids_if_known(TABLE.ids, moments[1:3]).tolist() == [starts[0], OUTSIDE]
