"""The node that joins: each row of one node beside the last rows of others, once these are complete."""

import struct
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.entries import SnapshotError
from operators.graph.plan import PlannedNode
from operators.graph.plan_join import AGE, WHY
from operators.inputs.intake import Accepted
from operators.join.root import AsofRoot
from operators.node import Context, NodeStateError
from operators.nulls import packed_reasons, unpacked_reasons
from operators.rows.groups import NO_GROUP, Groups
from operators.sealed import Entries, Sealed, Snapshot, Statuses
from schemas.batch import Batch, Int32s
from schemas.clocks import BEGINNING_NS, END_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

# Of the entry that says how many rows were taken, up to which frontier, and by which join they are kept.
TAKEN_KEY: Final = b"n"
TAKEN: Final = struct.Struct("<qq16s")


class AsofNode:
    """Joins sealed rows as the pipeline joins accepted ones (`Node`).

    Its frontier is the smallest `complete_ns` of what it reads: a row waits until every other node is
    complete beyond its time.  Rows keep the order in which they come, which is that of their root.  With a
    lag a row is joined as if it were so much older; its age is that of what it meets at its own time.
    """

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        assert planned.join is not None, f"node {planned.name} joins nothing"
        self.name = planned.name
        self.meaning = planned.meaning
        self.layout = planned.features.layout
        self._join = planned.join
        settings = planned.join.settings
        tolerance_ns = settings.tolerance_ns
        rows, reach_ns = (1, 0) if tolerance_ns is None else (0, tolerance_ns)
        self.needs = Context(rows=rows, ns=reach_ns + self._join.lag_ns)
        self._groups = groups
        self._root = AsofRoot(settings, groups, planned.name)
        self._kept_by = settings.fingerprint().encode()
        self._complete_ns = [BEGINNING_NS] * len(self._join.settings.streams)
        self._count = 0
        self._frontier_ns = BEGINNING_NS

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take rows; return those that no row which is still to come can change, joined."""
        for number, sealed in enumerate(upstream):
            complete_ns = self._moved(sealed.complete_ns, number, -1)
            self._complete_ns[number] = max(self._complete_ns[number], complete_ns)
            if sealed.rows is not None and sealed.rows.num_rows:
                self._root.take(
                    self._join.settings.streams[number].name, Accepted(self._batch(number, sealed))
                )
        self._frontier_ns = max(self._frontier_ns, min(self._complete_ns))
        return self._own(self._root.seal(self._frontier_ns))

    def snapshot(self) -> Snapshot:
        """Return what changed: rows that wait, and the last ones of each symbol."""
        changed = self._root.snapshot()
        return Snapshot(
            [*changed.puts, (TAKEN_KEY, TAKEN.pack(self._count, self._frontier_ns, self._kept_by))],
            changed.deletes,
        )

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        held = dict(entries)
        if not held:
            return
        taken = held.pop(TAKEN_KEY, b"")
        if len(taken) != TAKEN.size:
            raise NodeStateError(f"node {self.name}: how many rows it took is not kept")
        self._count, self._frontier_ns, kept_by = TAKEN.unpack(taken)
        if kept_by != self._kept_by:
            raise NodeStateError(f"node {self.name}: its rows were kept with other columns")
        try:
            self._root.restore(held.items())
        except SnapshotError as damaged:
            raise NodeStateError(f"node {self.name}: {damaged}") from None

    def _moved(self, time_ns: int, number: int, sign: int) -> int:
        """A time of a side as the join has it, or with a sign of 1 the other way round."""
        if not self._join.lag_ns or number or not BEGINNING_NS < time_ns < END_NS:
            return time_ns
        return time_ns + sign * self._join.lag_ns

    def _own(self, sealed: Sealed) -> Sealed:
        """What the join gives as the node has it: without what says why values are null, at its own times."""
        sealed = sealed._replace(complete_ns=self._moved(sealed.complete_ns, 0, 1))
        joined, keys = sealed.rows, sealed.keys
        if joined is None or keys is None:
            return sealed
        reasons: dict[str, Statuses] = {}
        for stream, names in zip(self._join.settings.streams, self._join.why, strict=True):
            before = "" if stream is self._join.settings.streams[0] else f"{stream.name}_"
            columns = {before + name: joined.column(before + name) for name in names}
            if columns:
                reasons |= unpacked_reasons(joined.column(before + WHY), columns)
        if not self._join.lag_ns:
            return sealed._replace(rows=joined.select(self.layout.names), reasons=reasons)
        ages = {f"{stream.name}_{AGE}" for stream in self._join.settings.streams[1:]}
        columns_at = [
            pc.add(joined.column(name), self._join.lag_ns) if name in ages else joined.column(name)
            for name in self.layout.names
        ]
        rows = pa.RecordBatch.from_arrays(columns_at, schema=self.layout)
        keys = keys._replace(time_ns=keys.time_ns + self._join.lag_ns)
        return sealed._replace(rows=rows, keys=keys, reasons=reasons)

    def _batch(self, number: int, sealed: Sealed) -> Batch:
        """Sealed rows as an input of a join has them; their order is in `sequence`."""
        rows, keys = sealed.rows, sealed.keys
        assert rows is not None
        assert keys is not None, f"node {self.name} joins by symbol: its rows need keys"
        codes = np.unique(keys.group[keys.group != NO_GROUP])
        key_code = np.searchsorted(codes, keys.group).astype(np.int32)
        key_code[keys.group == NO_GROUP] = NO_GROUP
        first, self._count = self._count, self._count + rows.num_rows
        names = self._join.settings.streams[number].schema.names
        if self._join.why[number]:
            rows = rows.append_column(WHY, packed_reasons(sealed, self._join.why[number]))
        indices: Int32s = np.asarray(rows.column(LEFT_INDEX).to_numpy(), np.int32)
        return Batch(
            columns=rows.select(names),
            time_ns=keys.time_ns if number else keys.time_ns - self._join.lag_ns,
            sequence=np.arange(first, self._count, dtype=np.int64),
            offset=np.asarray(rows.column(LEFT_OFFSET).to_numpy(), np.int64),
            index=indices,
            key_code=key_code,
            keys=self._groups.keys(codes.astype(np.int32)),
        )
