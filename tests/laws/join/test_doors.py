"""The join of tables and the streaming join take the same keys for equal, and refuse the same ones."""

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from operators.asof import asof_join
from operators.join.settings import AsofSettings
from operators.streaming import StreamingAsof
from schemas.key_types import can_be_key
from schemas.stream import Stream

DAY: Final = dt.date(2024, 1, 15)
REFUSED: Final = "refused"
COLUMNS: Final = [
    *(pa.array([1, 0, 7], kind()) for kind in (pa.int8, pa.uint8, pa.int16, pa.int32, pa.uint32)),
    pa.array([1, 0, -(2**63)], pa.int64()),
    pa.array([1, 0, 2**63], pa.uint64()),
    *(pa.array(np.array([1.0, -0.0, np.nan], kind)) for kind in (np.float16, np.float32, np.float64)),
    pa.array([0.0, -1.0, 1e300]),
    pa.array([True, False, None]),
    pa.array(["1", "0", "a"]),
    pa.array(["1", "0", "a"], pa.large_string()),
    pa.array(["1", "0", "a"], pa.string_view()),
    pa.array(["1", "0", None]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
    pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["1", "0"], pa.string_view())),
    pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array([1, 0, None])),
    pc.run_end_encode(pa.array(["1", "1", "0"])),
    pc.run_end_encode(pa.array([1, 1, 0])),
    pa.array([b"1", b"0", b"\xff"]),
    pa.array([b"1", b"0", b"\xff"], pa.large_binary()),
    pa.array([b"1", b"0", b"\xff"], pa.binary_view()),
    pa.array([b"1", b"0", b"\xff"], pa.binary(1)),
    pa.array([bytes(16), bytes(range(16)), None], pa.uuid()),
    pa.array([bytes(16), bytes(range(16)), None], pa.binary(16)),
    *(
        pa.array([Decimal(1), Decimal(0), Decimal(-7)], kind)
        for kind in (pa.decimal128(5), pa.decimal128(5, 2), pa.decimal128(6), pa.decimal256(5))
    ),
    pa.array([DAY, None, dt.date(1969, 1, 1)], pa.date32()),
    pa.array([DAY, None, dt.date(1969, 1, 1)], pa.date64()),
    *(
        pa.array([1_000, 0, 7_000], kind)
        for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))
    ),
    *(pa.array([1, 0, -7], pa.timestamp(unit)) for unit in ("s", "us", "ns")),
    *(pa.array([1, 0, -7], pa.timestamp("ns", zone)) for zone in ("UTC", "America/New_York")),
    *(pa.array([1, 0, -7], pa.duration(unit)) for unit in ("s", "ns")),
    pa.nulls(3),
    pa.array([[1], [2], None]),
    pa.array([(1, 2, 3), None, (0, 0, 0)], pa.month_day_nano_interval()),
]


def rows_of(keys: pa.Array, time_ns: int, name: str) -> pa.RecordBatch:
    """A row for each key, all at one time, numbered."""
    times, numbers = pa.array([time_ns] * len(keys)), pa.array(range(len(keys)))
    return pa.RecordBatch.from_arrays([keys, times, numbers], names=["key", "event_ns", name])


def by_tables(left: pa.RecordBatch, right: pa.RecordBatch) -> list[Any] | str:
    """The numbers of the matched right rows, or why there are none."""
    try:
        return list(asof_join(left, {"quote": right}, by="key")["quote_row"].to_pylist())
    except ValueError as refused:
        return f"{REFUSED}: {refused}"


def by_streams(left: pa.RecordBatch, right: pa.RecordBatch) -> list[Any] | str:
    """The same from the streaming join."""
    try:
        join = StreamingAsof(
            AsofSettings(
                left=Stream(name="trade", schema=left.schema, key=("key",)),
                rights=(Stream(name="quote", schema=right.schema, key=("key",)),),
            )
        )
    except ValueError as refused:
        return f"{REFUSED}: {refused}"
    join.push("quote", right)
    join.push("trade", left)
    sealed = join.finish()
    assert sealed is not None
    return list(sealed.column("quote_row").to_pylist())


@pytest.mark.parametrize("left", COLUMNS, ids=lambda keys: str(keys.type))
def test_keys_of_two_types_are_equal_or_refused_alike_through_both_doors(left: pa.Array) -> None:
    for right in COLUMNS:
        sides = rows_of(left, 9, "number"), rows_of(right, 1, "row")
        tables, streams = by_tables(*sides), by_streams(*sides)
        pair = f"{left.type} beside {right.type}"
        if not isinstance(tables, str):
            assert tables == streams, pair
            continue
        assert streams[: len(REFUSED)] == REFUSED, f"{pair}: {streams}"
        if can_be_key(left.type) and can_be_key(right.type):
            for answer in (tables, str(streams)):
                assert str(left.type) in answer, pair
                assert str(right.type) in answer, pair


@pytest.mark.parametrize("keys", COLUMNS, ids=lambda keys: str(keys.type))
def test_a_key_that_is_no_null_is_equal_to_itself(keys: pa.Array) -> None:
    if not can_be_key(keys.type):
        return
    wanted = [None if key is None else row for row, key in enumerate(keys.to_pylist())]
    wanted = [row if row is None else last_of(keys, row) for row in wanted]
    sides = rows_of(keys, 9, "number"), rows_of(keys, 1, "row")
    assert by_tables(*sides) == by_streams(*sides) == wanted


def last_of(keys: pa.Array, row: int) -> int:
    """The last row with the key of this one; NaN is one key, and so is zero."""
    texts = [repr(key).replace("-0.0", "0.0") for key in keys.to_pylist()]
    return max(other for other, text in enumerate(texts) if text == texts[row])


PARTS: Final = ["", "a", ":", "\\", "a:", ":a", "\\:", "a\\", "\\\\", "OTC:US", "US:ABC"]


def test_keys_of_two_columns_are_equal_where_both_parts_are_and_nowhere_else() -> None:
    parts = list(itertools.product(PARTS, PARTS))
    columns = {"venue": [venue for venue, _ in parts], "symbol": [symbol for _, symbol in parts]}
    left = pa.record_batch({**columns, "event_ns": [9] * len(parts)})
    right = pa.record_batch({**columns, "event_ns": [1] * len(parts), "row": range(len(parts))})
    by = ("venue", "symbol")
    streams = [Stream(name=n, schema=rows.schema, key=by) for n, rows in (("trade", left), ("quote", right))]
    join = StreamingAsof(AsofSettings(left=streams[0], rights=(streams[1],)))
    join.push("quote", right)
    join.push("trade", left)
    sealed = join.finish()
    assert sealed is not None
    assert sealed.column("quote_row").to_pylist() == list(range(len(parts)))
    assert asof_join(left, {"quote": right}, by=by)["quote_row"].to_pylist() == list(range(len(parts)))


HELD: Final = [
    (pa.string_view(), pa.string(), ["a", None, "longer than twelve bytes"]),
    (pa.binary_view(), pa.binary(), [b"a", None, b"longer than twelve bytes"]),
    (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.string()), ["a", None, "b"]),
    (pa.dictionary(pa.uint16(), pa.int64()), pa.dictionary(pa.int32(), pa.int64()), [1, None, 2]),
    (pa.dictionary(pa.int64(), pa.float64()), pa.dictionary(pa.int64(), pa.float64()), [0.5, None, -0.0]),
    (pa.run_end_encoded(pa.int32(), pa.int64()), pa.int64(), [7, 7, None]),
]


@pytest.mark.parametrize(("kind", "held", "values"), HELD, ids=lambda part: str(part))
def test_views_narrow_dictionaries_and_runs_come_out_of_a_stream_as_types_that_can_be_put_together(
    kind: pa.DataType, held: pa.DataType, values: list[Any]
) -> None:
    if pa.types.is_run_end_encoded(kind):
        column = pc.run_end_encode(pa.array(values))
    elif pa.types.is_dictionary(kind):
        column = pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    else:
        column = pa.array(values, kind)
    times = pa.array([1, 2, 3])
    rows = pa.record_batch({"event_ns": times, "symbol": ["A"] * 3, "value": column})
    join = StreamingAsof(
        AsofSettings(
            left=Stream(name="trade", schema=rows.schema), rights=(Stream(name="quote", schema=rows.schema),)
        )
    )
    join.push("quote", rows)
    join.push("trade", rows)
    sealed = join.finish()
    assert sealed is not None
    for name in ("value", "quote_value"):
        assert sealed.column(name).type == held
        assert sealed.column(name).to_pylist() == values
    tables = asof_join(rows, {"quote": rows})
    assert tables["quote_value"].to_pylist() == values


def dictionary_parts(index: pa.DataType) -> list[pa.RecordBatch]:
    """300 rows, each with a dictionary of its own that holds one word."""
    kind = pa.dictionary(index, pa.string())
    return [
        pa.record_batch({"event_ns": [n], "symbol": ["A"], "venue": pa.array([f"v{n}"], kind)})
        for n in range(300)
    ]


@pytest.mark.parametrize("index", [pa.int8(), pa.uint8(), pa.int16(), pa.int32()], ids=str)
def test_dictionaries_of_many_pieces_keep_every_word_through_both_doors(index: pa.DataType) -> None:
    parts = dictionary_parts(index)
    table = pa.Table.from_batches(parts)
    joined = asof_join(table.select(["event_ns", "symbol"]), {"quote": table})
    words = [f"v{n}" for n in range(300)]
    fits = index not in (pa.int8(), pa.uint8())
    assert joined["quote_venue"].type == pa.dictionary(index if fits else pa.int32(), pa.string())
    assert joined["quote_venue"].to_pylist() == words
    by_word = asof_join(table, {"quote": table.append_column("row", pa.array(range(300)))}, by="venue")
    assert by_word["quote_row"].to_pylist() == list(range(300))
    stream = Stream(name="quote", schema=parts[0].schema)
    join = StreamingAsof(AsofSettings(left=Stream(name="trade", schema=parts[0].schema), rights=(stream,)))
    sealed = []
    for part in parts:
        join.push("quote", part)
        join.push("trade", part)
        sealed.append(join.seal())
    sealed.append(join.finish())
    rows = pa.Table.from_batches([part for part in sealed if part is not None])
    assert rows["venue"].to_pylist() == rows["quote_venue"].to_pylist() == words
