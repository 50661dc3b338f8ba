"""Hypothesis draws rows of every type that an Avro record carries."""

from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from topics.avro.arrow_types import is_list

Draw = Callable[[st.SearchStrategy[Any]], Any]

WHOLE_TYPES = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(),
]  # fmt: skip
TIME_TYPES = [
    pa.date32(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"),
    pa.duration("ns"), pa.duration("s"), pa.timestamp("s"), pa.timestamp("ms", tz="UTC"), pa.timestamp("us"),
    pa.timestamp("ns", tz="UTC"), pa.timestamp("us", tz="America/New_York"),
]  # fmt: skip
OTHER_TYPES = [
    pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string(), pa.binary(), pa.large_binary(),
    pa.binary(3), pa.decimal128(10, 4), pa.decimal128(38, 0), pa.decimal128(3, 3),
]  # fmt: skip
PLAIN_TYPES = [*WHOLE_TYPES, *TIME_TYPES, *OTHER_TYPES]
LIST_TYPES = [
    kind(pa.field("item", plain, nullable=nullable))
    for plain in PLAIN_TYPES
    for kind, nullable in ((pa.list_, True), (pa.list_, False), (pa.large_list, True))
]


def values_of(plain: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of an Arrow type, the extremes among them."""
    if is_list(plain):
        items = values_of(plain.value_type)
        return st.lists(st.none() | items if plain.value_field.nullable else items, max_size=4)
    if pa.types.is_integer(plain):
        signed = pa.types.is_signed_integer(plain)
        upper = 2 ** (plain.bit_width - signed) - 1
        return st.integers(-upper - 1 if signed else 0, upper)
    if pa.types.is_time(plain):
        return st.integers(0, {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[plain.unit] * 86_400 - 1)
    if pa.types.is_date(plain):
        return st.integers(-(2**31), 2**31 - 1)
    if pa.types.is_temporal(plain):
        return st.integers(-(2**63), 2**63 - 1)
    if pa.types.is_decimal(plain):
        limit = 10**plain.precision - 1
        return st.integers(-limit, limit).map(lambda n: Decimal((n < 0, _digits(n), -plain.scale)))
    if pa.types.is_fixed_size_binary(plain):
        return st.binary(min_size=plain.byte_width, max_size=plain.byte_width)
    if pa.types.is_floating(plain):
        return st.floats(width=plain.bit_width, allow_nan=False)
    if pa.types.is_boolean(plain):
        return st.booleans()
    if pa.types.is_binary(plain) or pa.types.is_large_binary(plain):
        return st.binary(max_size=20)
    return st.text(max_size=20)


def _digits(number: int) -> tuple[int, ...]:
    return tuple(int(digit) for digit in str(abs(number)))


def column(values: list[Any], plain: pa.DataType) -> pa.Array:
    """Make an Arrow column; whole numbers stand for times and dates."""
    if is_list(plain):
        items = column([item for value in values for item in value or ()], plain.value_type)
        ends = accumulate((len(value or ()) for value in values), initial=0)
        offsets = pa.array(ends, pa.int64() if pa.types.is_large_list(plain) else pa.int32())
        kind = pa.LargeListArray if pa.types.is_large_list(plain) else pa.ListArray
        nulls = pa.array([value is None for value in values])
        return kind.from_arrays(offsets, items, type=plain, mask=nulls)
    if pa.types.is_temporal(plain):
        bits = pa.int32() if plain.bit_width == 32 else pa.int64()
        return pa.array(values, type=bits).view(plain)
    return pa.array(values, type=plain)


@st.composite
def batches(draw: Draw, rows_max: int = 12) -> pa.RecordBatch:
    """Rows with `event_ns`, `symbol` and up to five columns of any type, nullable or not."""
    rows = draw(st.integers(1, rows_max))
    fields = [pa.field("event_ns", pa.int64(), nullable=draw(st.booleans())), pa.field("symbol", pa.string())]
    for number, plain in enumerate(
        draw(st.lists(st.sampled_from(PLAIN_TYPES) | st.sampled_from(LIST_TYPES), max_size=5))
    ):
        fields.append(pa.field(f"c{number}", plain, nullable=draw(st.booleans())))
    arrays = []
    for field in fields:
        values = values_of(field.type)
        if field.nullable and field.name != "event_ns":
            values = st.none() | values
        arrays.append(column(draw(st.lists(values, min_size=rows, max_size=rows)), field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
