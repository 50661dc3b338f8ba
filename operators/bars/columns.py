"""The columns of bars, from the rows of the kernel's output."""

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import types

from operators.bars import words as at
from operators.bars.words import REASONS, Closed
from operators.rows.groups import Groups
from schemas.batch import Bools, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

NOTIONAL_TYPE: Final = pa.decimal128(38, 0)
PRICES: Final = ("open", "high", "low", "close")
OF_CLOSED: Final = frozenset(
    {EVENT_NS, "end_ns", "close_reason", "empty", "partial", LEFT_OFFSET, LEFT_INDEX}
)
INT64: Final = pa.int64()
SHORT: Final = 1 << 16
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
    threshold = out[at.REASON] == at.THRESHOLD
    end_ns, known_ns = out[at.END], out[at.KNOWN_TIME]
    if not threshold.all():
        later_ns = end_ns + known_after_ns
        by_time = np.where(empty, later_ns, np.maximum(known_ns, later_ns))
        known_ns = np.where(threshold, known_ns, by_time)
    numbers = closed.ints if whole else closed.floats
    number_type = pa.int64() if whole else pa.float64()
    sides = unknown if sided else np.ones_like(unknown)
    columns = {
        EVENT_NS: _array(end_ns),
        KNOWN_NS: _array(known_ns),
        "start_ns": _array(out[at.BEGIN]),
        "end_ns": _array(end_ns),
        "bar_no": _array(out[at.BAR_NO]),
        "first_event_ns": _array(out[at.FIRST_EVENT], empty),
        "last_event_ns": _array(out[at.LAST_EVENT], empty),
        **{name: _array(numbers[at.PRICES + place], of=number_type) for place, name in enumerate(PRICES)},
        "volume": _array(numbers[at.VOLUME_OF], unknown, number_type),
        "notional": _notional(closed, unknown, whole=whole),
        "vwap": _array(closed.floats[at.VWAP], unknown | empty, pa.float64()),
        "count": _array(out[at.TRADES]),
        "buy_volume": _array(numbers[at.BUY_OF], sides, number_type),
        "sell_volume": _array(numbers[at.SELL_OF], sides, number_type),
        "close_reason": _reasons(out[at.REASON]),
        "empty": pa.array(empty),
        "partial": pa.array(out[at.PARTIAL] != 0),
        LEFT_OFFSET: _array(out[at.LEFT_AT]),
        LEFT_INDEX: _array(out[at.LEFT_ROW].astype(np.int32), of=pa.int32()),
    }
    own = layout.names[len(keys) :]
    aggregates = (out.shape[0] - at.COLUMNS) // 2
    for place, name in enumerate(own[len(own) - aggregates :]):
        column = at.COLUMNS + 2 * place
        kind = layout.field(name).type
        values = out[column] if kind == pa.int64() else closed.floats[column]
        columns[name] = _array(values, out[column + 1] == 0, kind)
    if EVENT_NS not in own:  # on the clock that rows are in order of, a bar has the time of its end
        columns[KNOWN_NS] = columns["end_ns"]
    return pa.RecordBatch.from_arrays([*keys, *(columns[name] for name in own)], schema=layout)


def as_open(rows: pa.RecordBatch, ends_ns: Int64s) -> pa.RecordBatch:
    """Bars as open ones: without what only a closed one has, and behind their start when time ends them.

    `ends_ns` is null where no time does.
    """
    left = [name for name in rows.schema.names if name not in OF_CLOSED]
    behind = left.index("start_ns") + 1
    ends = pa.array(ends_ns, mask=ends_ns == at.NEVER)
    columns = [rows.column(name) for name in left]
    return pa.RecordBatch.from_arrays(
        [*columns[:behind], ends, *columns[behind:]], names=[*left[:behind], "ends_ns", *left[behind:]]
    )


def _array(values: npt.NDArray[Any], null: Bools | None = None, of: pa.DataType = INT64) -> pa.Array:
    """The values without a copy, and without one where they are null."""
    nulls = 0 if null is None else int(np.count_nonzero(null))
    valid = pa.py_buffer(np.packbits(~null, bitorder="little")) if null is not None and nulls else None
    return pa.Array.from_buffers(of, values.size, [valid, pa.py_buffer(values)], nulls)


def _reasons(reason: Int64s) -> pa.Array:
    if reason.size and (reason == reason[0]).all():
        return pa.repeat(REASONS[reason[0]], reason.size)
    return pa.array(REASONS).take(pa.array(reason))


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
        return _array(closed.floats[at.NOTIONAL_OF], unknown, pa.float64())
    halves = np.stack([closed.ints[at.NOTIONAL_OF], closed.ints[at.NOTIONAL_HIGH_OF]], axis=1)
    valid = None if not unknown.any() else pa.array(~unknown).buffers()[1]
    data = pa.py_buffer(np.ascontiguousarray(halves))
    return pa.Array.from_buffers(NOTIONAL_TYPE, unknown.size, [valid, data])


class KeyColumns:
    """The columns of the key of every symbol that there is, made of its text once."""

    def __init__(self, groups: Groups, fields: Sequence[pa.Field]) -> None:
        self._groups = groups
        self._fields = fields
        self._known = 0
        self._columns: list[pa.Array] = []

    def of(self, group: Int64s) -> list[pa.Array]:
        """The columns of these symbols' keys, a row each."""
        if len(self._groups) > self._known or not self._columns:
            self._known = len(self._groups)
            keys = self._groups.keys(np.arange(self._known, dtype=np.int32))
            self._columns = key_columns(keys, [field.with_type(_plain(field.type)) for field in self._fields])
        rows = pa.array(group)
        return [
            _of_words(column.take(rows), field.type)
            for column, field in zip(self._columns, self._fields, strict=True)
        ]


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
    out = closed.ints[:, :bars]
    by, first = out[at.CLOSED_BY], out[at.CLOSED_BY].min()
    if (out[at.REASON] == at.THRESHOLD).all() and by.max() - first < SHORT:
        # These end with the row that closes them, and rows are in order: short numbers are sorted in one go.
        order: Int64s = np.argsort((by - first).astype(np.uint16), kind="stable")
    else:
        order = np.lexsort((by, out[at.END]))
    ints = out.take(order, axis=1)
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
    plain = _plain(kind)
    return _of_words(parts if types.is_binary(plain) else parts.cast(pa.string()).cast(plain), kind)


def _of_words(words: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same values, with numbers for words where the type has these."""
    if not types.is_dictionary(kind):
        return words
    encoded = words.dictionary_encode()
    indices = encoded.indices.cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary, ordered=kind.ordered)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if types.is_dictionary(kind) else kind
