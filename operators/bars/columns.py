"""The columns of bars, from the rows of the kernel's output."""

import re
from collections.abc import Sequence
from functools import lru_cache
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
    out, block = closed.ints, _Block(closed.ints)
    empty = _where(out[at.TRADES] == 0)
    unknown = _where(out[at.OVERFLOW] != 0)
    threshold = out[at.REASON] == at.THRESHOLD
    end_ns = block.of(at.END)
    known_ns = block.of(at.KNOWN_TIME)
    if not threshold.all():
        later_ns = out[at.END] + known_after_ns
        by_time = np.maximum(out[at.KNOWN_TIME], later_ns)
        if empty is not None:
            by_time[empty] = later_ns[empty]
        known_ns = _array(np.where(threshold, out[at.KNOWN_TIME], by_time))
    kind = pa.int64() if whole else pa.float64()
    sides = unknown if sided else np.ones(out.shape[1], np.bool_)
    columns = {
        EVENT_NS: end_ns,
        KNOWN_NS: known_ns,
        "start_ns": block.of(at.BEGIN),
        "end_ns": end_ns,
        "bar_no": block.of(at.BAR_NO),
        "first_event_ns": block.of(at.FIRST_EVENT, empty),
        "last_event_ns": block.of(at.LAST_EVENT, empty),
        **{name: block.of(at.PRICES + place, of=kind) for place, name in enumerate(PRICES)},
        "volume": block.of(at.VOLUME_OF, unknown, kind),
        "notional": _notional(block, unknown) if whole else block.of(at.NOTIONAL_OF, unknown, kind),
        "vwap": block.of(at.VWAP, _either(unknown, empty), pa.float64()),
        "count": block.of(at.TRADES),
        "buy_volume": block.of(at.BUY_OF, sides, kind),
        "sell_volume": block.of(at.SELL_OF, sides, kind),
        "close_reason": _reasons(out[at.REASON]),
        "empty": _flags(empty, out.shape[1]),
        "partial": _flags(_where(out[at.PARTIAL] != 0), out.shape[1]),
        LEFT_OFFSET: block.of(at.LEFT_AT),
        LEFT_INDEX: _array(out[at.LEFT_ROW].astype(np.int32), of=pa.int32()),
    }
    own = layout.names[len(keys) :]
    aggregates = (out.shape[0] - at.COLUMNS) // 2
    for place, name in enumerate(own[len(own) - aggregates :]):
        column = at.COLUMNS + 2 * place
        columns[name] = block.of(column, _where(out[column + 1] == 0), layout.field(name).type)
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


class _Block:
    """Columns of 8 bytes a value, side by side in memory, as Arrow's without a copy."""

    def __init__(self, values: npt.NDArray[np.int64]) -> None:
        self.values = values
        self._memory = pa.py_buffer(values)
        self._size = 8 * values.shape[1]

    def of(self, place: int, null: Bools | None = None, of: pa.DataType = INT64) -> pa.Array:
        """One of the columns, and where it is null; None for nowhere."""
        data = self._memory.slice(place * self._size, self._size)
        return _of_memory(data, self.values.shape[1], null, of)


def _array(values: npt.NDArray[Any], of: pa.DataType = INT64) -> pa.Array:
    """The values without a copy."""
    return _of_memory(pa.py_buffer(values), values.size, None, of)


def _of_memory(data: pa.Buffer, count: int, null: Bools | None, of: pa.DataType) -> pa.Array:
    if null is None:
        return pa.Array.from_buffers(of, count, [None, data], 0)
    valid = pa.py_buffer(np.packbits(~null, bitorder="little"))
    return pa.Array.from_buffers(of, count, [valid, data])


def _where(flags: Bools) -> Bools | None:
    """Where it is so; None for nowhere."""
    return flags if flags.any() else None


def _either(one: Bools | None, other: Bools | None) -> Bools | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _flags(flags: Bools | None, count: int) -> pa.Array:
    bits = np.zeros((count + 7) // 8, np.uint8) if flags is None else np.packbits(flags, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(bits)], 0)


def _reasons(reason: Int64s) -> pa.Array:
    if reason.size and (reason == reason[0]).all():
        return _repeated(int(reason[0]), 1 << int(reason.size).bit_length()).slice(0, reason.size)
    return pa.array(REASONS).take(pa.array(reason))


@lru_cache(maxsize=64)
def _repeated(reason: int, count: int) -> pa.Array:
    return pa.repeat(REASONS[reason], count)


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


def _notional(block: _Block, unknown: Bools | None) -> pa.Array:
    halves = np.empty((block.values.shape[1], 2), np.int64)
    halves[:, 0], halves[:, 1] = block.values[at.NOTIONAL_OF], block.values[at.NOTIONAL_HIGH_OF]
    return _of_memory(pa.py_buffer(halves), halves.shape[0], unknown, NOTIONAL_TYPE)


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
        rows = _array(group)
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
    by, end = out[at.CLOSED_BY], out[at.END]
    if (by[1:] >= by[:-1]).all() and (end[1:] >= end[:-1]).all():  # trades closed them all, one after another
        ints = out.copy()
    else:
        ints = out.take(np.lexsort((by, end)), axis=1)
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
