"""What the as-of join promises, one law per test."""

import numpy as np
import pyarrow as pa
import pytest

from operators.asof import AsofError, asof_join, asof_positions
from tests.stage.asof_tables import bytes_of, large_tables, quotes, trades


def test_the_columns_are_the_left_ones_then_per_stream_its_own_then_the_match() -> None:
    right = quotes([1], bid=[9.5]).select(["bid", "event_ns", "symbol"])
    joined = asof_join(trades([1]), {"quote": right, "bar": quotes([1], bid=[9.0])})
    assert joined.schema.names == [
        *("event_ns", "symbol", "price"),
        *("quote_bid", "quote_event_ns", "quote_age_ns"),
        *("bar_bid", "bar_event_ns", "bar_age_ns"),
    ]


def test_backward_takes_the_last_of_equal_times() -> None:
    assert asof_join(trades([5]), quotes([5, 5], bid=[1.0, 2.0]))["right_bid"].to_pylist() == [2.0]


def test_forward_takes_the_first_of_equal_times() -> None:
    joined = asof_join(trades([4]), quotes([5, 5], bid=[1.0, 2.0]), direction="forward")
    assert joined["right_bid"].to_pylist() == [1.0]
    assert joined["right_age_ns"].to_pylist() == [-1]


def test_nearest_at_equal_distance_takes_the_last_row_before() -> None:
    joined = asof_join(trades([5]), quotes([4, 4, 6], bid=[1.0, 2.0, 3.0]), direction="nearest")
    assert joined["right_bid"].to_pylist() == [2.0]


def test_a_tolerance_is_inclusive_and_zero_joins_equal_times_only() -> None:
    right = quotes([5], bid=[1.0])
    assert asof_join(trades([5, 6, 7]), right, tolerance_ns=1)["right_bid"].to_pylist() == [1.0, 1.0, None]
    assert asof_join(trades([5, 6]), right, tolerance_ns=0)["right_bid"].to_pylist() == [1.0, None]


def test_carry_column_takes_each_columns_last_value_within_the_tolerance() -> None:
    right = quotes([1, 2], bid=[9.0, None]).append_column("ask", pa.array([None, 9.5]))
    joined = asof_join(trades([2, 3]), right, carry="column", tolerance_ns=1)
    assert joined["right_bid"].to_pylist() == [9.0, None]
    assert joined["right_ask"].to_pylist() == [9.5, 9.5]
    assert joined["right_age_ns"].to_pylist() == [0, 1]


def test_a_sequence_orders_rows_of_equal_time() -> None:
    right = quotes([5, 5], bid=[1.0, 2.0]).append_column("seq", pa.array([8, 7]))
    assert asof_join(trades([5]), right, sequence="seq")["right_bid"].to_pylist() == [1.0]


def test_null_keys_match_nothing_not_even_each_other() -> None:
    left, right = trades([5, 5], symbol=[None, "A"]), quotes([5, 5], symbol=[None, "A"], bid=[1.0, 2.0])
    assert asof_join(left, right)["right_bid"].to_pylist() == [None, 2.0]


def test_rows_without_a_time_are_counted_and_match_nothing() -> None:
    left, right = trades([None, 5]), quotes([None, 4], bid=[1.0, 2.0])
    joined = asof_join(left, right)
    assert joined["right_bid"].to_pylist() == [None, 2.0]
    assert joined.schema.metadata[b"tidemark-null-times"] == b'{"left": 1, "right": {"right": 1}}'
    found = asof_positions(left, right)
    assert found.positions["right"].tolist() == [-1, 1]
    assert (found.left_null_times, found.right_null_times) == (1, {"right": 1})


def test_empty_sides_join() -> None:
    assert asof_join(trades([]), quotes([1])).num_rows == 0
    assert asof_join(trades([1]), quotes([]))["right_bid"].to_pylist() == [None]
    assert asof_join(trades([1]), {}).equals(trades([1]))


def test_unsorted_input_gives_the_same_rows() -> None:
    left, right = large_tables(3_000, symbols=7)
    shuffled = np.random.default_rng(3).permutation(left.num_rows)
    joined = asof_join(left, right).take(shuffled)
    mixed = right.take(np.random.default_rng(4).permutation(right.num_rows))
    assert asof_join(left.take(shuffled), mixed).equals(joined)


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("by", ["symbol", None])
def test_the_number_of_threads_changes_no_byte(direction: str, by: str | None) -> None:
    left, right = large_tables(70_000, symbols=50)
    right = right if by else right.drop_columns(["symbol"])
    one, two, three = (
        asof_join(left, right, by=by, direction=direction, tolerance_ns=40, threads=threads)
        for threads in (1, 2, 3)
    )
    assert one.equals(two)
    assert bytes_of(one) == bytes_of(two) == bytes_of(three)


def test_times_of_other_units_are_converted_exactly() -> None:
    left = trades([1_000, 1_999, 2_000])
    right = quotes([1, 2], bid=[1.0, 2.0])
    in_us = right.set_column(0, "event_ns", right["event_ns"].cast(pa.timestamp("us", "Europe/Zurich")))
    joined = asof_join(left, in_us)
    assert joined["right_bid"].to_pylist() == [1.0, 1.0, 2.0]
    assert joined["right_age_ns"].to_pylist() == [0, 999, 0]
    assert joined.schema.field("right_event_ns").type == pa.timestamp("us", "Europe/Zurich")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"on": "known_ns"}, "the left table has no column 'known_ns'; it has event_ns"),
        ({"by": "venue"}, "the left table has no column 'venue'"),
        ({"on": "symbol", "by": None}, "the left table: symbol is string, expected int64 nanoseconds"),
        ({"direction": "sideways"}, "direction is 'sideways', expected one of backward"),
        ({"carry": "cell"}, "carry is 'cell', expected one of row, column"),
        ({"direction": "forward", "carry": "column"}, "direction must be backward, not forward"),
        ({"tolerance_ns": -1}, "tolerance_ns is -1, expected 0 or more"),
        ({"tolerance_ns": 0.5}, "tolerance_ns is 0.5, expected a whole number"),
        ({"sequence": "seq"}, "the right table 'right' has no column 'seq'"),
        ({"threads": 0}, "threads is 0, expected at least 1"),
    ],
)
def test_an_error_names_the_column_and_what_was_expected(settings: dict[str, object], words: str) -> None:
    with pytest.raises(AsofError) as error:
        asof_join(trades([1]), quotes([1]), **settings)  # type: ignore[arg-type]
    assert words in str(error.value)


def test_a_name_that_would_stand_twice_is_refused() -> None:
    left = trades([1]).append_column("quote_bid", pa.array([1.0]))
    with pytest.raises(
        AsofError, match="quote_bid twice, from the left table and from the right table 'quote'"
    ):
        asof_join(left, {"quote": quotes([1])})


def test_keys_of_types_that_cannot_be_compared_are_refused() -> None:
    right = quotes([1]).set_column(1, "symbol", pa.array([1]))
    with pytest.raises(
        AsofError, match="symbol is string in the left table and int64 in the right table 'right'"
    ):
        asof_join(trades([1]), right)


def test_a_time_beyond_int64_nanoseconds_is_an_error_and_does_not_wrap() -> None:
    right = quotes([2**62])
    right = right.set_column(0, "event_ns", right["event_ns"].cast(pa.timestamp("us")))
    with pytest.raises(AsofError, match="which int64 nanoseconds"):
        asof_join(trades([1]), right)
    with pytest.raises(AsofError, match="an age would not fit"):
        asof_join(trades([2**62]), quotes([-(2**62) - 1]))


def stamped(table: pa.Table, kind: pa.DataType) -> pa.Table:
    """A table whose times, in nanoseconds, are of this type."""
    if not pa.types.is_timestamp(kind):
        return table
    return table.set_column(0, "event_ns", table["event_ns"].cast(pa.timestamp("ns", kind.tz)).cast(kind))


WALL, NEW_YORK, UTC = pa.timestamp("ns"), pa.timestamp("us", "America/New_York"), pa.timestamp("ns", "UTC")


@pytest.mark.parametrize(
    ("left", "first", "second", "words"),
    [
        (WALL, NEW_YORK, NEW_YORK, "is timestamp[ns] in the left table"),
        (UTC, WALL, UTC, "is timestamp[ns] in the right table 'quote'"),
        (UTC, UTC, WALL, "is timestamp[ns] in the right table 'bar'"),
        (pa.int64(), WALL, UTC, "is timestamp[ns] in the right table 'quote'"),
    ],
)
def test_wall_clocks_are_not_joined_with_moments(
    left: pa.DataType, first: pa.DataType, second: pa.DataType, words: str
) -> None:
    rights = {"quote": stamped(quotes([1_000]), first), "bar": stamped(quotes([1_000]), second)}
    for join in (asof_join, asof_positions):
        with pytest.raises(AsofError, match="a wall clock without a zone, and") as error:
            join(stamped(trades([2_000]), left), rights)
        assert words in str(error.value)
        assert ", tz=" in str(error.value)


@pytest.mark.parametrize("kinds", [(WALL, WALL), (NEW_YORK, UTC), (pa.int64(), UTC), (pa.int64(), WALL)])
def test_one_kind_of_clock_is_joined_whatever_its_zones(kinds: tuple[pa.DataType, pa.DataType]) -> None:
    left, right = stamped(trades([2_000]), kinds[0]), stamped(quotes([1_000]), kinds[1])
    assert asof_join(left, right)["right_age_ns"].to_pylist() == [1_000]
    assert asof_join(right, left, direction="forward")["right_age_ns"].to_pylist() == [-1_000]


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()], ids=str)
def test_views_are_group_columns_as_text_and_bytes_are(kind: pa.DataType) -> None:
    longer = "longer than twelve bytes"
    left = pa.table({"event_ns": [5, 5, 5], "symbol": pa.array([longer, "B", None]).cast(kind)})
    right = pa.table(
        {"event_ns": [1, 2, 3], "symbol": pa.array(["B", longer, None]).cast(kind), "row": [0, 1, 2]}
    )
    assert asof_join(left, right)["right_row"].to_pylist() == [1, 0, None]
