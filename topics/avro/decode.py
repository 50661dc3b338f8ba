"""Messages to columns: the decoder takes one partition's share of a block and hands out one batch.

The schema that each message names, before its value or in a header, chooses the field program, compiled once
per schema.  A message gives all its rows or no row, save that rows without their time are dead one by one.  A
message that cannot be read becomes a dead row with its reason; the others go on.  A schema of the stream's
own subjects that cannot be read is no matter of one message: it is an error.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from schemas.clocks import Clock
from schemas.stream import Stream
from topics.avro import decode_kernel as kernel
from topics.avro.decode_columns import DecodedRows
from topics.avro.faults import fault_reason
from topics.avro.framing import BARE_NAME, UNPREFIXED, Framed, Framing, Messages, framed
from topics.avro.nested_kernel import STACK_SIZE
from topics.avro.plan import FieldProgram, column_slots, compile_program
from topics.avro.progress import PROGRESS_SLOTS, progress_of
from topics.avro.schema import NAMESPACE, PROGRESS_NAME
from topics.avro.types import parse_record
from topics.block import MessageBlock
from topics.schema_header import avro_schema_of, framing_hints, is_registered, schema_words
from topics.shape import ShapedDecoder, Shaper
from topics.values import DecodeLimits, Values
from topics.wire import (
    CodecError,
    DeadRow,
    IncompatibleSchemaError,
    OtherFormatError,
    Progress,
    SchemaName,
    SchemaRegistry,
    UnknownSchemaError,
)

PROGRAMS_MAX: Final = 1_024  # schemas whose programs are kept; a topic has a handful


class AvroValues:
    """Reads the Avro messages of one stream; a `ValueDecoder`."""

    def __init__(
        self,
        columns: pa.Schema,
        registry: SchemaRegistry,
        limits: DecodeLimits | None = None,
        *,
        stream: str = "",
        subjects: Sequence[str] = (),
        required: str | None = None,
        takes_null_keys: bool = True,
        bare: str | None = None,
        headed: bool = False,
    ) -> None:
        """Raise CodecError for a column that Avro cannot carry.

        `stream` is its name for messages.  `subjects` are those of the stream's topic, of which every schema
        must be readable; without any, messages of a schema that cannot be read are dead.  `required` is the
        column that must be on the wire, whatever its default.  `bare` is the schema (JSON) of all messages,
        where these name none.  With `headed` they name it in a header, and values are bare.
        """
        self._stream = stream
        self._registry = registry
        self._limits = limits or DecodeLimits()
        self._subjects = tuple(subjects)
        self._required = required
        self._takes_null_keys = takes_null_keys
        self._slots = column_slots(columns)
        self._stack = np.empty(STACK_SIZE, dtype=np.int64)
        self._programs: dict[SchemaName, FieldProgram | CodecError] = {}
        self._progress: dict[SchemaName, FieldProgram] = {}
        self._framing: Framing = "header" if headed else "prefix" if bare is None else "bare"
        if bare is not None:
            assert not headed, "messages that name their schemas need no other"
            self._programs[BARE_NAME] = compile_program(bare, self._slots, required=required)

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows that are read."""
        return self._slots.schema

    def read(self, block: MessageBlock, messages: Int64s) -> Values:
        """Read the messages with these indexes into the block: all of one partition, in offset order.

        Raises RegistryUnavailableError where a new schema id cannot be looked up now; nothing is lost, the
        same call may be made again.  Raises IncompatibleSchemaError for a schema of the stream's own subjects
        that cannot be read.
        """
        while len(self._programs) > PROGRAMS_MAX:
            del self._programs[next(iter(self._programs))]  # the oldest; compiled again where it is needed
        share = framed(block, messages, self._framing, self._limits.message_size_max)
        unknown = self._learn([share.names[code] for code in share.distinct if code in share.names])
        dead: list[DeadRow] = []
        progress: list[tuple[int, Progress]] = []
        chosen, codes = share.messages, share.code
        if not self._is_plain(share, block.key_size[messages]):
            chosen, codes = self._pick_rows(block, share, unknown, progress, dead)
        return self._read_rows(chosen, codes, share.names, progress, dead)

    def _pick_rows(
        self,
        block: MessageBlock,
        share: Framed,
        unknown: Mapping[SchemaName, str],
        progress: list[tuple[int, Progress]],
        dead: list[DeadRow],
    ) -> tuple[Messages, Int64s]:
        """Return the messages that are rows with keys, and their codes; read progress, name what is dead."""
        chosen = share.messages
        is_row = np.ones(chosen.block.size, dtype=np.bool_)
        for code in share.distinct:
            name = share.names.get(code)
            reason = share.refused[code] if name is None else self._refusal(name, unknown)
            if reason is None and name not in self._progress:
                continue
            mine = np.flatnonzero(share.code == code)
            is_row[mine] = False
            if reason is not None:
                misframed = self._framing == "prefix" and (code in UNPREFIXED or name in unknown)
                hints = framing_hints(block, chosen.block[mine]) if misframed else {}
                dead += [
                    DeadRow(message, -1, reason + hints.get(message, ""))
                    for message in chosen.block[mine].tolist()
                ]
            elif name is not None:
                self._read_progress(block, chosen.take(mine), self._progress[name], progress, dead)
        if not self._takes_null_keys:
            null_key = is_row & (block.key_size[chosen.block] < 0)
            dead += [
                DeadRow(int(message), -1, "null key", rule="null_key") for message in chosen.block[null_key]
            ]
            is_row &= ~null_key
        rows = np.flatnonzero(is_row)
        return chosen.take(rows), share.code[rows]

    def _is_plain(self, share: Framed, key_size: Int64s) -> bool:
        """Whether messages of one schema all are rows with keys, as most are: nothing is to be picked out."""
        if len(share.distinct) != 1:
            return False
        name = share.names.get(share.distinct[0])
        if name is None or not isinstance(self._programs.get(name), FieldProgram):
            return False
        return self._takes_null_keys or int(key_size.min()) >= 0

    def _learn(self, names: Sequence[SchemaName]) -> dict[SchemaName, str]:
        """Compile the programs of new schemas; return the names that no schema has, with the reason."""
        unknown: dict[SchemaName, str] = {}
        for name in names:
            if name in self._programs or name in self._progress:
                continue
            try:
                self._compile(name)
            except UnknownSchemaError as missing:
                # Asked again next time: a registry may learn of a schema later.
                unknown[name] = str(missing)
            except CodecError as refused:
                self._require_foreign(name, refused)
                self._programs[name] = refused
        return unknown

    def _compile(self, name: SchemaName) -> None:
        """Make the program of a schema; raises CodecError where there is none, or none to be read."""
        schema = avro_schema_of(self._registry, name)
        if parse_record(schema).name == f"{NAMESPACE}.{PROGRESS_NAME}":
            self._progress[name] = compile_program(schema, PROGRESS_SLOTS)
        else:
            self._programs[name] = compile_program(schema, self._slots, required=self._required)

    def _require_foreign(self, name: SchemaName, refused: CodecError) -> None:
        """Raise IncompatibleSchemaError where a schema that cannot be read is one of the stream's own."""
        for subject in self._subjects:
            if is_registered(self._registry, subject, name):
                raise IncompatibleSchemaError(
                    f"stream {self._stream}: {_refused(name, refused)} (subject {subject}). "
                    "No message of this schema can be read, so nothing was read past the first one. "
                    "Restart to read by the newest schema; or register one that reads both, by a default, "
                    f'an alias or a wider type; or set streams.{self._stream}.incompatible = "dead" '
                    "to have these messages in the dead-letter topic"
                )

    def _refusal(self, name: SchemaName, unknown: Mapping[SchemaName, str]) -> str | None:
        """Why messages of this schema cannot be read at all, or None."""
        if name in unknown:
            return f"{schema_words(name)}: {unknown[name]}"
        program = self._programs.get(name)
        return _refused(name, program) if isinstance(program, CodecError) else None

    def _read_progress(
        self,
        block: MessageBlock,
        chosen: Messages,
        program: FieldProgram,
        progress: list[tuple[int, Progress]],
        dead: list[DeadRow],
    ) -> None:
        room = DecodedRows(PROGRESS_SLOTS, chosen.block.size)
        rows_of = np.zeros(chosen.block.size, dtype=np.int64)
        room, rows = self._run(program, chosen, room, 0, rows_of, dead)
        good = chosen.block[np.repeat(np.arange(rows_of.size), rows_of)]
        offsets = block.offset[good].tolist()
        progress += zip(offsets, progress_of(room.to_arrow(rows)), strict=True)

    def _read_rows(
        self,
        chosen: Messages,
        codes: Int64s,
        names: Mapping[int, SchemaName],
        progress: list[tuple[int, Progress]],
        dead: list[DeadRow],
    ) -> Values:
        rows_of = np.zeros(codes.size, dtype=np.int64)
        if codes.size == 0:
            return Values(None, chosen.block, rows_of, np.empty(0, np.int32), progress, dead)
        # A run is a stretch of messages of one schema; all runs write to the same columns.
        cuts = (np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist()
        runs = [
            (self._program(names[int(codes[start])]), slice(start, stop))
            for start, stop in itertools.pairwise([0, *cuts, codes.size])
        ]
        capacity: int = sum(self._estimate(program, chosen, run) for program, run in runs)
        room = DecodedRows(self._slots, capacity)
        rows = 0
        for program, run in runs:
            room, rows = self._run(program, chosen.take(run), room, rows, rows_of[run], dead)
        columns = room.to_arrow(rows) if rows else None
        return Values(columns, chosen.block, rows_of, room.index[:rows], progress, dead)

    def _program(self, name: SchemaName) -> FieldProgram:
        program = self._programs[name]
        assert isinstance(program, FieldProgram)
        return program

    def _estimate(self, program: FieldProgram, chosen: Messages, run: slice) -> int:
        if not program.blocks:
            return int(run.stop - run.start)
        size_min, rows_max = program.row_size_min, self._limits.rows_max
        return int(kernel.estimate_rows(chosen.address[run], chosen.size[run], size_min, rows_max))

    def _run(
        self,
        program: FieldProgram,
        chosen: Messages,
        room: DecodedRows,
        row: int,
        rows_of: Int64s,
        dead: list[DeadRow],
    ) -> tuple[DecodedRows, int]:
        """Decode messages of one program into `room` from `row` on; return the room and its rows now."""
        fault = np.zeros(chosen.block.size, dtype=np.int64)
        message, start = 0, row
        while True:
            message, row = kernel.decode_messages(
                message,
                row,
                chosen.address,
                chosen.size,
                program.blocks,
                program.row_size_min,
                self._limits.rows_max,
                program.instructions.ctypes.data,
                len(program.fields),
                self._stack.ctypes.data if program.nested else 0,
                room.words.ctypes.data,
                room.spans.ctypes.data,
                room.valid.ctypes.data,
                room.index,
                rows_of,
                fault,
            )
            if message == chosen.block.size:
                break
            # Blocks of several array blocks hold more rows than their first count promised.
            room = room.grown(row, 2 * room.index.size + self._limits.rows_max // 64 + 1)
        for bad in np.flatnonzero(fault):
            reason = fault_reason(int(fault[bad]), int(rows_of[bad]), program)
            dead.append(DeadRow(int(chosen.block[bad]), -1, reason))
            rows_of[bad] = 0
        room.complete(program, start, row)
        return room, row


class Decoder(ShapedDecoder):
    """Decodes the Avro messages of one stream whose rows are the records as they stand; a `RowDecoder`."""

    def __init__(
        self,
        stream: Stream,
        clock: Clock,
        registry: SchemaRegistry,
        limits: DecodeLimits | None = None,
        subjects: Sequence[str] = (),
    ) -> None:
        """Raise StreamError where the stream lacks the clock, CodecError for a column Avro cannot carry."""
        shaper = Shaper(stream, clock)
        values = AvroValues(
            stream.schema,
            registry,
            limits,
            stream=stream.name,
            subjects=subjects,
            required=stream.require_clock(clock),
            takes_null_keys=shaper.takes_null_keys,
        )
        super().__init__(values, shaper)


def _refused(name: SchemaName, why: CodecError) -> str:
    return str(why) if isinstance(why, OtherFormatError) else f"{schema_words(name)}: {why}"
