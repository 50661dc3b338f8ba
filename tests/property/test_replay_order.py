"""Merging, gathering and dating rows, against the slow definitions."""

from datetime import date, timedelta

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replay.order import disorder
from replay.publish.blocks import gather_blocks
from replay.publish.merge import merge_upto
from replay.zones import local_days
from tests.oracles.replay import disorder_slowly, local_date_slowly, merge_slowly

few_ns = st.lists(st.integers(0, 20), max_size=12)  # small range: ties are common
sorted_ns = few_ns.map(sorted)


@given(
    st.lists(st.tuples(sorted_ns, st.integers(0, 12)), min_size=1, max_size=4),
    st.integers(1, 30),
    st.none() | st.integers(0, 21),
)
@settings(max_examples=200)
def test_merging_takes_the_earliest_row_each_time(
    streams: list[tuple[list[int], int]], rows_max: int, below_ns: int | None
) -> None:
    times = [stream for stream, _ in streams]
    starts = [min(start, len(stream)) for stream, start in streams]
    arrays = [np.array(stream, dtype=np.int64) for stream in times]
    assert merge_upto(arrays, starts, rows_max, below_ns) == merge_slowly(times, starts, rows_max, below_ns)


@given(few_ns, st.integers(0, 12))
def test_disorder_measured_in_two_parts_is_that_of_the_whole(times_ns: list[int], cut: int) -> None:
    first, newest_ns = disorder(np.array(times_ns[:cut], dtype=np.int64))
    second, _ = disorder(np.array(times_ns[cut:], dtype=np.int64), newest_ns)
    assert max(first, second) == disorder_slowly(times_ns)


@given(
    st.lists(st.tuples(st.integers(-30, 30), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(0, 40),
    st.integers(1, 5),
)
@example([(6, 1), (3, 1), (8, 0)], 1, 5)  # in a tile one nanosecond wider, 3 would come after 8
@settings(max_examples=200)
def test_blocks_hold_one_key_in_order_and_stay_within_the_grace(
    rows: list[tuple[int, int]], slack_ns: int, rows_max: int
) -> None:
    clock_ns = np.array([time_ns for time_ns, _ in rows], dtype=np.int64)
    key = np.array([code for _, code in rows], dtype=np.int32)
    disorder_ns = disorder_slowly(clock_ns.tolist())
    grace_ns = disorder_ns + slack_ns
    blocks = gather_blocks(clock_ns, key, rows_max=rows_max, grace_ns=grace_ns, disorder_ns=disorder_ns)
    assert sorted(blocks.order.tolist()) == list(range(len(rows)))
    assert disorder_slowly(clock_ns[blocks.order].tolist()) <= grace_ns
    for code in range(4):
        of_key = blocks.order[key[blocks.order] == code]
        assert np.all(of_key[:-1] < of_key[1:])
    for lower, upper in zip(blocks.cuts[:-1], blocks.cuts[1:], strict=True):
        assert 0 < upper - lower <= rows_max
        assert np.unique(key[blocks.order[lower:upper]]).size == 1


@given(
    st.lists(st.integers(0, 7_258_118_399_999_999_999), min_size=1, max_size=20),
    st.sampled_from(["America/New_York", "UTC", "Asia/Tokyo", "Australia/Lord_Howe", "Europe/London"]),
)
@settings(max_examples=50)
def test_a_date_is_the_calendar_date_in_the_zone(times_ns: list[int], zone: str) -> None:
    days = local_days(np.array(times_ns, dtype=np.int64), zone).tolist()
    found = [date(1970, 1, 1) + timedelta(days=day) for day in days]
    assert found == [local_date_slowly(time_ns, zone) for time_ns in times_ns]


def test_the_date_turns_at_local_midnight_on_both_sides_of_a_clock_change() -> None:
    # New York put its clocks forward on 2024-03-10 at 07:00 UTC and back on 2024-11-03 at 06:00 UTC.
    for midnight, day in (
        ("2024-03-10T05:00:00", "2024-03-10"),
        ("2024-03-11T04:00:00", "2024-03-11"),
        ("2024-11-03T04:00:00", "2024-11-03"),
        ("2024-11-04T05:00:00", "2024-11-04"),
    ):
        midnight_ns = int(np.datetime64(midnight, "ns").astype(np.int64))
        before, after = local_days(np.array([midnight_ns - 1, midnight_ns]), "America/New_York").tolist()
        assert after == before + 1 == (date.fromisoformat(day) - date(1970, 1, 1)).days
