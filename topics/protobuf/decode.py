"""Protobuf messages to columns: the decoder takes one partition's share of a block and hands out its rows.

A message is one row.  Either all messages are of one type and are nothing but their bytes, or each names its
schema and the place of its type in it, before its bytes or in a header, and the names of the columns' paths
are looked up in that type.  A message that cannot be read is a dead row with its reason; the others go on.  A
schema of the stream's own subjects that cannot be read is no matter of one message: it is an error.
"""

import ctypes
import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from topics.avro.decode_columns import DecodedRows
from topics.avro.decode_kernel import NO_HEADER, NO_MAGIC, NULL, TOO_LARGE, read_ids
from topics.block import MessageBlock
from topics.column_kernel import number_keys
from topics.protobuf import kernel
from topics.protobuf.columns import require_leaf
from topics.protobuf.faults import fault_reason
from topics.protobuf.framing import BAD_INDEXES, HEADER_WORDS, parse_indexes, parse_prefix, read_prefix_sizes
from topics.protobuf.message_type import MessageType, NoSuchMessageError
from topics.protobuf.program import MessageProgram, compile_message, message_slots
from topics.protobuf.types import MessageTypes
from topics.protobuf.value_kernel import UNNAMED
from topics.schema_header import MISSING, SchemaHeader, framing_hints, read_schema_headers, schema_words
from topics.values import DecodeLimits, FieldPath, Values
from topics.wire import (
    CodecError,
    DeadRow,
    IncompatibleSchemaError,
    OtherFormatError,
    SchemaName,
    UnknownSchemaError,
)

# A schema and the indexes of a type in it; None stands for its only type.
_TypeId = tuple[SchemaName, tuple[int, ...] | None]

_BAD_HEADER: Final = "the indexes of its message type, in the schema's header, cannot be read"
_MISFRAMED: Final = (NO_HEADER, NO_MAGIC, BAD_INDEXES)
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
        headed: bool = False,
    ) -> None:
        """Read messages of one type, or such as name their type, which `source` then gives.

        They name it in Confluent's prefix, or with `headed` in a header.

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
        self._headed = headed
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
        ids = np.empty(messages.size, dtype=np.int64)
        if self._only is None and not self._headed:
            programs, code, prefix_size = self._read_prefixes(block, address, size, ids, messages, dead)
            address, size = address + prefix_size, size - prefix_size
        else:
            too_large = size > self._limits.message_size_max
            ids[:] = np.where(size < 0, NULL, np.where(too_large, TOO_LARGE, 0))
            if self._only is not None:
                programs, code = [self._only], np.zeros(ids.size, dtype=np.int64)
            else:
                programs, code = self._read_headers(block, ids, messages, dead)
        if ids.size and int(ids.min()) < 0:
            bad = np.flatnonzero(ids < 0)
            hints = framing_hints(block, messages[np.isin(ids, _MISFRAMED)])
            reasons = ((int(messages[at]), HEADER_WORDS[int(ids[at])]) for at in bad)
            dead += [DeadRow(message, -1, reason + hints.get(message, "")) for message, reason in reasons]
            code[bad] = -1
        if ids.size and int(code.min()) < 0:
            good = np.flatnonzero(code >= 0)
            messages, address, size, code = messages[good], address[good], size[good], code[good]
        columns, rows_of = self._read_rows(messages, address, size, programs, code, dead)
        dead.sort(key=lambda row: row.message)
        rows = columns.num_rows if columns is not None else 0
        return Values(columns, messages, rows_of, np.zeros(rows, dtype=np.int32), dead=dead)

    def _read_prefixes(
        self,
        block: MessageBlock,
        address: Int64s,
        size: Int64s,
        ids: Int64s,
        messages: Int64s,
        dead: list[DeadRow],
    ) -> tuple[list[MessageProgram], Int64s, Int64s]:
        """Return the programs of the messages, which of them each has (-1: none), and its prefix's size.

        What has no prefix is marked in `ids`; messages whose schema cannot be read are added to `dead`.
        """
        read_ids(address, size, self._limits.message_size_max, ids)
        prefix_size = np.empty(ids.size, dtype=np.int64)
        read_prefix_sizes(address, size, ids, prefix_size)
        table = np.full(1 << int(2 * ids.size).bit_length(), -1, dtype=np.int32)
        first, number = np.empty(ids.size, dtype=np.int64), np.empty(ids.size, dtype=np.int32)
        count = number_keys(address, prefix_size, ids >= 0, table, first, number)
        named: list[_TypeId] = [
            parse_prefix(ctypes.string_at(int(address[at]), int(prefix_size[at]))) for at in first[:count]
        ]
        unknown = self._learn(named)
        strange = [at for at, name in enumerate(named) if name in unknown]
        hints = framing_hints(block, messages[np.isin(number, strange)]) if strange else {}
        reasons = [self._refusal(name, unknown) for name in named]
        programs, place = self._programs_of(named, reasons, number.astype(np.int64), messages, hints, dead)
        return programs, place, prefix_size

    def _read_headers(
        self, block: MessageBlock, ids: Int64s, messages: Int64s, dead: list[DeadRow]
    ) -> tuple[list[MessageProgram], Int64s]:
        """Return the programs of the messages, and which of them each has (-1: none).

        Messages whose schema cannot be read, or that name none, are added to `dead`, but for those marked in
        `ids`.
        """
        headers = read_schema_headers(block, messages)
        code = np.where(ids < 0, -1, headers.code)
        dead += [DeadRow(message, -1, MISSING) for message in messages[(ids >= 0) & (code < 0)].tolist()]
        named = {at: _named_type(header) for at, header in headers.read.items()}
        unknown = self._learn([name for name in named.values() if name is not None])
        names = [named.get(at) for at in range(len(headers.read) + len(headers.bad))]
        reasons = [
            headers.bad.get(at, _BAD_HEADER) if name is None else self._refusal(name, unknown)
            for at, name in enumerate(names)
        ]
        return self._programs_of(names, reasons, code, messages, {}, dead)

    def _programs_of(
        self,
        named: Sequence[_TypeId | None],
        reasons: Sequence[str | None],
        number: Int64s,
        messages: Int64s,
        hints: Mapping[int, str],
        dead: list[DeadRow],
    ) -> tuple[list[MessageProgram], Int64s]:
        """Return the programs of types and which of them each message has (-1: none).

        `number` says which of the types a message is of, -1 for none; those of a type with a reason why it
        cannot be read are added to `dead`.
        """
        programs: list[MessageProgram] = []
        place = np.full(len(named) + 1, -1, dtype=np.int64)  # the last one is for those of no type
        for at, (name, reason) in enumerate(zip(named, reasons, strict=True)):
            if name is None or reason is not None:
                mine = messages[number == at].tolist()
                dead += [DeadRow(message, -1, f"{reason}{hints.get(message, '')}") for message in mine]
                continue
            program = self._programs[name]
            assert isinstance(program, MessageProgram)
            place[at] = len(programs)
            programs.append(program)
        return programs, place[number]

    def _learn(self, named: Sequence[_TypeId]) -> dict[_TypeId, str]:
        """Compile the programs of new types; return those of schemas that are unknown, with the reason."""
        if len(self._programs) > _PROGRAMS_MAX:
            self._programs = {}
        unknown = {}
        for name in named:
            if name in self._programs:
                continue
            assert self._types is not None
            try:
                self._programs[name] = compile_message(self._types.message_type(*name), self._slots)
            except UnknownSchemaError as missing:
                # Asked again next time: a registry may learn of a schema later.
                unknown[name] = str(missing)
            except NoSuchMessageError as corrupt:
                self._programs[name] = corrupt
            except CodecError as refused:
                self._require_foreign(name[0], refused)
                self._programs[name] = refused
        return unknown

    def _require_foreign(self, schema: SchemaName, refused: CodecError) -> None:
        """Raise IncompatibleSchemaError where a schema that cannot be read is one of the stream's own."""
        assert self._types is not None
        for subject in self._subjects:
            if self._types.is_registered(subject, schema):
                raise IncompatibleSchemaError(
                    f"stream {self._stream}: {_refused(schema, refused)} (subject {subject}). "
                    "No message of this schema can be read, so nothing was read past the first one. "
                    "Register a schema that the columns can be read from, or change the stream's columns; "
                    f'or set streams.{self._stream}.incompatible = "dead" '
                    "to have these messages in the dead-letter topic"
                )

    def _refusal(self, name: _TypeId, unknown: Mapping[_TypeId, str]) -> str | None:
        """Why messages of this type cannot be read at all, or None."""
        if name in unknown:
            return f"{schema_words(name[0])}: {unknown[name]}"
        program = self._programs[name]
        return _refused(name[0], program) if isinstance(program, CodecError) else None

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


def _named_type(header: SchemaHeader) -> _TypeId | None:
    """Return the type that a header names, None where its indexes cannot be read."""
    if header.rest is None:
        return header.name, None
    indexes = parse_indexes(header.rest)
    return None if indexes is None else (header.name, indexes)


def _refused(schema: SchemaName, why: CodecError) -> str:
    return str(why) if isinstance(why, OtherFormatError) else f"{schema_words(schema)}: {why}"
