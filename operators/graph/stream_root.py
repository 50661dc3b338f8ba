"""A stream put in order as a root: what is accepted waits for the frontier, and is sealed in order."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from operators.entries import SnapshotError
from operators.formula.meaning import digest
from operators.graph.row_places import RowPlaces
from operators.graph.stream_rows import rows_meaning, stream_layout
from operators.inputs.intake import Accepted
from operators.inputs.progress import FIRST, RowPlace
from operators.rows.groups import Groups
from operators.rows.held import held_stream
from operators.rows.kept import KeyedRows, keyed_schema
from operators.rows.pending import PendingRows
from operators.rows.store import RowStore
from operators.sealed import Entries, Held, RowKeys, Sealed, Snapshot
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS, END_NS, Clock
from schemas.frame import layout_fingerprint
from schemas.stream import Stream

ROWS_KEY = b"l"  # of the rows that wait


class PastRows(NamedTuple):
    """Rows that an earlier life sealed, in order, and where they stand."""

    sealed: Sealed
    places: RowPlaces


def stream_place(frontier_ns: int) -> RowPlace:
    """The place before every row at the frontier and behind all others: up to there a stream was sealed."""
    return (frontier_ns, *FIRST[1:])


class StreamRoot:
    """Seals the accepted rows of one stream, one task's share (`Root`).

    What it has sealed is all that lies below the frontier, so the frontier says what an earlier life sealed.
    `keeps_back`  whether nodes that remember rows hang on it: rows are needed until what those remember is
                  kept, for nobody else can give them the rows again.
    """

    def __init__(self, stream: Stream, clock: Clock, groups: Groups, *, keeps_back: bool) -> None:
        held = held_stream(stream)
        self.name = stream.name
        self.streams: tuple[str, ...] = (stream.name,)
        self.layout = stream_layout(stream)
        self.meaning = digest(rows_meaning(stream, clock), layout_fingerprint(held.schema))
        self._groups = groups
        self.keeps_back = keeps_back
        self._pending = PendingRows(held.schema, tuple(held.schema.names))
        self._value = KeyedRows(keyed_schema(*held.schema))
        self._frontier_ns = BEGINNING_NS
        self._past_ns = BEGINNING_NS  # rows below it are not wanted again
        self._kept_ns = BEGINNING_NS  # nodes have kept what they remember of the rows below it
        self._unkept: int | None = None  # the oldest offset of a row that was sealed since

    def take(self, stream: str, rows: Accepted) -> None:
        """Take rows that the input accepted; of those sealed before, what nodes want again."""
        assert stream == self.name, f"{self.name} takes no rows of {stream}"
        if rows.context is not None:
            self._add(rows.context.where(rows.context.time_ns >= self._past_ns))
        self._add(rows.pending)

    def seal(self, frontier_ns: int) -> Sealed:
        """Return the rows below the frontier, in order."""
        self._frontier_ns = frontier_ns
        ids = self._below(frontier_ns)
        if ids.size == 0:
            return Sealed(None, frontier_ns)
        if self.keeps_back:
            oldest = int(self._pending.store.offset[ids].min())
            self._unkept = oldest if self._unkept is None else min(self._unkept, oldest)
        sealed = self._sealed(ids)
        self._forget()
        return sealed

    @property
    def end_ns(self) -> int:
        """A frontier past the newest row."""
        newest_ns = self._frontier_ns
        if self._pending.rows:
            newest_ns = max(newest_ns, int(self._pending.store.time_ns[self._pending.ids[-1]]) + 1)
        return min(newest_ns, END_NS)

    @property
    def is_empty(self) -> bool:
        """Whether no row waits."""
        return self._pending.rows == 0

    @property
    def through(self) -> RowPlace:
        """The place before the first row that may still be sealed."""
        return stream_place(self._frontier_ns)

    def needed_offset(self, stream: str, otherwise: int) -> int:
        """The oldest offset of a row that waits, or that no node's kept state has; at most `otherwise`."""
        oldest = self._pending.oldest_offset(otherwise)
        return oldest if self._unkept is None else min(oldest, self._unkept)

    def mistakable(self, stream: str, rows: RowStore) -> Bools:
        """Which rows set aside a restart could take for rows that count: those it may give again."""
        from_ns = self._kept_ns if self.keeps_back else self._frontier_ns
        wanted: Bools = rows.time_ns[: rows.rows] >= from_ns
        return wanted

    def held(self, stream: str) -> Held:
        """What waits for the frontier."""
        return Held(self._pending.rows, self._pending.size)

    def resume(
        self, frontier_ns: int, through: RowPlace | None, needed: Mapping[str, int], held_ns: int = 0
    ) -> None:
        """Take up committed progress: rows below the frontier were sealed."""
        self._frontier_ns = self._past_ns = frontier_ns
        if self.keeps_back and frontier_ns > BEGINNING_NS:
            self._unkept = needed[self.name]

    def reach_back(self, past_ns: int) -> None:
        """Nodes want the rows from this time on again; after `resume`."""
        self._past_ns = min(self._past_ns, past_ns)

    def rereading_ended(self) -> int:
        """All has been read again: rows below the frontier come no more."""
        self._past_ns = self._frontier_ns
        return self._frontier_ns

    def past(self) -> PastRows | None:
        """The rows that an earlier life sealed, once; None for none."""
        ids = self._below(self._frontier_ns)
        if ids.size == 0:
            return None
        store = self._pending.store
        places = RowPlaces(
            store.time_ns[ids], store.sequence[ids], store.offset[ids], store.index[ids].astype(np.int64)
        )
        past = PastRows(self._sealed(ids), places)
        self._forget()
        return past

    def kept(self) -> None:
        """What nodes remember of all rows sealed so far is kept with the next commit."""
        self._kept_ns, self._unkept = self._frontier_ns, None

    def snapshot(self) -> Snapshot:
        """The rows that wait."""
        store, ids = self._pending.store, self._pending.ids_unordered
        keys = self._groups.keys(store.group[ids])
        return Snapshot([(ROWS_KEY, self._value.value(store, ids, keys))], [])

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots wrote; raises SnapshotError where it is damaged or missing."""
        held = dict(entries)
        if ROWS_KEY not in held:
            raise SnapshotError(f"the state of stream {self.name} has no {ROWS_KEY!r}: not written whole")
        self._add(self._value.read(ROWS_KEY, held[ROWS_KEY]))

    def _add(self, rows: Batch) -> None:
        if rows.rows:
            self._pending.add(rows, self._groups.codes(rows.keys, rows.key_code))

    def _below(self, frontier_ns: int) -> Int64s:
        return self._pending.take(self._pending.below(frontier_ns))

    def _sealed(self, ids: Int64s) -> Sealed:
        store = self._pending.store
        columns = [store.gather(name, ids) for name in store.names]
        columns += [pa.array(store.offset[ids]), pa.array(store.index[ids])]
        keys = RowKeys(store.group[ids], store.time_ns[ids])
        rows = pa.RecordBatch.from_arrays(columns, schema=self.layout)
        return Sealed(rows, self._frontier_ns, keys=keys)

    def _forget(self) -> None:
        if self._pending.worth_forgetting(0):
            self._pending.forget(np.empty(0, np.int64))
