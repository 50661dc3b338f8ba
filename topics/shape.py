"""Values become rows: which column is the time, which key a row has, and what of it cannot be a row.

By default a stream's values are its columns and the message key is the row's.  A `Shape` says what differs:
a clock in another form, a key taken from columns, a column taken from the message key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.batch import Batch, Bools, Int32s, Int64s
from schemas.clocks import NS_PER_MS, Clock
from schemas.stream import Stream, message_keys, plain_keys
from topics.block import MessageBlock
from topics.column_kernel import gather_bytes, number_keys, total_size
from topics.times import BEYOND_WORDS, TimeForm, to_ns
from topics.values import ValueDecoder, Values
from topics.wire import DeadRow, Decoded

NULL_KEY: Final = "null_key"  # the rule that a row without key breaks
_RECORD_MS_MAX: Final = (2**63 - 1) // NS_PER_MS


@dataclass(frozen=True, slots=True)
class TimeField:
    """A clock's times in the values: their column, their form, and the field's name for messages."""

    column: str
    form: TimeForm
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a stream's rows is not in its values under the same name.

    `times` says by clock column where its times are; None is the record's own time.  `key_from_columns` says
    that a row's key is made of its key columns, whatever key the message has.  `key_column` is the column
    that holds the message key's text, or None.  `checks_keys` says that a row is dead whose key columns make
    another key than its message has: it would be joined with rows of that one.  `casts` are columns that are
    int64 in the stream and another whole number in the values.
    """

    times: Mapping[str, TimeField | None] = field(default_factory=dict)
    key_from_columns: bool = False
    key_column: str | None = None
    checks_keys: bool = False
    casts: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether values are rows as they stand."""
        return not (self.times or self.key_from_columns or self.key_column or self.casts or self.checks_keys)


class Shaper:
    """Makes batches of one stream's values; made once per stream and used from one thread."""

    def __init__(self, stream: Stream, clock: Clock, shape: Shape | None = None) -> None:
        """Raise StreamError where the stream lacks the clock."""
        self._stream = stream
        self._clock = stream.require_clock(clock)
        self._shape = shape or Shape()

    @property
    def takes_null_keys(self) -> bool:
        """Whether a message without key can be rows."""
        return not self._stream.key or self._shape.key_from_columns

    def decoded(self, block: MessageBlock, values: Values) -> Decoded:
        """Return the rows of these values as a batch, with the progress records and all that is dead."""
        dead = list(values.dead)
        batch = None if values.columns is None else self._batch(block, values, values.columns, dead)
        if len(dead) > 1:
            # Rows of one message and reason are neighbours: they make one letter, however polls are cut.
            dead.sort(key=lambda row: (row.message, row.reason, row.index))
        progress = values.progress
        return Decoded(batch, sorted(progress, key=lambda record: record[0]) if progress else progress, dead)

    def _batch(
        self, block: MessageBlock, values: Values, columns: pa.RecordBatch, dead: list[DeadRow]
    ) -> Batch | None:
        rows = _Rows(block, np.repeat(values.message, values.rows_of), values.index, dead)
        code, keys = _number_keys(block, values.message, values.rows_of > 0)
        key_code = np.repeat(code, values.rows_of)
        if not self._shape.plain:
            columns = self._shaped(rows, columns, key_code, keys)
        if self._shape.key_from_columns:
            key_code, keys = self._keys_of(rows, columns)
        time_ns = self._times(rows, columns)
        if self._shape.checks_keys:
            self._require_keys(rows, columns, key_code, keys)
        if rows.good is not None and not rows.good.any():
            return None
        batch = Batch(
            columns,
            time_ns,
            self._sequence(columns),
            block.offset[rows.message],
            values.index,
            key_code,
            keys,
        )
        return batch if rows.good is None else batch.where(rows.good)

    def _shaped(
        self, rows: "_Rows", values: pa.RecordBatch, key_code: Int32s, keys: pa.BinaryArray
    ) -> pa.RecordBatch:
        """The stream's columns."""
        arrays = []
        for column in self._stream.schema:
            if column.name in self._shape.times:
                arrays.append(self._clock_times(rows, values, column.name))
            elif column.name == self._shape.key_column:
                arrays.append(_texts(rows, key_code, keys).cast(column.type))
            elif column.name in self._shape.casts:
                arrays.append(_whole(rows, values.column(column.name), column.name))
            else:
                arrays.append(values.column(column.name))
        return pa.RecordBatch.from_arrays(arrays, schema=self._stream.schema)

    def _clock_times(self, rows: "_Rows", values: pa.RecordBatch, clock: str) -> pa.Array:
        """The times of one clock as int64 ns, null where there is none; a row whose time is wrong is dead."""
        source = self._shape.times[clock]
        if source is None:
            return self._record_times(rows, clock)
        times = to_ns(values.column(source.column), source.form)
        if times.wrong.any():
            rows.refuse(times.wrong, lambda row: f"{clock}: {source.name} = {times.reason(row)}")
        return times.to_arrow()

    @staticmethod
    def _record_times(rows: "_Rows", clock: str) -> pa.Array:
        """The records' own times as int64 ns, null where an old producer gave none."""
        times_ms = rows.record_times_ms()
        beyond = times_ms > _RECORD_MS_MAX
        if beyond.any():
            rows.refuse(beyond, lambda row: f"{clock}: the record's time, {times_ms[row]} ms, {BEYOND_WORDS}")
        missing = times_ms < 0
        times_ns = np.where(beyond | missing, 0, times_ms) * NS_PER_MS
        return pa.array(times_ns, mask=missing) if missing.any() else pa.array(times_ns)

    def _times(self, rows: "_Rows", columns: pa.RecordBatch) -> Int64s:
        """The clock of the pipeline; a row without it is dead."""
        times = columns.column(self._clock)
        if times.null_count:
            recorded = self._clock in self._shape.times and self._shape.times[self._clock] is None
            why = f"no {self._clock}{': the record has no time' if recorded else ''}"
            rows.refuse(np.asarray(times.is_null()), lambda _: why)
        return _numbers(times)

    def _sequence(self, columns: pa.RecordBatch) -> Int64s:
        if self._stream.sequence is None:
            return np.zeros(columns.num_rows, np.int64)
        numbers = columns.column(self._stream.sequence)
        return _numbers(numbers.fill_null(0) if numbers.null_count else numbers)

    def _keys_of(self, rows: "_Rows", columns: pa.RecordBatch) -> tuple[Int32s, pa.BinaryArray]:
        """Keys made of the key columns; a row that lacks one of them has none, and is dead."""
        distinct = message_keys(columns, self._stream.key).dictionary_encode()
        if distinct.null_count:
            rows.refuse(np.asarray(distinct.is_null()), lambda _: "null key", rule=NULL_KEY)
        codes = distinct.indices.fill_null(-1)
        return np.asarray(codes, np.int32), distinct.dictionary

    def _require_keys(
        self, rows: "_Rows", columns: pa.RecordBatch, key_code: Int32s, keys: pa.BinaryArray
    ) -> None:
        """Make dead the rows whose key columns make another key than their message has.

        A key of several columns that can be read in two ways is left: the join groups its rows by columns.
        """
        own = message_keys(columns, self._stream.key)
        of_message = keys.take(pa.array(key_code))
        other = ~np.asarray(pc.fill_null(pc.equal(own, of_message), False))
        if len(self._stream.key) > 1:
            other &= plain_keys(keys, len(self._stream.key))[key_code]
        if not other.any():
            return
        names = " and ".join(self._stream.key)

        def reason(row: int) -> str:
            wanted = _shown(own[row]) if own[row].is_valid else "none"
            return (
                f"the message key is {_shown(of_message[row])}, and {names} would make {wanted}: rows that "
                'are not keyed by their message need key_from = "columns"'
            )

        rows.refuse(other, reason)


class ShapedDecoder:
    """Decodes the messages of one stream: a value decoder and a shaper in a row; a `RowDecoder`."""

    def __init__(self, values: ValueDecoder, shaper: Shaper) -> None:
        self._values = values
        self._shaper = shaper

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode these messages of one partition, in offset order; raises what the value decoder raises."""
        return self._shaper.decoded(block, self._values.read(block, messages))


@dataclass(slots=True)
class _Rows:
    """Rows on their way: the message of each, its place there, and which are good still, None for all."""

    block: MessageBlock
    message: Int64s
    index: Int32s
    dead: list[DeadRow]
    good: Bools | None = None

    def refuse(self, bad: Bools, reason: Callable[[int], str], rule: str = "") -> None:
        """Make dead rows of the bad ones that were good till now.

        Those of one message share the reason of the first: each reason is a letter with the whole message.
        """
        good = np.ones(bad.size, np.bool_) if self.good is None else self.good
        message, words = -1, ""
        for row in np.flatnonzero(bad & good).tolist():
            if self.message[row] != message:
                message, words = int(self.message[row]), reason(row)
            self.dead.append(DeadRow(message, int(self.index[row]), words, rule))
        self.good = good & ~bad

    def record_times_ms(self) -> Int64s:
        """The time of each row's message, as the broker has it; -1 where it has none."""
        messages, place = np.unique(self.message, return_inverse=True)
        return self.block.originals.timestamps_ms(messages)[place]


def _numbers(column: pa.Array) -> Int64s:
    """An int64 column's values, whatever they are where null, without a copy."""
    values = np.frombuffer(column.buffers()[1], np.int64)
    numbers: Int64s = values[column.offset : column.offset + len(column)]
    return numbers


def _whole(rows: _Rows, numbers: pa.Array, name: str) -> pa.Array:
    """Whole numbers as int64; a row whose number that does not hold is dead."""
    if numbers.type == pa.uint64():
        words = np.frombuffer(numbers.buffers()[1], np.uint64)[numbers.offset : numbers.offset + len(numbers)]
        beyond = (words >= 2**63) & np.asarray(numbers.is_valid())
        if beyond.any():
            rows.refuse(beyond, lambda row: f"{name} = {words[row]} is beyond int64")
    return numbers.cast(pa.int64(), safe=False)


def _texts(rows: _Rows, key_code: Int32s, keys: pa.BinaryArray) -> pa.Array:
    """The message key of each row as text; rows of one that is no UTF-8 are dead."""
    texts = [_utf8(key) for key in keys.to_pylist()]
    if None in texts:
        wrong = np.array([text is None for text in texts], np.bool_)
        rows.refuse(wrong[key_code], lambda _: "the message key is not UTF-8")
    return pa.DictionaryArray.from_arrays(pa.array(key_code), pa.array(texts, pa.string())).cast(pa.string())


def _shown(key: pa.BinaryScalar) -> str:
    return repr(key.as_py().decode(errors="backslashreplace"))


def _utf8(key: bytes) -> str | None:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def _number_keys(block: MessageBlock, messages: Int64s, wanted: Bools) -> tuple[Int32s, pa.BinaryArray]:
    """Number the distinct keys of the wanted messages; a null key (of an unkeyed stream) counts as empty."""
    address = block.key.view(np.int64)[messages]
    size = np.maximum(block.key_size[messages], 0)
    table = np.full(1 << int(2 * messages.size).bit_length(), -1, dtype=np.int32)
    first = np.empty(messages.size, dtype=np.int64)
    code = np.empty(messages.size, dtype=np.int32)
    count = number_keys(address, size, wanted, table, first, code)
    return code, _copied(address[first[:count]], size[first[:count]])


def _copied(address: Int64s, size: Int64s) -> pa.BinaryArray:
    """Copy many short strings end to end."""
    offsets = np.empty(size.size + 1, dtype=np.int64)
    total = total_size(size, offsets)
    assert total < 2**31, "keys of one poll, of which the client holds less"
    joined = np.empty(total, dtype=np.uint8)
    gather_bytes(address, size, offsets, joined.ctypes.data)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(joined)]
    return pa.Array.from_buffers(pa.binary(), size.size, buffers)
