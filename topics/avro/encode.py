"""Columns to messages: the row encoder writes one Avro record per row, or one block per stretch of rows."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.batch import Int64s
from topics.avro import encode_kernel as kernel
from topics.avro.arrow_types import avro_type, item_field, plain_schema
from topics.avro.header import message_header
from topics.avro.reader import DEFAULT_METADATA
from topics.avro.schema import Layout, avro_schema, block_schema
from topics.avro.varint import VARINT_SIZE_MAX, WRITE_AHEAD
from topics.wire import CodecError, Encoded, SchemaRegistry

_OPERATIONS: Final = {
    "int": kernel.NUMBER,
    "long": kernel.NUMBER,
    "float": kernel.HALF,
    "double": kernel.WORD,
    "boolean": kernel.FLAG,
    "string": kernel.SPAN,
    "bytes": kernel.SPAN,
    "fixed": kernel.FIXED,
    "array": kernel.LIST,
}
_DECIMAL_SIZE_MAX: Final = 17  # a length of one byte and 16 bytes


def value_subjects(topic: str) -> tuple[str, str]:
    """Return the subjects of a topic's records and of its blocks."""
    return f"{topic}-value", f"{topic}-value-block"


class RowEncoder:
    """Encodes the rows of one layout for one topic; registers its schemas when first needed, or when told to.

    Records and blocks have subjects of their own, `<topic>-value` and `<topic>-value-block`: a record and an
    array of it are not compatible with each other, and a registry would refuse the second as a change of the
    first.
    """

    def __init__(self, layout: Layout, registry: SchemaRegistry, topic: str) -> None:
        """Raise CodecError for a column that Avro cannot carry."""
        self._layout = layout
        self._registry = registry
        self._subjects = value_subjects(topic)
        self._record = avro_schema(layout)
        self._plain = plain_schema(layout.schema)
        self._ids: dict[bool, int] = {}

    def register(self, *, blocks: bool) -> None:
        """Register the schema of records or of blocks before there are any."""
        self._schema_id(blocks=blocks)

    def records(self, rows: pa.RecordBatch) -> Encoded:
        """Return one message per row; raises CodecError for rows that are not of the layout."""
        return self._encode(rows, np.arange(rows.num_rows + 1, dtype=np.int64), blocks=False)

    def blocks(self, rows: pa.RecordBatch, cuts: Int64s) -> Encoded:
        """Return one message per stretch of rows [cuts[i], cuts[i + 1]); `cuts` rise from 0 to the row count.

        Raises CodecError for rows that are not of the layout.
        """
        assert cuts.size >= 1
        assert cuts[0] == 0
        assert cuts[-1] == rows.num_rows
        assert np.all(cuts[:-1] <= cuts[1:])
        return self._encode(rows, cuts.astype(np.int64, copy=False), blocks=True)

    def _encode(self, rows: pa.RecordBatch, cuts: Int64s, *, blocks: bool) -> Encoded:
        columns = [
            _Column(field, rows.column(field.name), self._layout.name) for field in self._checked(rows)
        ]
        program = np.array([column.instruction for column in columns], dtype=np.int64)
        program = program.reshape(len(columns), kernel.INSTRUCTION_WIDTH)
        header = int.from_bytes(message_header(self._schema_id(blocks=blocks)), "little")
        messages = cuts.size - 1
        # Header, and for a block its count and the 0 that ends it.
        size_max = messages * (5 + VARINT_SIZE_MAX + 1) + sum(column.size_max for column in columns)
        data = np.empty(size_max + WRITE_AHEAD, dtype=np.uint8)
        starts = np.empty(cuts.size, dtype=np.int64)
        kernel.encode_messages(
            cuts, program.ctypes.data, len(columns), header, blocks, data.ctypes.data, starts
        )
        return Encoded(data[: starts[-1]], starts)

    def _schema_id(self, *, blocks: bool) -> int:
        if blocks not in self._ids:
            if blocks:
                schema = block_schema(self._layout)
                self._ids[blocks] = self._registry.register(self._subjects[1], schema)
            else:
                self._ids[blocks] = self._registry.register(self._subjects[0], self._record)
        return self._ids[blocks]

    def _checked(self, rows: pa.RecordBatch) -> list[pa.Field]:
        """Return the layout's columns, or raise CodecError saying how the rows differ."""
        if rows.schema.names != self._plain.names:
            raise CodecError(
                f"rows for {self._layout.name} have the columns {', '.join(rows.schema.names)}; "
                f"expected {', '.join(self._plain.names)}"
            )
        for wanted, actual in zip(self._plain, plain_schema(rows.schema), strict=True):
            if wanted.type != actual.type:
                raise CodecError(
                    f"column {wanted.name} of {self._layout.name} is {actual.type}, expected {wanted.type}"
                )
            if not wanted.nullable and rows.column(wanted.name).null_count:
                raise CodecError(f"column {wanted.name} of {self._layout.name} holds null, which it must not")
        return list(self._plain)


class _Column:
    """A column, or the items of one, as the kernel reads it: addresses, and the arrays that keep them alive.

    `size_max` bounds the bytes of all its values.
    """

    def __init__(self, field: pa.Field, array: pa.Array, layout: str) -> None:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        declared = avro_type(field)
        kind = declared["type"] if isinstance(declared, dict) else declared
        self._memory: list[Any] = [array]
        self._rows = len(array)
        self.size_max = self._rows * VARINT_SIZE_MAX
        self.instruction = [0] * kernel.INSTRUCTION_WIDTH
        self.instruction[kernel.OPERATION] = _OPERATIONS[kind]
        self.instruction[kernel.NULL_BRANCH] = _null_branch(field)
        if self._rows == 0:
            return  # an empty column may have no buffers, and nothing reads it
        if array.null_count:
            self.instruction[kernel.VALID] = self._keep(_bits(array.buffers()[0], array))
        if kind == "array":
            self._point_at_items(field, array, layout)
        elif kind in ("string", "bytes") and not pa.types.is_decimal(field.type):
            self._point_at_spans(array, layout)
        elif pa.types.is_boolean(field.type):
            self.instruction[kernel.VALUES] = self._keep(_bits(array.buffers()[1], array))
        else:
            self._point_at_values(array)
        if kind == "fixed":
            self.instruction[kernel.SIZE] = field.type.bit_width // 8
            self.size_max = self._rows * (1 + field.type.bit_width // 8)
        if pa.types.is_decimal(field.type):
            self.instruction[kernel.OPERATION] = kernel.DECIMAL
            self.size_max = self._rows * (1 + _DECIMAL_SIZE_MAX)
        else:
            self.size_max += self._rows  # the branch of a union

    def _keep(self, memory: npt.NDArray[Any]) -> int:
        self._memory.append(memory)
        return int(memory.ctypes.data)

    def _point_at_values(self, array: pa.Array) -> None:
        width = array.type.bit_width // 8
        buffer = array.buffers()[1]
        operation = self.instruction[kernel.OPERATION]
        if operation == kernel.NUMBER and width < 8 and buffer is not None:
            sign = "u" if pa.types.is_unsigned_integer(array.type) else "i"
            narrow = np.frombuffer(buffer, dtype=np.dtype(f"{sign}{width}"))
            values = narrow[array.offset : array.offset + self._rows].astype(np.int64)
            self.instruction[kernel.VALUES] = self._keep(values)
        else:
            self.instruction[kernel.VALUES] = (buffer.address if buffer else 0) + array.offset * width

    def _point_at_items(self, field: pa.Field, array: pa.Array, layout: str) -> None:
        item = item_field(field.type).with_name(field.name)
        spans = np.asarray(array.offsets).astype(np.int64)
        values = array.values.slice(spans[0], spans[-1] - spans[0])
        if values.null_count and not item.nullable and array.flatten().null_count:
            raise CodecError(f"a list of column {field.name} of {layout} holds null, which it must not")
        items = _Column(item, values, layout)
        self._memory.append(items)
        self.instruction[kernel.OFFSETS] = self._keep(spans - spans[0])
        self.instruction[kernel.VALUES] = self._keep(np.array(items.instruction, dtype=np.int64))
        self.size_max += items.size_max + self._rows  # the 0 that ends a list

    def _point_at_spans(self, array: pa.Array, layout: str) -> None:
        _, offsets, data = array.buffers()
        wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
        width = np.int64 if wide else np.int32
        if offsets is None or offsets.size == 0:
            return
        stretch = np.frombuffer(offsets, dtype=width)[array.offset : array.offset + self._rows + 1]
        spans = stretch.astype(np.int64, copy=False)
        self.instruction[kernel.OFFSETS] = self._keep(spans)
        self.instruction[kernel.VALUES] = data.address if data else 0
        self.size_max += int(spans[-1] - spans[0])


def _null_branch(field: pa.Field) -> int:
    """Which branch of the column's union is null: the second where a default takes the first."""
    if not field.nullable:
        return kernel.NO_UNION
    return 1 if DEFAULT_METADATA in (field.metadata or {}) else 0


def _bits(buffer: pa.Buffer, array: pa.Array) -> npt.NDArray[np.uint8]:
    """Unpack a bitmap to one byte, 0 or 1, per row."""
    if buffer is None:
        return np.zeros(0, dtype=np.uint8)
    packed = np.frombuffer(buffer, dtype=np.uint8)
    return np.unpackbits(packed, bitorder="little")[array.offset : array.offset + len(array)]
