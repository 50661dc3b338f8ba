"""The node of labels: its rows are the rows of its input with their labels, once nothing can change these.

What it remembers is the rows that wait, as they came, and nothing else: to come back it takes them again.
"""

import struct
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.labels import places as at
from operators.labels.halts import COMPLETE_KEY, Halts
from operators.labels.halts import PREFIX as STATUSES
from operators.labels.held import HeldRows, Inputs, pieces_of
from operators.labels.inputs import known_times, read_columns, require_columns, require_new, settings_of
from operators.labels.outputs import columns_of, fields_of, measured_of, statuses_of
from operators.labels.settings import Bins, Label
from operators.labels.trailing import PREFIX, TrailingBins
from operators.node import Context, NodeStateError
from operators.rows.groups import Groups
from operators.rows.packing import pack_rows, unpack_rows
from operators.sealed import Entries, RowKeys, Sealed, Snapshot
from operators.sessions.sessions import DAYS_OF_UTC, OUTSIDE, CalendarError, Sessions, ids_if_known
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS

HEAD_KEY: Final = b"h"
HEAD: Final = struct.Struct(
    "<Bqqq"
)  # version, first ordinal that waits, that of the next row, complete up to
ROWS: Final = b"r"
BLOCK: Final = 256  # ordinals that are written down together
BLOCK_HEAD: Final = 8  # bytes before the rows of a block: the ordinal of the first
VERSION: Final = 1
INT64_MAX: Final = 2**63 - 1


class LabelNode:
    """Labels each row by the rows of its symbol after it (`Node`); it reads rows, and where told so statuses.

    Rows come out in the order in which they came, so one that is decided waits for those before it, and for
    the statuses up to its end.
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        upstream: pa.Schema,
        label: Label,
        groups: Groups,
        sessions: Sessions = DAYS_OF_UTC,
    ) -> None:
        """`upstream` has the columns of its input; raises LabelError where they do not bear the label."""
        require_columns(label, upstream)
        own = fields_of(label)
        require_new(own, upstream)
        self.name = name
        self.meaning = meaning
        self.layout = pa.schema([*upstream, *own])
        self.needs = Context(hold_ns=label.bound_ns)
        self._upstream = upstream
        self._label = label
        self._groups = groups
        self._sessions = sessions
        self._held = HeldRows(upstream, *settings_of(label, upstream))
        self._clock = _Progress()
        self._trailing: TrailingBins | None = None
        if isinstance(label, Bins) and label.trailing is not None:
            self._trailing = TrailingBins(label, groups)
        self._halts: Halts | None = None
        if label.halted is not None:
            self._halts = Halts(label.halted, groups)
            self._held.decided_before(BEGINNING_NS)  # no row has to wait for a kernel to be compiled
            self.needs = Context(rows=1, hold_ns=label.bound_ns)

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take rows; return those that are decided, up to the first that is not."""
        sealed, *statuses = upstream
        if self._halts is not None:
            (of_halts,) = statuses
            self._halts.take(of_halts)
        if sealed.rows is not None and sealed.rows.num_rows:
            keys = sealed.keys
            assert keys is not None, f"node {self.name} labels by symbol: its rows need keys"
            if not keys.session.size:
                keys = keys._replace(session=_whole_ids(ids_if_known(self._sessions.ids, keys.time_ns)))
            self._enter(sealed.rows, keys)
        self._clock.complete_ns = max(self._clock.complete_ns, sealed.complete_ns)
        self._held.pass_time(self._clock.complete_ns)
        out = self._give()
        if self._halts is not None:
            self._halts.forget(self._complete_ns)
        return out

    def snapshot(self) -> Snapshot:
        """Return what changed: blocks of rows that came or are no longer needed."""
        held, clock = self._held, self._clock
        head = HEAD.pack(VERSION, held.base, held.end, clock.complete_ns)
        puts: list[tuple[bytes, bytes]] = []
        if head != clock.kept:
            puts.append((HEAD_KEY, head))
            clock.kept = head
        lower = max(held.base, clock.written // BLOCK * BLOCK) if held.end > clock.written else held.end
        puts += [
            (_block_key(block), self._block(first, end))
            for block, first, end in pieces_of(lower, held.end, BLOCK)
        ]
        gone = range(clock.oldest_block, min(held.base // BLOCK, -(-clock.written // BLOCK)))
        deletes = [*clock.strays, *map(_block_key, gone)]
        clock.written, clock.oldest_block, clock.strays = held.end, held.base // BLOCK, []
        if self._trailing is not None:
            puts += self._trailing.snapshot()
        if self._halts is not None:
            puts += self._halts.snapshot(self._complete_ns)
        return Snapshot(puts, deletes)

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        kept = dict(entries)
        if not kept:
            return
        head = kept.pop(HEAD_KEY, b"")
        if len(head) != HEAD.size or head[0] != VERSION:
            raise NodeStateError(f"node {self.name}: which rows wait is not kept, or in another version")
        _, base, end, complete_ns = HEAD.unpack(head)
        if not 0 <= base <= end:
            raise NodeStateError(f"node {self.name}: which rows wait is damaged")
        if self._trailing is not None:
            self._trailing.restore(self.name, _taken(kept, PREFIX))
        if self._halts is not None:
            self._halts.restore(self.name, _taken(kept, COMPLETE_KEY, STATUSES))
        self._held.begin(base)
        for block, first, behind in pieces_of(base, end, BLOCK):
            self._restore_block(first, behind, kept.pop(_block_key(block), b""))
        self._clock = _Progress(complete_ns, head, end, base // BLOCK)
        own = _block_key(base // BLOCK)  # its rows may have come out since
        for key in kept:
            if not (key[:1] == ROWS and len(key) == len(own) and (key < own or (key == own and base == end))):
                raise NodeStateError(f"node {self.name}: no entry of its state has a key such as {key!r}")
            if key < own:  # a worker that died before it took back the block left it in the topic
                self._clock.strays.append(key)
        self._held.pass_time(complete_ns)
        if self._ready:
            raise NodeStateError(f"node {self.name}: rows are kept that came out before")

    def _enter(self, rows: pa.RecordBatch, keys: RowKeys, full: npt.NDArray[np.int8] | None = None) -> None:
        """Put rows into the tables; `full` says which were crowded out, where that was counted before."""
        table = np.empty((at.ROW_FIELDS, rows.num_rows), np.int64)
        table[at.GROUP], table[at.TIME_NS], table[at.SESSION] = keys
        flags = np.empty((at.FLAGS, rows.num_rows), np.int64)
        flags[at.KNOWN_NS] = known_times(rows, keys.time_ns)
        across = self._label.across_sessions
        flags[at.INSIDE] = 1 if across else self._stays_inside(keys.time_ns, keys.session)
        flags[at.FULL] = -1 if full is None else full
        self._held.take(rows, Inputs(table, flags, read_columns(self._label, rows)), len(self._groups))

    def _session_ids(self, time_ns: Int64s) -> Int64s:
        """The sessions of moments, as the graph has them."""
        return _whole_ids(self._sessions.ids(time_ns))

    def _stays_inside(self, time_ns: Int64s, session: Int64s) -> npt.NDArray[np.bool_]:
        """Which events have the end of their time in their own session."""
        ends_ns = time_ns + self._label.bound_ns
        try:
            return np.equal(self._session_ids(ends_ns), session)
        except CalendarError:  # a moment that no calendar knows is in no session that it does know
            return np.array([self._is_inside(*one) for one in zip(ends_ns, session, strict=True)], np.bool_)

    def _is_inside(self, moment_ns: np.int64, session: np.int64) -> bool:
        try:
            return bool(self._session_ids(np.array([moment_ns]))[0] == session)
        except CalendarError:
            return False

    def _give(self) -> Sealed:
        held = self._held
        first, count = held.base, self._ready
        if not count:
            return Sealed(None, self._complete_ns)
        decided = held.outcome(first, first + count)
        trailing = self._trailing
        classes = None if trailing is None else trailing.classes(decided, measured_of(decided))
        halted = None if self._halts is None else self._halts.inside(decided)
        own = columns_of(self._label, decided, classes, halted)
        columns = [*held.rows(first, first + count).columns, *own]
        rows = pa.RecordBatch.from_arrays(columns, schema=self.layout)
        held.drop(count)
        return Sealed(rows, self._complete_ns, keys=decided.keys, reasons=statuses_of(decided, classes))

    @property
    def _ready(self) -> int:
        """How many rows can come out."""
        if self._halts is None:
            return self._held.decided
        return self._held.decided_before(self._halts.complete_ns)

    @property
    def _complete_ns(self) -> int:
        """Below it no row waits or comes."""
        held = self._held
        if held.base == held.end:
            return self._clock.complete_ns
        return min(self._clock.complete_ns, held.oldest_ns)

    def _block(self, first: int, end: int) -> bytes:
        """Rows as they are written down: columns, symbols, times and sessions, and which were crowded out."""
        keys, reasons, *_ = self._held.outcome(first, end)
        rows = self._held.rows(first, end)
        own = [
            self._groups.keys(keys.group),
            pa.array(keys.time_ns),
            pa.array(keys.session),
            pa.array((reasons == at.CROWDED).view(np.int8)),
        ]
        batch = pa.RecordBatch.from_arrays([*rows.columns, *own], schema=self._kept_schema)
        (value,) = pack_rows(batch, np.array([0, batch.num_rows], np.int64))
        return first.to_bytes(BLOCK_HEAD, "little") + value

    def _restore_block(self, first: int, end: int, value: bytes) -> None:
        try:
            begin = int.from_bytes(value[:BLOCK_HEAD], "little")
            rows, (count,) = unpack_rows(self._kept_schema, [value[BLOCK_HEAD:]])
        except ValueError as damaged:
            raise NodeStateError(f"node {self.name}: rows {first} to {end}: {damaged}") from None
        if not (begin <= first and begin + count == end):  # it may begin with rows that came out since
            raise NodeStateError(
                f"node {self.name}: rows {first} to {end} are kept as {begin} to {begin + count}"
            )
        rows = rows.slice(first - begin)
        *_, keys, time_ns, session, full = rows.columns
        encoded = keys.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        group = self._groups.codes(encoded.dictionary, codes)
        names = self._upstream.names
        payload = pa.RecordBatch.from_arrays(rows.columns[: len(names)], schema=self._upstream)
        own = RowKeys(group, _numbers(time_ns), _numbers(session))
        self._enter(payload, own, _numbers(full).astype(np.int8))

    @property
    def _kept_schema(self) -> pa.Schema:
        own = [("\0key", pa.binary()), ("\0time_ns", pa.int64())]
        own += [("\0session", pa.int64()), ("\0full", pa.int8())]
        return pa.schema([*self._upstream, *own])


class _Progress:
    """How far a node has come, and what of it is written down."""

    def __init__(
        self,
        complete_ns: int = BEGINNING_NS,
        kept: bytes = b"",
        written: int = 0,
        oldest_block: int = 0,
    ) -> None:
        self.strays: list[bytes] = []  # blocks left over: the next snapshot deletes them
        self.complete_ns = complete_ns
        self.kept = kept  # the head entry
        self.written = written  # the ordinal up to which rows are
        self.oldest_block = oldest_block


def _whole_ids(session: Int64s) -> Int64s:
    """Sessions as the kernels know them: from 0 on, and `OUTSIDE`."""
    return np.where(session == OUTSIDE, OUTSIDE, session & INT64_MAX)


def _taken(kept: dict[bytes, bytes], *prefixes: bytes) -> dict[bytes, bytes]:
    """The entries with these prefixes, which are taken out of the others."""
    return {key: kept.pop(key) for key in list(kept) if key.startswith(prefixes)}


def _block_key(block: int) -> bytes:
    return ROWS + block.to_bytes(8, "big")


def _numbers(column: pa.Array) -> Int64s:
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)
