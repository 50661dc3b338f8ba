"""Messages to columns: the decoder takes one partition's share of a block and hands out one batch.

The schema id in each message chooses the field program, compiled once per id.  A message gives all its
rows or no row, save that rows without their time are dead one by one.  A message that cannot be read becomes
a dead row with its reason; the others go on.  A schema of the stream's own subjects that cannot be read is no
matter of one message: it is an error.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from schemas.clocks import Clock
from schemas.stream import Stream
from topics.avro import decode_kernel as kernel
from topics.avro.decode_columns import DecodedRows
from topics.avro.faults import HEADER_WORDS, fault_reason
from topics.avro.header import HEADER_SIZE
from topics.avro.nested_kernel import STACK_SIZE
from topics.avro.plan import FieldProgram, column_slots, compile_program
from topics.avro.progress import PROGRESS_SLOTS, progress_of
from topics.avro.schema import NAMESPACE, PROGRESS_NAME
from topics.avro.types import parse_record
from topics.block import MessageBlock
from topics.shape import ShapedDecoder, Shaper
from topics.values import DecodeLimits, Values
from topics.wire import (
    CodecError,
    DeadRow,
    IncompatibleSchemaError,
    OtherFormatError,
    Progress,
    SchemaRegistry,
    UnknownSchemaError,
)

_IDS_FEW: Final = (
    16  # schema ids in one poll's share of a partition: rows, progress, perhaps an older version
)


_BARE_ID: Final = 0  # of the one schema of messages that name none


@dataclass(frozen=True, slots=True)
class _Messages:
    """The messages of one call, as parallel arrays of int64 addresses, sizes and block indexes."""

    block: Int64s
    address: Int64s
    size: Int64s

    def take(self, chosen: Int64s) -> "_Messages":
        return _Messages(self.block[chosen], self.address[chosen], self.size[chosen])


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
    ) -> None:
        """Raise CodecError for a column that Avro cannot carry.

        `stream` is its name for messages.  `subjects` are those of the stream's topic, of which every schema
        must be readable; without any, messages of a schema that cannot be read are dead.  `required` is the
        column that must be on the wire, whatever its default.  `bare` is the schema (JSON) of all messages,
        where these name none.
        """
        self._stream = stream
        self._registry = registry
        self._limits = limits or DecodeLimits()
        self._subjects = tuple(subjects)
        self._required = required
        self._takes_null_keys = takes_null_keys
        self._slots = column_slots(columns)
        self._stack = np.empty(STACK_SIZE, dtype=np.int64)
        self._programs: dict[int, FieldProgram | CodecError] = {}
        self._progress: dict[int, FieldProgram] = {}
        self._bare = bare is not None
        if bare is not None:
            self._programs[_BARE_ID] = compile_program(bare, self._slots, required=required)

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
        chosen = _Messages(
            messages, block.value.view(np.int64)[messages], block.value_size[messages].astype(np.int64)
        )
        ids = np.empty(messages.size, dtype=np.int64)
        if self._bare:
            kernel.check_sizes(chosen.size, self._limits.message_size_max, ids)
            # As if there were a header: it is passed over unread.
            chosen = _Messages(chosen.block, chosen.address - HEADER_SIZE, chosen.size + HEADER_SIZE)
        else:
            kernel.read_ids(chosen.address, chosen.size, self._limits.message_size_max, ids)
        distinct = _distinct(ids)
        unknown = self._learn([schema_id for schema_id in distinct if schema_id >= 0])
        dead: list[DeadRow] = []
        progress: list[tuple[int, Progress]] = []
        if len(distinct) != 1 or not self._is_plain(distinct[0], block.key_size[messages]):
            chosen, ids = self._pick_rows(block, chosen, ids, distinct, unknown, progress, dead)
        return self._read_rows(chosen, ids, progress, dead)

    def _pick_rows(
        self,
        block: MessageBlock,
        chosen: _Messages,
        ids: Int64s,
        distinct: Sequence[int],
        unknown: Mapping[int, str],
        progress: list[tuple[int, Progress]],
        dead: list[DeadRow],
    ) -> tuple[_Messages, Int64s]:
        """Return the messages that are rows with keys, and their ids; read progress, name what is dead."""
        is_row = np.ones(ids.size, dtype=np.bool_)
        for schema_id in distinct:
            reason = self._refusal(schema_id, unknown)
            if reason is None and schema_id not in self._progress:
                continue
            mine = np.flatnonzero(ids == schema_id)
            is_row[mine] = False
            if reason is not None:
                dead += [DeadRow(int(message), -1, reason) for message in chosen.block[mine]]
            else:
                self._read_progress(block, chosen.take(mine), self._progress[schema_id], progress, dead)
        if not self._takes_null_keys:
            null_key = is_row & (block.key_size[chosen.block] < 0)
            dead += [
                DeadRow(int(message), -1, "null key", rule="null_key") for message in chosen.block[null_key]
            ]
            is_row &= ~null_key
        rows = np.flatnonzero(is_row)
        return chosen.take(rows), ids[rows]

    def _is_plain(self, schema_id: int, key_size: Int64s) -> bool:
        """Whether messages of one id all are rows with keys, as most are: nothing is to be picked out."""
        if not isinstance(self._programs.get(schema_id), FieldProgram):
            return False
        return self._takes_null_keys or int(key_size.min()) >= 0

    def _learn(self, ids: Sequence[int]) -> dict[int, str]:
        """Compile the programs of new schema ids; return the ids that no schema has, with the reason."""
        unknown = {}
        for schema_id in ids:
            if schema_id in self._programs or schema_id in self._progress:
                continue
            try:
                self._compile(schema_id)
            except UnknownSchemaError as missing:
                # Asked again next time: a registry may learn of a schema later.
                unknown[schema_id] = str(missing)
            except CodecError as refused:
                self._require_foreign(schema_id, refused)
                self._programs[schema_id] = refused
        return unknown

    def _compile(self, schema_id: int) -> None:
        """Make the program of a schema id; raises CodecError where there is no schema, or none to be read."""
        schema = self._registry.schema(schema_id)
        if parse_record(schema).name == f"{NAMESPACE}.{PROGRESS_NAME}":
            self._progress[schema_id] = compile_program(schema, PROGRESS_SLOTS)
        else:
            self._programs[schema_id] = compile_program(schema, self._slots, required=self._required)

    def _require_foreign(self, schema_id: int, refused: CodecError) -> None:
        """Raise IncompatibleSchemaError where a schema that cannot be read is one of the stream's own."""
        for subject in self._subjects:
            if schema_id in self._registry.ids(subject):
                raise IncompatibleSchemaError(
                    f"stream {self._stream}: {_refused(schema_id, refused)} (subject {subject}). "
                    "No message of this schema can be read, so nothing was read past the first one. "
                    "Restart to read by the newest schema; or register one that reads both, by a default, "
                    f'an alias or a wider type; or set streams.{self._stream}.incompatible = "dead" '
                    "to have these messages in the dead-letter topic"
                )

    def _refusal(self, schema_id: int, unknown: Mapping[int, str]) -> str | None:
        """Why messages of this id cannot be read at all, or None."""
        if schema_id < 0:
            return HEADER_WORDS[schema_id]
        if schema_id in unknown:
            return f"schema id {schema_id}: {unknown[schema_id]}"
        program = self._programs.get(schema_id)
        return _refused(schema_id, program) if isinstance(program, CodecError) else None

    def _read_progress(
        self,
        block: MessageBlock,
        chosen: _Messages,
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
        self, chosen: _Messages, ids: Int64s, progress: list[tuple[int, Progress]], dead: list[DeadRow]
    ) -> Values:
        rows_of = np.zeros(ids.size, dtype=np.int64)
        if ids.size == 0:
            return Values(None, chosen.block, rows_of, np.empty(0, np.int32), progress, dead)
        # A run is a stretch of messages of one schema id; all runs write to the same columns.
        cuts = (np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist()
        runs = [
            (self._program(int(ids[start])), slice(start, stop))
            for start, stop in itertools.pairwise([0, *cuts, ids.size])
        ]
        capacity: int = sum(self._estimate(program, chosen, run) for program, run in runs)
        room = DecodedRows(self._slots, capacity)
        rows = 0
        for program, run in runs:
            part = _Messages(chosen.block[run], chosen.address[run], chosen.size[run])
            room, rows = self._run(program, part, room, rows, rows_of[run], dead)
        columns = room.to_arrow(rows) if rows else None
        return Values(columns, chosen.block, rows_of, room.index[:rows], progress, dead)

    def _program(self, schema_id: int) -> FieldProgram:
        program = self._programs[schema_id]
        assert isinstance(program, FieldProgram)
        return program

    def _estimate(self, program: FieldProgram, chosen: _Messages, run: slice) -> int:
        if not program.blocks:
            return int(run.stop - run.start)
        size_min, rows_max = program.row_size_min, self._limits.rows_max
        return int(kernel.estimate_rows(chosen.address[run], chosen.size[run], size_min, rows_max))

    def _run(
        self,
        program: FieldProgram,
        chosen: _Messages,
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


def _refused(schema_id: int, why: CodecError) -> str:
    return str(why) if isinstance(why, OtherFormatError) else f"schema id {schema_id}: {why}"


def _distinct(ids: Int64s) -> list[int]:
    """Return the distinct schema ids; many only where messages are not ours."""
    few = np.empty(_IDS_FEW, dtype=np.int64)
    count = kernel.distinct_ids(ids, few)
    distinct: list[int] = (np.unique(ids) if count < 0 else few[:count]).tolist()
    return distinct
