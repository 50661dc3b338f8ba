"""A column gives back what was put in, whatever its type, nulls, slices and the rows asked for."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from operators.rows.columns import ArrowColumn, BytesColumn, FixedColumn, make_column
from operators.rows.packing import pack_rows, unpack_rows

TYPES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int8(), [1, -2, 3]),
    (pa.uint16(), [1, 2, 3]),
    (pa.float32(), [0.5, -1.5, 2.0]),
    (pa.float64(), [0.5, float("inf"), 2.0]),
    (pa.bool_(), [True, False, True]),
    (pa.date32(), [1, 2, 3]),
    (pa.timestamp("ns", "UTC"), [1, 2, 3]),
    (pa.decimal128(9, 2), [Decimal("1.25"), Decimal("-3.50"), Decimal("0.00")]),
    (pa.decimal256(50, 2), [Decimal("1.25"), Decimal("-3.50"), Decimal("0.00")]),
    (pa.binary(3), [b"abc", b"\0\0\0", b"xyz"]),
    (pa.string(), ["", "é", "longer"]),
    (pa.large_string(), ["", "é", "longer"]),
    (pa.binary(), [b"", b"\0", b"xyz"]),
    (pa.large_binary(), [b"", b"\0", b"xyz"]),
    (pa.null(), [None, None, None]),
    (pa.list_(pa.int32()), [[], [1], [2, None]]),
    (pa.struct([("a", pa.int8())]), [{"a": 1}, {"a": None}, {"a": 3}]),
    (pa.dictionary(pa.int8(), pa.string()), ["x", "y", "x"]),
]
every_type = pytest.mark.parametrize(("kind", "values"), TYPES, ids=[str(kind) for kind, _ in TYPES])


def pieces(kind: pa.DataType, values: list[Any]) -> list[pa.Array]:
    """The values without a null, with nulls, as a slice that begins inside a byte, and nothing at all."""
    some = [*values, None, values[0], None]
    return [pa.array(values, kind), pa.array(some, kind), pa.array(some * 3, kind)[3:14], pa.array([], kind)]


@every_type
def test_rows_come_back_as_they_were(kind: pa.DataType, values: list[Any]) -> None:
    column, expected = make_column(kind), []
    for piece in pieces(kind, values):
        column.append(piece)
        expected += piece.to_pylist()
    rows = np.array([*range(len(expected)), 0, 5, 5], np.int64)
    answer = column.gather(rows, None)
    answer.validate(full=True)
    assert answer.type == kind
    assert answer.to_pylist() == [expected[row] for row in rows]
    assert column.has_value(rows).tolist() == [expected[row] is not None for row in rows]


@every_type
def test_absent_rows_are_null(kind: pa.DataType, values: list[Any]) -> None:
    column = make_column(kind)
    rows = np.array([-1, 1, -1], np.int64)
    assert column.gather(rows[:1], rows[:1] >= 0).to_pylist() == [None]
    column.append(pa.array(values, kind))
    expected = pa.array([None, values[1], None], kind)
    assert column.gather(rows, rows >= 0).to_pylist() == expected.to_pylist()


@every_type
def test_kept_rows_are_numbered_anew(kind: pa.DataType, values: list[Any]) -> None:
    column = make_column(kind)
    column.append(pa.array([*values, None], kind))
    column.keep(np.array([1, 3]))
    column.append(pa.array(values[:1], kind))
    expected = pa.array([values[1], None, values[0]], kind)
    assert column.gather(np.arange(3), None).to_pylist() == expected.to_pylist()
    column.keep(np.array([], np.int64))
    column.append(pa.array(values, kind))
    assert column.gather(np.arange(3), None).to_pylist() == pa.array(values, kind).to_pylist()


@every_type
def test_packed_rows_unpack_to_the_same(kind: pa.DataType, values: list[Any]) -> None:
    rows = pa.record_batch([pa.array([*values, None, *values], kind)], names=["c"])
    packed = pack_rows(rows, np.array([0, 2, 2, 5, 7]))
    unpacked, counts = unpack_rows(rows.schema, packed)
    unpacked.validate(full=True)
    assert counts.tolist() == [2, 0, 3, 2]
    assert unpacked.to_pylist() == rows.to_pylist()


def test_plain_types_are_held_in_plain_buffers() -> None:
    assert isinstance(make_column(pa.decimal128(38, 10)), FixedColumn)
    assert isinstance(make_column(pa.string()), BytesColumn)
    assert isinstance(make_column(pa.list_(pa.int8())), ArrowColumn)


def test_bytes_under_a_null_do_not_reach_the_output() -> None:
    secret = pa.Array.from_buffers(
        pa.int64(), 2, [pa.py_buffer(b"\1"), pa.py_buffer(np.array([1, 99], np.int64))], 1
    )
    column = make_column(pa.int64())
    column.append(secret)
    held = column.gather(np.arange(2), None).buffers()[1]
    assert np.frombuffer(held, np.int64).tolist() == [1, 0]


def test_many_appends_keep_every_row() -> None:
    numbers, texts = make_column(pa.int64()), make_column(pa.string())
    for start in range(0, 5000, 500):
        part = range(start, start + 500)
        numbers.append(pa.array(part, pa.int64()))
        texts.append(pa.array([str(i) for i in part]))
    rows = np.arange(5000)
    assert numbers.gather(rows, None).to_pylist() == list(range(5000))
    assert texts.gather(rows, None).to_pylist() == [str(i) for i in range(5000)]
    assert numbers.size == 40_000


def test_a_dictionary_forgets_the_words_that_no_row_has_any_more() -> None:
    column = make_column(pa.dictionary(pa.int32(), pa.string()))
    for start in range(0, 50_000, 500):
        column.append(pa.array([f"word {i}" for i in range(start, start + 500)]).dictionary_encode())
        rows = np.arange(min(start + 500, 700))
        column.keep(rows[-200:])
    answer = column.gather(np.arange(200), None)
    assert answer.to_pylist() == [f"word {i}" for i in range(49_800, 50_000)]
    assert len(answer.dictionary) <= 2_000
    assert column.size < 50_000
