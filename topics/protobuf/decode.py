"""Protobuf messages to columns: the decoder takes one partition's share of a block and hands out its rows.

A message is one row.  Either all messages are of one type and are nothing but their bytes, or each begins
with the id of its schema and the place of its type in it, and the names of the columns' paths are looked up
in that type.  A message that cannot be read is a dead row with its reason; the others go on.  A schema of the
stream's own subjects that cannot be read is no matter of one message: it is an error.
"""

import ctypes
import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from topics.avro.decode_columns import DecodedRows
from topics.avro.decode_kernel import NULL, TOO_LARGE, read_ids
from topics.block import MessageBlock
from topics.column_kernel import number_keys
from topics.protobuf import kernel
from topics.protobuf.columns import require_leaf
from topics.protobuf.faults import fault_reason
from topics.protobuf.framing import HEADER_WORDS, parse_prefix, read_prefix_sizes
from topics.protobuf.message_type import MessageType, NoSuchMessageError
from topics.protobuf.program import MessageProgram, compile_message, message_slots
from topics.protobuf.types import MessageTypes
from topics.protobuf.value_kernel import UNNAMED
from topics.values import DecodeLimits, FieldPath, Values
from topics.wire import CodecError, DeadRow, IncompatibleSchemaError, OtherFormatError, UnknownSchemaError

_TypeId = tuple[int, tuple[int, ...]]  # a schema's id and the indexes of a type in it

_PROGRAMS_MAX: Final = 4096  # of which corrupt messages may name many that are no good


class ProtobufValues:
    """A `ValueDecoder` of one stream's Protobuf messages; used from one thread."""

    def __init__(
        self,
        source: MessageType | MessageTypes,
        fields: Sequence[FieldPath],
        limits: DecodeLimits | None = None,
        *,
        stream: str = "",
        subjects: Sequence[str] = (),
    ) -> None:
        """Read messages of one type, or with Confluent's header where `source` gives the type of each id.

        `fields` are the columns.  With one type, each must be a field of it, of the column's type or one
        narrower, and a column whose field may be absent must be nullable; CodecError names the field.

        `stream` names the stream in errors.  `subjects` are those of its topic, of which every schema must be
        readable; without any, messages of a schema that cannot be read are dead.
        """
        self._slots = message_slots(fields)
        self._limits = limits or DecodeLimits()
        self._stream = stream
        self._subjects = tuple(subjects)
        self._scratch = np.zeros(kernel.SCRATCH_SIZE, dtype=np.int64)
        self._programs: dict[_TypeId, MessageProgram | CodecError] = {}
        self._types: MessageTypes | None = None
        self._only: MessageProgram | None = None
        if isinstance(source, MessageType):
            for wanted in fields:
                _require(source, wanted)
            self._only = compile_message(source, self._slots)
        else:
            self._types = source

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows that are read."""
        return self._slots.columns.schema

    def read(self, block: MessageBlock, messages: Int64s) -> Values:
        """Read the messages with these indexes into the block: all of one partition, in offset order.

        Raises RegistryUnavailableError where a new schema id cannot be looked up now; nothing is lost, the
        same call may be made again.  Raises IncompatibleSchemaError for a schema of the stream's own subjects
        that cannot be read.
        """
        address, size = block.value.view(np.int64)[messages], block.value_size[messages].astype(np.int64)
        dead: list[DeadRow] = []
        if self._only is not None:
            ids = np.where(size < 0, NULL, np.where(size > self._limits.message_size_max, TOO_LARGE, 0))
            programs, code = [self._only], np.zeros(ids.size, dtype=np.int64)
        else:
            ids = np.empty(messages.size, dtype=np.int64)
            programs, code, prefix_size = self._read_headers(address, size, ids, messages, dead)
            address, size = address + prefix_size, size - prefix_size
        if ids.size and int(ids.min()) < 0:
            bad = np.flatnonzero(ids < 0)
            dead += [DeadRow(int(messages[i]), -1, HEADER_WORDS[int(ids[i])]) for i in bad]
            code[bad] = -1
        if ids.size and int(code.min()) < 0:
            good = np.flatnonzero(code >= 0)
            messages, address, size, code = messages[good], address[good], size[good], code[good]
        columns, rows_of = self._read_rows(messages, address, size, programs, code, dead)
        dead.sort(key=lambda row: row.message)
        rows = columns.num_rows if columns is not None else 0
        return Values(columns, messages, rows_of, np.zeros(rows, dtype=np.int32), dead=dead)

    def _read_headers(
        self, address: Int64s, size: Int64s, ids: Int64s, messages: Int64s, dead: list[DeadRow]
    ) -> tuple[list[MessageProgram], Int64s, Int64s]:
        """Return the programs of the messages, which of them each has (-1: none), and its header's size.

        What has no header is marked in `ids`; messages whose schema cannot be read are added to `dead`.
        """
        read_ids(address, size, self._limits.message_size_max, ids)
        prefix_size = np.empty(ids.size, dtype=np.int64)
        read_prefix_sizes(address, size, ids, prefix_size)
        table = np.full(1 << int(2 * ids.size).bit_length(), -1, dtype=np.int32)
        first, number = np.empty(ids.size, dtype=np.int64), np.empty(ids.size, dtype=np.int32)
        count = number_keys(address, prefix_size, ids >= 0, table, first, number)
        headers = [
            parse_prefix(ctypes.string_at(int(address[at]), int(prefix_size[at]))) for at in first[:count]
        ]
        unknown = self._learn(headers)
        programs: list[MessageProgram] = []
        place = np.full(count + 1, -1, dtype=np.int64)  # the last one is for those without a header
        for at, header in enumerate(headers):
            reason = self._refusal(header, unknown)
            if reason is not None:
                dead += [DeadRow(int(messages[i]), -1, reason) for i in np.flatnonzero(number == at)]
                continue
            program = self._programs[header]
            assert isinstance(program, MessageProgram)
            place[at] = len(programs)
            programs.append(program)
        return programs, place[number], prefix_size

    def _learn(self, headers: Sequence[_TypeId]) -> dict[_TypeId, str]:
        """Compile the programs of new types; return those of ids that no schema has, with the reason."""
        if len(self._programs) > _PROGRAMS_MAX:
            self._programs = {}
        unknown = {}
        for header in headers:
            if header in self._programs:
                continue
            assert self._types is not None
            try:
                self._programs[header] = compile_message(self._types.message_type(*header), self._slots)
            except UnknownSchemaError as missing:
                # Asked again next time: a registry may learn of a schema later.
                unknown[header] = str(missing)
            except NoSuchMessageError as corrupt:
                self._programs[header] = corrupt
            except CodecError as refused:
                self._require_foreign(header[0], refused)
                self._programs[header] = refused
        return unknown

    def _require_foreign(self, schema_id: int, refused: CodecError) -> None:
        """Raise IncompatibleSchemaError where a schema that cannot be read is one of the stream's own."""
        assert self._types is not None
        for subject in self._subjects:
            if schema_id in self._types.ids(subject):
                raise IncompatibleSchemaError(
                    f"stream {self._stream}: {_refused(schema_id, refused)} (subject {subject}). "
                    "No message of this schema can be read, so nothing was read past the first one. "
                    "Register a schema that the columns can be read from, or change the stream's columns; "
                    f'or set streams.{self._stream}.incompatible = "dead" '
                    "to have these messages in the dead-letter topic"
                )

    def _refusal(self, header: _TypeId, unknown: Mapping[_TypeId, str]) -> str | None:
        """Why messages of this type cannot be read at all, or None."""
        if header in unknown:
            return f"schema id {header[0]}: {unknown[header]}"
        program = self._programs[header]
        return _refused(header[0], program) if isinstance(program, CodecError) else None

    def _read_rows(
        self,
        messages: Int64s,
        address: Int64s,
        size: Int64s,
        programs: Sequence[MessageProgram],
        code: Int64s,
        dead: list[DeadRow],
    ) -> tuple[pa.RecordBatch | None, Int64s]:
        """Return the rows of messages, each of the program that `code` says, and how many each has."""
        rows_of = np.zeros(messages.size, dtype=np.int64)
        if messages.size == 0:
            return None, rows_of
        room = DecodedRows(self._slots.columns, messages.size)
        # A run is a stretch of messages of one type; all runs write to the same columns.
        cuts = (np.flatnonzero(code[1:] != code[:-1]) + 1).tolist()
        row, texts = 0, []
        for start, stop in itertools.pairwise([0, *cuts, code.size]):
            program, faults = programs[int(code[start])], np.zeros((stop - start, 4), dtype=np.int64)
            after = kernel.read_messages(
                address[start:stop],
                size[start:stop],
                row,
                program.node,
                program.reset.ctypes.data,
                len(program.reset),
                program.times.ctypes.data,
                len(program.times),
                self._scratch.ctypes.data,
                room.words.ctypes.data,
                room.spans.ctypes.data,
                room.valid.ctypes.data,
                messages.size,
                rows_of[start:stop],
                faults,
            )
            for bad in np.flatnonzero(faults[:, 0]).tolist():
                reason = fault_reason(faults[bad].tolist(), program, self._slots)
                dead.append(DeadRow(int(messages[start + bad]), -1, reason))
            texts += [self._write_digits(room, column, row, after) for column in program.enums]
            row = after
        if row == 0:
            return None, rows_of
        columns = room.to_arrow(row)
        del texts  # copied into the columns by now
        return columns, rows_of

    def _write_digits(self, room: DecodedRows, column: int, start: int, stop: int) -> object:
        """Write the digits of enum numbers that have no name; return the memory that has them."""
        slot = self._slots.columns.slot[column]
        unnamed = start + np.flatnonzero(room.spans[slot + 1, start:stop] == UNNAMED)
        if unnamed.size == 0:
            return None
        numbers, place = np.unique(room.spans[slot, unnamed], return_inverse=True)
        digits = [str(number).encode() for number in numbers.tolist()]
        sizes = np.array([len(text) for text in digits], dtype=np.int64)
        memory = np.frombuffer(b"".join(digits), dtype=np.uint8).copy()
        room.spans[slot, unnamed] = (memory.ctypes.data + np.cumsum(sizes) - sizes)[place]
        room.spans[slot + 1, unnamed] = sizes[place]
        return memory


def _require(message_type: MessageType, wanted: FieldPath) -> None:
    """Raise CodecError where a column has no field in the one type, or one that it does not always have."""
    leaf = require_leaf(message_type, wanted.path)
    if leaf.nullable and not wanted.column.nullable:
        raise CodecError(
            f"column {wanted.column.name}: field {leaf.name} of {message_type.name} may be absent: "
            "let the column be null"
        )


def _refused(schema_id: int, why: CodecError) -> str:
    return str(why) if isinstance(why, OtherFormatError) else f"schema id {schema_id}: {why}"
