"""When a left row is sealed, what it matches, and in which order rows come out."""

import pyarrow as pa
import pytest

from operators.streaming import StreamingAsof
from schemas.stream import Stream
from tests.stage.scenes import QUOTE, TRADE, advance, bids, make_join, quotes, trades


def test_a_row_is_sealed_once_the_frontier_is_beyond_it() -> None:
    join = make_join()
    join.push("trade", trades((10, "A")))
    join.push("quote", quotes((9, "A", 1)))
    advance(join, 10)
    assert join.seal() is None
    advance(join, 11)
    assert bids(join.seal()) == [(10, 1)]


def test_a_strict_match_is_sealed_once_the_frontier_reaches_its_time() -> None:
    join = make_join(allow_exact=False, grace_ns={"trade": 5, "quote": 5})
    join.push("trade", trades((10, "A")))
    join.push("quote", quotes((9, "A", 1), (10, "A", 2)))
    advance(join, 9)
    assert join.seal() is None
    advance(join, 10)
    assert bids(join.seal()) == [(10, 1)]


def test_a_strict_row_with_a_sequence_waits_for_rows_of_its_own_time_that_come_first() -> None:
    schema = pa.schema([*TRADE.schema, ("sequence", pa.int64())])
    join = make_join(allow_exact=False, left=Stream(name="trade", schema=schema, sequence="sequence"))

    def trade(sequence: int) -> pa.RecordBatch:
        row = {"event_ns": 10, "symbol": "A", "sequence": sequence}
        return pa.RecordBatch.from_pylist([row], schema=schema)

    join.push("trade", trade(2))
    advance(join, 10)
    assert join.seal() is None
    join.push("trade", trade(1))
    advance(join, 11)
    sealed = join.seal()
    assert sealed is not None
    assert sealed["sequence"].to_pylist() == [1, 2]


def test_a_sealed_row_is_never_sealed_again() -> None:
    join = make_join()
    join.push("trade", trades((10, "A")))
    advance(join, 11)
    assert bids(join.seal()) == [(10, None)]
    join.push("quote", quotes((11, "A", 1)))
    advance(join, 20)
    assert join.seal() is None
    assert join.finish() is None


def test_the_last_of_equal_times_matches() -> None:
    join = make_join()
    join.push("quote", quotes((5, "A", 1), (5, "A", 2)))
    join.push("trade", trades((5, "A")))
    assert bids(join.finish()) == [(5, 2)]


def test_equal_times_do_not_match_when_exact_is_not_allowed() -> None:
    join = make_join(allow_exact=False)
    join.push("quote", quotes((4, "A", 1), (5, "A", 2)))
    join.push("trade", trades((5, "A")))
    assert bids(join.finish()) == [(5, 1)]


@pytest.mark.parametrize(("tolerance_ns", "bid"), [(0, None), (4, None), (5, 1)])
def test_the_tolerance_is_inclusive(tolerance_ns: int, bid: int | None) -> None:
    join = make_join(tolerance_ns=tolerance_ns)
    join.push("quote", quotes((5, "A", 1)))
    join.push("trade", trades((10, "A")))
    assert bids(join.finish()) == [(10, bid)]


def test_a_null_key_matches_nothing_and_is_kept_on_the_left() -> None:
    join = make_join()
    join.push("quote", quotes((1, None, 1)))
    join.push("trade", trades((2, None)))
    assert bids(join.finish()) == [(2, None)]


def test_a_quiet_symbol_matches_its_last_row_however_old() -> None:
    join = make_join()
    join.push("quote", quotes((1, "A", 7)))
    for start in range(10, 200_010, 10_000):
        join.push("quote", quotes(*[(start + i, "B", i) for i in range(10_000)]))
        advance(join, start + 10_000)
        join.seal()
    join.push("trade", trades((300_000, "A")))
    assert bids(join.finish()) == [(300_000, 7)]


def join_after(rounds: int) -> StreamingAsof:
    """A join that has read and passed 10,000 quotes of two symbols a round, one each ns."""
    join = make_join()
    for start in range(0, rounds * 10_000, 10_000):
        join.push("quote", quotes(*[(start + i, "AB"[i % 2], start + i) for i in range(10_000)]))
        advance(join, start + 10_000)
        join.seal()
        assert join.operator.held("quote") == (0, 0)
    return join


def test_rows_that_can_match_no_more_are_forgotten() -> None:
    few, many = (join_after(rounds).snapshot().puts for rounds in (1, 10))
    size_few, size_many = (sum(len(key) + len(value) for key, value in puts) for puts in (few, many))
    assert size_many < size_few + 100, "what is kept grows with symbols, not with rows"
    after = make_join()
    after.restore(many)
    after.push("trade", trades((100_000, "A"), (100_000, "B")))
    assert bids(after.finish()) == [(100_000, 99_998), (100_000, 99_999)]


def test_rows_that_wait_outlive_those_forgotten_around_them() -> None:
    join = make_join(grace_ns={"quote": 10_000})
    for start in range(0, 60_000, 5_000):
        join.push("quote", quotes(*[(start + i, f"S{i % 7}", start + i) for i in range(5_000)]))
        join.advance("trade", start + 5_000)
        join.seal()
    join.push("trade", trades(*[(t, f"S{t % 5_000 % 7}") for t in range(55_000, 60_000, 11)]))
    assert bids(join.finish()) == [(t, t) for t in range(55_000, 60_000, 11)]


def test_carry_by_column_takes_the_last_value_of_each_column() -> None:
    one_sided = pa.RecordBatch.from_pylist(
        [
            {"event_ns": 1, "symbol": "A", "bid": 10, "ask": 20},
            {"event_ns": 2, "symbol": "A", "bid": 11, "ask": None},
            {"event_ns": 3, "symbol": "A", "bid": None, "ask": None},
        ],
        schema=QUOTE.schema,
    )
    join = make_join(carry="column")
    join.push("quote", one_sided)
    join.push("trade", trades((4, "A")))
    sealed = join.finish()
    assert sealed is not None
    row = sealed.to_pylist()[0]
    assert (row["quote_bid"], row["quote_ask"]) == (11, 20)
    assert (row["quote_event_ns"], row["quote_age_ns"]) == (3, 1)


def test_a_tolerance_binds_each_carried_column_by_the_row_of_its_value() -> None:
    join = make_join(carry="column", tolerance_ns=2)
    join.push("quote", quotes((1, "A", 10), (3, "A", None)))
    join.push("trade", trades((3, "A"), (4, "A")))
    sealed = join.finish()
    assert bids(sealed) == [(3, 10), (4, None)]
    assert sealed is not None
    assert sealed["quote_event_ns"].to_pylist() == [3, 3]


def test_columns_come_left_then_right_then_the_place_of_the_left_row() -> None:
    join = make_join()
    join.push("trade", trades((1, "A")))
    sealed = join.finish()
    assert sealed is not None
    assert sealed.schema == join.schema
    assert sealed.schema.names == [
        "event_ns",
        "symbol",
        "quote_bid",
        "quote_ask",
        "quote_event_ns",
        "quote_age_ns",
        "left_offset",
        "left_index",
    ]


def test_rows_come_out_by_time_then_sequence_then_offset() -> None:
    join = make_join(grace_ns={"trade": 10})
    join.push("trade", trades((7, "A"), (3, "B")))
    join.push("trade", trades((3, "A"), (5, "A")))
    sealed = join.finish()
    assert sealed is not None
    assert sealed["event_ns"].to_pylist() == [3, 3, 5, 7]
    assert sealed["left_offset"].to_pylist() == [1, 2, 3, 0]


def test_every_right_stream_is_looked_up_for_itself() -> None:
    other = Stream(name="mark", schema=QUOTE.schema)
    join = make_join(rights=(QUOTE, other), columns={"mark": ("bid",)})
    join.push("quote", quotes((1, "A", 1)))
    join.push("mark", quotes((1, "B", 2)))
    join.push("trade", trades((2, "A"), (2, "B")))
    sealed = join.finish()
    assert sealed is not None
    assert "mark_ask" not in sealed.schema.names
    assert sealed["quote_bid"].to_pylist() == [1, None]
    assert sealed["mark_bid"].to_pylist() == [None, 2]


def test_finish_seals_all_and_moves_the_frontier_past_it() -> None:
    join = make_join()
    join.push("trade", trades((10, "A")))
    join.push("quote", quotes((90, "A", 1)))
    assert bids(join.finish()) == [(10, None)]
    assert join.frontier_ns == 91
