"""The columns of bars, from the rows of the kernel's output."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import types

from operators.bars import words as at
from operators.bars.words import REASONS, Closed
from schemas.batch import Bools, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

NOTIONAL_TYPE: Final = pa.decimal128(38, 0)
PRICES: Final = ("open", "high", "low", "close")
_PART: Final = re.compile(rb"(?:[^:\\]|\\.)*", re.DOTALL)


def key_type_fits(kind: pa.DataType) -> bool:
    """Whether a column of a key can be made of its text again."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    of_text = types.is_string(kind) or types.is_large_string(kind)
    return bool(of_text or types.is_binary(kind) or types.is_integer(kind) or types.is_boolean(kind))


def bar_fields(clock: Clock, *, whole: bool) -> list[pa.Field]:
    """The columns of bars behind those of the key; prices and sizes are whole numbers with `whole`."""
    price = pa.int64() if whole else pa.float64()
    instants = [EVENT_NS, KNOWN_NS] if clock == "event" else [KNOWN_NS]
    certain = [
        *(pa.field(name, pa.int64(), nullable=False) for name in instants),
        pa.field("start_ns", pa.int64(), nullable=False),
        pa.field("end_ns", pa.int64(), nullable=False),
        pa.field("bar_no", pa.int64(), nullable=False),
    ]
    values = [
        pa.field("first_event_ns", pa.int64()),
        pa.field("last_event_ns", pa.int64()),
        *(pa.field(name, price) for name in PRICES),
        pa.field("volume", price),
        pa.field("notional", NOTIONAL_TYPE if whole else pa.float64()),
        pa.field("vwap", pa.float64()),
        pa.field("count", pa.int64()),
        pa.field("buy_volume", price),
        pa.field("sell_volume", price),
    ]
    ends = [
        pa.field("close_reason", pa.string(), nullable=False),
        pa.field("empty", pa.bool_(), nullable=False),
        pa.field("partial", pa.bool_(), nullable=False),
        pa.field(LEFT_OFFSET, pa.int64(), nullable=False),
        pa.field(LEFT_INDEX, pa.int32(), nullable=False),
    ]
    return [*certain, *values, *ends]


def bar_batch(
    layout: pa.Schema,
    keys: Sequence[pa.Array],
    closed: Closed,
    known_after_ns: int,
    *,
    whole: bool,
    sided: bool,
) -> pa.RecordBatch:
    """Bars as a batch: `keys` are the columns of the key, `closed` the bars in order.

    `known_after_ns` is how long after its end a bar that no trade closed can be known; without `sided` nobody
    knows which trades were buys.
    """
    out = closed.ints
    empty = out[at.TRADES] == 0
    unknown = out[at.OVERFLOW] != 0
    end_ns = out[at.END]
    known_ns = np.maximum(out[at.KNOWN_TIME], end_ns + known_after_ns)
    known_ns = np.where(out[at.REASON] == at.THRESHOLD, out[at.KNOWN_TIME], known_ns)
    timed = empty & (out[at.REASON] != at.THRESHOLD)
    known_ns[timed] = end_ns[timed] + known_after_ns
    numbers = closed.ints if whole else closed.floats
    columns = {
        EVENT_NS: pa.array(end_ns),
        KNOWN_NS: pa.array(known_ns),
        "start_ns": pa.array(out[at.BEGIN]),
        "end_ns": pa.array(end_ns),
        "bar_no": pa.array(out[at.BAR_NO]),
        "first_event_ns": pa.array(out[at.FIRST_EVENT], mask=empty),
        "last_event_ns": pa.array(out[at.LAST_EVENT], mask=empty),
        **{name: pa.array(numbers[at.PRICES + place]) for place, name in enumerate(PRICES)},
        "volume": pa.array(numbers[at.VOLUME_OF], mask=unknown),
        "notional": _notional(closed, unknown, whole=whole),
        "vwap": pa.array(closed.floats[at.VWAP], mask=unknown | empty),
        "count": pa.array(out[at.TRADES]),
        "buy_volume": pa.array(numbers[at.BUY_OF], mask=unknown | np.bool_(not sided)),
        "sell_volume": pa.array(numbers[at.SELL_OF], mask=unknown | np.bool_(not sided)),
        "close_reason": pa.array(REASONS).take(pa.array(out[at.REASON])),
        "empty": pa.array(empty),
        "partial": pa.array(out[at.PARTIAL] != 0),
        LEFT_OFFSET: pa.array(out[at.LEFT_AT]),
        LEFT_INDEX: pa.array(out[at.LEFT_ROW].astype(np.int32)),
    }
    own = layout.names[len(keys) :]
    aggregates = (out.shape[0] - at.COLUMNS) // 2
    for place, name in enumerate(own[len(own) - aggregates :]):
        column = at.COLUMNS + 2 * place
        is_count = layout.field(name).type == pa.int64()
        values = out[column] if is_count else closed.floats[column]
        columns[name] = pa.array(values, mask=out[column + 1] == 0)
    if EVENT_NS not in own:  # on the clock that rows are in order of, a bar has the time of its end
        columns[KNOWN_NS] = pa.array(end_ns)
    return pa.RecordBatch.from_arrays([*keys, *(columns[name] for name in own)], schema=layout)


def bar_parts(rows: pa.RecordBatch, *, whole: bool) -> npt.NDArray[np.int64]:
    """What the kernel reads of rows that are bars (`words.PARTS`); nulls are 0."""
    parts = np.zeros((at.PARTS, rows.num_rows), np.int64)
    numbers = parts if whole else parts.view(np.float64)
    columns = {
        "open": at.PART_OPEN,
        "high": at.PART_HIGH,
        "low": at.PART_LOW,
        "buy_volume": at.PART_BUY,
        "sell_volume": at.PART_SELL,
    }
    for name, place in columns.items():
        numbers[place] = _numbers(rows.column(name))
    for name, place in (("count", at.PART_COUNT), ("first_event_ns", at.PART_FIRST)):
        parts[place] = _numbers(rows.column(name))
    notional = rows.column("notional")
    if whole:
        halves = np.frombuffer(notional.buffers()[1], np.int64)[2 * notional.offset :][: 2 * len(notional)]
        parts[at.PART_NOTIONAL], parts[at.PART_NOTIONAL_HIGH] = halves[::2], halves[1::2]
    else:
        numbers[at.PART_NOTIONAL] = _numbers(notional)
    null = np.asarray(rows.column("volume").is_null().to_numpy(zero_copy_only=False), np.bool_)
    parts[at.PART_TOO_LARGE] = null
    parts[at.PART_NOTIONAL_HIGH : at.PART_COUNT, null] = 0
    return parts


def _numbers(column: pa.Array) -> npt.NDArray[np.generic]:
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False))


def _notional(closed: Closed, unknown: Bools, *, whole: bool) -> pa.Array:
    if not whole:
        return pa.array(closed.floats[at.NOTIONAL_OF], mask=unknown)
    halves = np.stack([closed.ints[at.NOTIONAL_OF], closed.ints[at.NOTIONAL_HIGH_OF]], axis=1)
    valid = None if not unknown.any() else pa.array(~unknown).buffers()[1]
    data = pa.py_buffer(np.ascontiguousarray(halves))
    return pa.Array.from_buffers(NOTIONAL_TYPE, unknown.size, [valid, data])


def key_columns(keys: pa.BinaryArray, fields: Sequence[pa.Field]) -> list[pa.Array]:
    """The columns of a key, of its text: the other way of `schemas.stream.message_keys`."""
    if len(fields) == 1:
        return [_of_text(keys, fields[0].type)]
    split = [_parts(key) for key in keys.to_pylist()]
    return [
        _of_text(pa.array([parts[number] for parts in split], pa.binary()), field.type)
        for number, field in enumerate(fields)
    ]


def in_order(closed: Closed, bars: int) -> Closed:
    """The first so many bars in order of their end, and of the row that closed them."""
    order: Int64s = np.lexsort((closed.ints[at.CLOSED_BY, :bars], closed.ints[at.END, :bars]))
    ints = np.ascontiguousarray(closed.ints[:, :bars][:, order])
    return Closed(ints, ints.view(np.float64))


def _parts(key: bytes) -> list[bytes]:
    parts, at_byte = [], 0
    while True:
        match = _PART.match(key, at_byte)
        assert match is not None, "a part may be empty"
        parts.append(re.sub(rb"\\(.)", rb"\1", match[0], flags=re.DOTALL))
        at_byte = match.end() + 1
        if at_byte > len(key):
            return parts


def _of_text(parts: pa.BinaryArray, kind: pa.DataType) -> pa.Array:
    if types.is_dictionary(kind):
        words = _of_text(parts, kind.value_type).dictionary_encode()
        indices = words.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, words.dictionary, ordered=kind.ordered)
    if types.is_binary(kind):
        return parts
    return parts.cast(pa.string()).cast(kind)
