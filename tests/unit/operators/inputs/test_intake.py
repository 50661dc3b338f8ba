"""What comes in at the door: plain record batches, their keys, and what is wrong with them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from operators.inputs.intake import Intake, batch_of
from operators.inputs.set_aside import SetAside
from operators.rows.held import held_stream
from schemas.batch import Batch
from schemas.clocks import BEGINNING_NS, END_NS
from schemas.stream import Stream
from tests.stage.scenes import QUOTE, TRADE, bids, make_join, quotes, trades

PAIR = Stream(
    name="trade",
    schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("venue", pa.int32())]),
    key=("symbol", "venue"),
)


def test_several_key_columns_are_joined_by_a_colon_and_null_if_one_is() -> None:
    rows = pa.record_batch(
        [pa.array([1, 2, 3]), pa.array(["A", "A", None]), pa.array([7, None, 7], pa.int32())],
        schema=PAIR.schema,
    )
    batch = batch_of(PAIR, "event_ns", rows, 5)
    assert batch.keys.to_pylist() == [b"A:7"]
    assert batch.key_code.tolist() == [0, -1, -1]
    assert batch.offset.tolist() == [5, 6, 7]


def test_a_batch_with_words_under_a_narrow_index_comes_in_as_its_columns_are_held() -> None:
    narrow, held = (pa.dictionary(index, pa.string()) for index in (pa.int8(), pa.int32()))
    schema = pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("venue", narrow)])
    stream = Stream(name="trade", schema=schema)
    venues = pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array(["X"]))
    rows = pa.record_batch([pa.array([1, 2]), pa.array(["A", "B"]), venues], schema=schema)
    wide = held_stream(stream)
    decoded = replace(batch_of(wide, "event_ns", rows, 0), columns=rows)
    columns = Intake(wide, "event_ns", 0, SetAside(wide.schema, ())).batch(decoded).columns
    assert columns.schema.field("venue").type == held
    assert columns.column("venue").to_pylist() == ["X", None]


def test_without_key_columns_all_rows_are_one_group() -> None:
    whole = Stream(name="trade", schema=TRADE.schema, key=())
    batch = batch_of(whole, "event_ns", trades((1, "A"), (2, None)), 0)
    assert batch.keys.to_pylist() == [b""]
    assert batch.key_code.tolist() == [0, 0]


def test_without_key_columns_the_keys_of_messages_do_not_part_rows() -> None:
    left, right = (Stream(name=s.name, schema=s.schema, key=()) for s in (TRADE, QUOTE))
    join = make_join(left=left, rights=(right,))
    join.push("quote", batch_of(QUOTE, "event_ns", quotes((1, "A", 7)), 0))
    join.push("trade", batch_of(TRADE, "event_ns", trades((2, "B"), (2, None)), 0))
    assert bids(join.finish()) == [(2, 7), (2, 7)]


def test_a_binary_key_is_taken_as_it_is() -> None:
    raw = Stream(name="trade", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.binary())]))
    rows = pa.record_batch([pa.array([1, 2]), pa.array([b"\xff", None])], schema=raw.schema)
    batch = batch_of(raw, "event_ns", rows, 0)
    assert batch.keys.to_pylist() == [b"\xff"]
    assert batch.key_code.tolist() == [0, -1]


def test_offsets_go_on_over_batches() -> None:
    join = make_join()
    join.push("trade", trades((1, "A")))
    join.push("trade", trades())
    join.push("trade", trades((1, "A"), (2, "A")))
    sealed = join.finish()
    assert sealed is not None
    assert sealed["left_offset"].to_pylist() == [0, 1, 2]


def test_a_null_time_is_refused_and_nothing_taken() -> None:
    join = make_join()
    with pytest.raises(ValueError, match="event_ns is null in row 1"):
        join.push("trade", pa.record_batch([pa.array([1, None]), pa.array(["A", "A"])], schema=TRADE.schema))
    assert join.finish() is None


@pytest.mark.parametrize(
    ("time_ns", "why"),
    [
        (END_NS, f"lies {END_NS} ns or more from the epoch"),
        (-END_NS, f"lies {END_NS} ns or more from the epoch"),
        (BEGINNING_NS, "stands for no time"),
    ],
)
def test_a_time_beyond_the_ends_is_refused(time_ns: int, why: str) -> None:
    with pytest.raises(ValueError, match=f"event_ns is {time_ns} in row 1, which {why}"):
        make_join().push("trade", trades((1, "A"), (time_ns, "A")))


def test_the_first_and_the_last_time_are_taken() -> None:
    ends = trades((1 - END_NS, "A"), (END_NS - 1, "A"))
    assert batch_of(TRADE, "event_ns", ends, 0).time_ns.tolist() == [1 - END_NS, END_NS - 1]


def test_a_column_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="symbol is int64, expected string"):
        make_join().push("trade", pa.record_batch({"event_ns": [1], "symbol": [1]}))


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(ValueError, match="symbol is missing"):
        make_join().push("trade", pa.record_batch({"event_ns": [1]}))


def test_columns_beyond_the_stream_are_left_out() -> None:
    join = make_join()
    join.push("trade", pa.record_batch({"other": [1], "symbol": ["A"], "event_ns": [3]}))
    sealed = join.finish()
    assert sealed is not None
    assert sealed.schema == join.schema


def test_a_message_key_that_can_be_read_in_two_ways_is_not_the_group() -> None:
    pair = Stream(
        name="trade",
        schema=pa.schema([("event_ns", pa.int64()), ("venue", pa.string()), ("symbol", pa.string())]),
        key=("venue", "symbol"),
    )
    other = replace(pair, name="quote")
    venues, symbols = ["OTC:US", "OTC"], ["ABC", "US:ABC"]

    def by_message(*times: int) -> Batch:
        rows = pa.record_batch({"event_ns": times, "venue": venues, "symbol": symbols}, schema=pair.schema)
        return replace(
            batch_of(pair, "event_ns", rows, 0),
            keys=pa.array([b"OTC:US:ABC"], pa.binary()),
            key_code=np.zeros(2, np.int32),
        )

    join = make_join(left=pair, rights=(other,))
    join.push("quote", by_message(1, 2))
    join.push("trade", by_message(3, 4))
    sealed = join.finish()
    assert sealed is not None
    assert sealed["quote_event_ns"].to_pylist() == [1, 2]


def test_a_plain_message_key_is_the_group_without_a_look_at_the_columns() -> None:
    batch = replace(
        batch_of(
            PAIR, "event_ns", pa.record_batch([[1], ["A"], pa.array([7], pa.int32())], schema=PAIR.schema), 0
        ),
        keys=pa.array([b"B:8"], pa.binary()),
    )
    taken = Intake(PAIR, "event_ns", 0, SetAside(PAIR.schema, ())).batch(batch)
    assert taken.keys.to_pylist() == [b"B:8"]


def test_the_group_of_a_row_does_not_hang_on_the_messages_beside_it() -> None:
    keys = [b"B:8", b"a:b:7", b"a\\:b:7", None, b"A:7"]
    columns = {"event_ns": [1, 2, 3, 4, 5], "symbol": ["A", "a:b", "a:b", "A", None]}
    rows = pa.record_batch({**columns, "venue": pa.array([7] * 5, pa.int32())}, schema=PAIR.schema)
    plain = replace(
        batch_of(PAIR, "event_ns", rows, 0),
        keys=pa.array([key for key in keys if key is not None], pa.binary()),
        key_code=np.array([0, 1, 2, -1, 3], np.int32),
    )

    def groups(lower: int, upper: int) -> list[bytes | None]:
        cut = plain.where(np.isin(np.arange(5), np.arange(lower, upper)))
        taken = Intake(PAIR, "event_ns", 0, SetAside(PAIR.schema, ())).batch(cut)
        names = taken.keys.to_pylist()
        return [None if code < 0 else names[code] for code in taken.key_code.tolist()]

    whole = groups(0, 5)
    assert whole == [b"B:8", b"a\\:b:7", b"a\\:b:7", None, b"A:7"]
    assert [group for row in range(5) for group in groups(row, row + 1)] == whole
