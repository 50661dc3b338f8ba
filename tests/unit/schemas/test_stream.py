"""One rule turns values into message keys, for every type that can be a key, and the others are refused."""

from datetime import date
from decimal import Decimal
from itertools import product

import pyarrow as pa
import pytest

from schemas.key_types import can_be_key
from schemas.stream import Stream, StreamError, is_key_of, message_keys, plain_keys

TEXTS: dict[str, tuple[pa.Array, list[bytes | None]]] = {
    "bool": (pa.array([True, False, None]), [b"true", b"false", None]),
    "integer": (pa.array([-5, 7], pa.int8()), [b"-5", b"7"]),
    "unsigned": (pa.array([2**63 + 1], pa.uint64()), [b"9223372036854775809"]),
    "float": (pa.array([1.0, 0.1, -0.0, 0.0]), [b"1", b"0.1", b"0", b"0"]),
    "float32": (pa.array([0.1], pa.float32()), [b"0.1"]),
    "half float": (pa.array([1.5, -0.0], pa.float16()), [b"1.5", b"0"]),
    "uuid": (pa.array([bytes(range(16))], pa.uuid()), [bytes(range(16))]),
    "decimal": (pa.array([Decimal("1.50")], pa.decimal128(10, 2)), [b"1.50"]),
    "date": (pa.array([date(2024, 1, 15)]), [b"2024-01-15"]),
    "time": (pa.array([1], pa.time64("ns")), [b"00:00:00.000000001"]),
    "timestamp": (pa.array([1], pa.timestamp("us", "UTC")), [b"1970-01-01 00:00:00.000001Z"]),
    "duration": (pa.array([1], pa.duration("ns")), [b"1"]),
    "text": (pa.array(["é", None]), ["é".encode(), None]),
    "large text": (pa.array(["a"], pa.large_string()), [b"a"]),
    "text view": (pa.array(["a"], pa.string_view()), [b"a"]),
    "binary": (pa.array([b"\xff"]), [b"\xff"]),
    "fixed binary": (pa.array([b"\xff\0"], pa.binary(2)), [b"\xff\0"]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), [b"a", None, b"a"]),
    "dictionary of binary": (pa.array([b"\xff"]).dictionary_encode(), [b"\xff"]),
    "dictionary of numbers": (pa.array([3.0, 4.5]).dictionary_encode(), [b"3", b"4.5"]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_type_that_can_be_a_key_has_one_text(name: str) -> None:
    column, texts = TEXTS[name]
    rows = pa.RecordBatch.from_arrays([column], ["key"])
    assert can_be_key(column.type)
    keys = message_keys(rows, ("key",))
    assert keys.type == pa.binary()
    assert keys.to_pylist() == texts
    assert message_keys(pa.Table.from_batches([rows, rows]), ("key",)).to_pylist() == texts * 2


def test_several_columns_are_joined_by_a_colon_and_a_null_in_any_is_no_key() -> None:
    rows = pa.RecordBatch.from_pydict({"venue": ["spot", None, "spot"], "lot": [1.0, 2.0, None]})
    assert message_keys(rows, ("venue", "lot")).to_pylist() == [b"spot:1", None, None]


def test_without_key_columns_every_row_has_the_empty_key() -> None:
    assert message_keys(pa.RecordBatch.from_pydict({"x": [1, 2]}), ()).to_pylist() == [b"", b""]


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.int64()), pa.struct([("x", pa.int64())]), pa.fixed_shape_tensor(pa.int8(), [2])],
    ids=str,
)
def test_a_column_without_a_text_cannot_be_a_key(kind: pa.DataType) -> None:
    assert not can_be_key(kind)
    schema = pa.schema([("event_ns", pa.int64()), ("legs", kind)])
    with pytest.raises(StreamError, match=r"stream trade: column legs of type .* cannot be a key"):
        Stream(name="trade", schema=schema, key=("legs",))


PARTS = ["", "a", ":", "\\", "a:b", "\\:", "a\\", "é"]


def test_no_two_rows_with_other_parts_have_one_key() -> None:
    for columns in (2, 3):
        rows = list(product(PARTS, repeat=columns))
        names = tuple("abc"[:columns])
        table = pa.Table.from_pydict({name: [row[at] for row in rows] for at, name in enumerate(names)})
        keys = message_keys(table, names).to_pylist()
        assert len(set(keys)) == len(rows)
        assert all(is_key_of(key, columns) for key in keys)
        assert not any(is_key_of(key, columns + 1) for key in keys)


def test_a_sign_inside_a_part_of_several_has_an_escape_before_it_and_a_single_part_none() -> None:
    rows = pa.RecordBatch.from_pydict({"venue": ["OTC:US", "OTC", "a\\"], "symbol": ["ABC", "US:ABC", "b"]})
    assert message_keys(rows, ("venue", "symbol")).to_pylist() == [
        b"OTC\\:US:ABC",
        b"OTC:US\\:ABC",
        b"a\\\\:b",
    ]
    assert message_keys(rows, ("venue",)).to_pylist() == [b"OTC:US", b"OTC", b"a\\"]


@pytest.mark.parametrize(
    ("keys", "columns", "plain"),
    [
        ([b"spot:BTC", b":", b"a:"], 2, True),
        ([b"a:b:c", b"::"], 3, True),
        ([], 2, True),
        ([b"spot:BTC", b"OTC:US:ABC"], 2, False),
        ([b"spot:BTC", b"BTC"], 2, False),
        ([b"a:b:c", b"d"], 2, False),
        ([b""], 2, False),
        ([b"a\\:b"], 2, False),
    ],
)
def test_a_plain_key_has_one_sign_less_than_columns_and_no_escape(
    keys: list[bytes], columns: int, plain: bool
) -> None:
    assert plain_keys(pa.array(keys, pa.binary()), columns).all() == plain
    assert plain_keys(pa.array([b"x:::", *keys], pa.binary())[1:], columns).all() == plain


def test_a_key_that_can_be_read_in_two_ways_is_no_key_of_two_columns() -> None:
    assert not is_key_of(b"OTC:US:ABC", 2)
    assert is_key_of(b"OTC:US:ABC", 3)
    assert is_key_of(b"OTC:US:ABC", 1)
    assert is_key_of(b"a\n:b", 2)
