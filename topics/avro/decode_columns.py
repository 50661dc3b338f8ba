"""Decoded words and spans become Arrow columns, without a copy wherever a column is eight bytes wide."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.batch import Int64s
from topics.avro.nested_kernel import LIST_WIDTH, read_lists
from topics.avro.plan import ColumnSlots, FieldProgram
from topics.column_kernel import gather_bytes, total_size
from topics.wire import CodecError

_OFFSET_MAX = 2**31 - 1


class DecodedRows:
    """Room for the rows of several messages, written by the kernel and read as one Arrow batch.

    `words`  int64 [word_count, capacity], values and halves of decimals.
    `spans`  int64 [span_count, capacity], addresses and sizes of text and bytes, in turns; of lists as
             `nested_kernel.LIST_WIDTH` says.
    `valid`  uint8 [columns, capacity], 1 where a value is; only nullable columns are kept up to date.
    `index`  int32 [capacity], a row's place in its message.
    """

    def __init__(self, slots: ColumnSlots, capacity: int) -> None:
        self.slots = slots
        self.words = np.empty((slots.word_count, capacity), dtype=np.int64)
        self.spans = np.empty((slots.span_count, capacity), dtype=np.int64)
        self.valid = np.empty((len(slots.schema), capacity), dtype=np.uint8)
        self.index = np.empty(capacity, dtype=np.int32)

    def grown(self, rows: int, capacity: int) -> "DecodedRows":
        """Return a larger room that holds the first `rows` of this one."""
        larger = DecodedRows(self.slots, capacity)
        larger.words[:, :rows] = self.words[:, :rows]
        larger.spans[:, :rows] = self.spans[:, :rows]
        larger.valid[:, :rows] = self.valid[:, :rows]
        larger.index[:rows] = self.index[:rows]
        return larger

    def complete(self, program: FieldProgram, start: int, stop: int) -> None:
        """Finish rows that `program` decoded: promote numbers, look symbols up, fill columns it lacks."""
        rows = slice(start, stop)
        for conversion in program.conversions:
            words = self.words[self.slots.slot[conversion.column], rows]
            words[:] = conversion.convert(words)
        for enum in program.symbols:
            slot = self.slots.slot[enum.column]
            code = self.spans[slot, rows].copy()
            address, size = enum.symbols.table
            self.spans[slot, rows] = address[code]
            self.spans[slot + 1, rows] *= size[code]
        for missing in program.missing:
            slot = self.slots.slot[missing.column]
            self.valid[missing.column, rows] = not missing.null
            if self.slots.spans[missing.column]:
                self.spans[slot, rows] = missing.address
                self.spans[slot + 1, rows] = len(missing.raw)
                continue
            low, high = missing.words
            self.words[slot, rows] = low
            if pa.types.is_decimal(self.slots.schema.field(missing.column).type):
                self.words[slot + 1, rows] = high

    def numbers(self, column: int, rows: int) -> Int64s:
        """The first `rows` of an int64 column, 0 where null, without a copy."""
        numbers: Int64s = self.words[self.slots.slot[column], :rows]
        return numbers

    def to_arrow(self, rows: int) -> pa.RecordBatch:
        """Return the first `rows` as Arrow columns; the batch shares this object's memory."""
        arrays = [self._column(number, rows) for number in range(len(self.slots.types))]
        return pa.RecordBatch.from_arrays(arrays, schema=self.slots.schema)

    def _column(self, number: int, rows: int) -> pa.Array:
        kind = self.slots.types[number]
        null_count, bitmap = 0, None
        if self.slots.nullable[number]:
            valid = self.valid[number, :rows]
            null_count = rows - int(np.count_nonzero(valid))
            if null_count:
                bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
        items = self.slots.items[number]
        if items is not None:
            offsets, values = self._items(number, items, rows)
            return pa.Array.from_buffers(
                kind, rows, [bitmap, offsets], null_count=null_count, children=[values]
            )
        if self.slots.whole[number]:
            buffers = [pa.py_buffer(self.words[self.slots.slot[number], :rows])]
        elif self.slots.spans[number]:
            buffers = self._gathered(number, kind, rows)
        else:
            buffers = [pa.py_buffer(self._fixed_width(number, kind, rows))]
        return pa.Array.from_buffers(kind, rows, [bitmap, *buffers], null_count=null_count)

    def _items(self, number: int, items: ColumnSlots, rows: int) -> tuple[pa.Buffer, pa.Array]:
        """Return the offsets of a list column and the values of all its items."""
        kind, slot = self.slots.types[number], self.slots.slot[number]
        count, address, after, instruction = self.spans[slot : slot + LIST_WIDTH, :rows]
        offsets = np.empty(rows + 1, dtype=np.int64)
        total = total_size(count, offsets)
        large = pa.types.is_large_list(kind)
        if total > _OFFSET_MAX and not large:
            raise CodecError(
                f"column {self.slots.schema.field(number).name} holds {total} items in one batch, "
                f"more than {kind} can: read fewer messages at once, or make it a large_list"
            )
        room = DecodedRows(items, total)
        read = read_lists(
            count,
            address,
            after,
            instruction,
            room.words.ctypes.data,
            room.spans.ctypes.data,
            room.valid.ctypes.data,
            total,
        )
        assert read == total, "messages do not change under us"
        narrow = offsets if large else offsets.astype(np.int32)
        return pa.py_buffer(narrow), room.to_arrow(total).column(0)

    def _fixed_width(self, number: int, plain: pa.DataType, rows: int) -> npt.NDArray[Any]:
        slot = self.slots.slot[number]
        words = self.words[slot, :rows]
        if pa.types.is_boolean(plain):
            return np.packbits(words.astype(np.uint8), bitorder="little")
        if pa.types.is_decimal(plain):
            return np.column_stack((words, self.words[slot + 1, :rows]))
        return words.astype(np.dtype(f"i{plain.bit_width // 8}"))

    def _gathered(self, number: int, plain: pa.DataType, rows: int) -> list[pa.Buffer]:
        slot = self.slots.slot[number]
        address, size = self.spans[slot, :rows], self.spans[slot + 1, :rows]
        if pa.types.is_fixed_size_binary(plain):
            # A null takes its room too.
            data = np.zeros(rows * plain.byte_width, dtype=np.uint8)
            offsets = np.arange(rows + 1, dtype=np.int64) * plain.byte_width
            gather_bytes(address, size, offsets, data.ctypes.data)
            return [pa.py_buffer(data)]
        offsets = np.empty(rows + 1, dtype=np.int64)
        total = total_size(size, offsets)
        data = np.empty(total, dtype=np.uint8)
        gather_bytes(address, size, offsets, data.ctypes.data)
        if pa.types.is_large_string(plain) or pa.types.is_large_binary(plain):
            return [pa.py_buffer(offsets), pa.py_buffer(data)]
        if total > _OFFSET_MAX:
            raise CodecError(
                f"column {self.slots.schema.field(number).name} holds {total} bytes in one batch, "
                f"more than {plain} can: read fewer messages at once, or make it large_{plain}"
            )
        return [pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
