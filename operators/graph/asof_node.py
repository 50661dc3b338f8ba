"""The node that joins: each row of one node beside the last rows of others, once these are complete."""

import struct
from typing import Final

import numpy as np

from operators.entries import SnapshotError
from operators.graph.plan import PlannedNode
from operators.inputs.intake import Accepted
from operators.join.root import AsofRoot
from operators.node import Context, NodeStateError
from operators.rows.groups import NO_GROUP, Groups
from operators.sealed import Entries, Sealed, Snapshot
from schemas.batch import Batch, Int32s
from schemas.clocks import BEGINNING_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

TAKEN_KEY: Final = b"n"  # of the entry that says how many rows were taken, and up to which frontier
TAKEN: Final = struct.Struct("<qq")


class AsofNode:
    """Joins sealed rows as the pipeline joins accepted ones (`Node`).

    Its frontier is the smallest `complete_ns` of what it reads: a row waits until every other node is
    complete beyond its time.  Rows keep the order in which they come, which is that of their root.
    """

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        assert planned.join is not None, f"node {planned.name} joins nothing"
        self.name = planned.name
        self.meaning = planned.meaning
        self.layout = planned.features.layout
        tolerance_ns = planned.join.tolerance_ns
        self.needs = Context(rows=1) if tolerance_ns is None else Context(ns=tolerance_ns)
        self._groups = groups
        self._streams = planned.join.streams
        self._root = AsofRoot(planned.join, groups, planned.name)
        self._complete_ns = [BEGINNING_NS] * len(self._streams)
        self._count = 0
        self._frontier_ns = BEGINNING_NS

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take rows; return those that no row which is still to come can change, joined."""
        for number, sealed in enumerate(upstream):
            self._complete_ns[number] = max(self._complete_ns[number], sealed.complete_ns)
            if sealed.rows is not None and sealed.rows.num_rows:
                self._root.take(self._streams[number].name, Accepted(self._batch(number, sealed)))
        self._frontier_ns = max(self._frontier_ns, min(self._complete_ns))
        return self._root.seal(self._frontier_ns)

    def snapshot(self) -> Snapshot:
        """Return what changed: rows that wait, and the last ones of each symbol."""
        changed = self._root.snapshot()
        return Snapshot(
            [*changed.puts, (TAKEN_KEY, TAKEN.pack(self._count, self._frontier_ns))], changed.deletes
        )

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        held = dict(entries)
        if not held:
            return
        taken = held.pop(TAKEN_KEY, b"")
        if len(taken) != TAKEN.size:
            raise NodeStateError(f"node {self.name}: how many rows it took is not kept")
        self._count, self._frontier_ns = TAKEN.unpack(taken)
        try:
            self._root.restore(held.items())
        except SnapshotError as damaged:
            raise NodeStateError(f"node {self.name}: {damaged}") from None

    def _batch(self, number: int, sealed: Sealed) -> Batch:
        """Sealed rows as an input of a join has them; their order is in `sequence`."""
        rows, keys = sealed.rows, sealed.keys
        assert rows is not None
        assert keys is not None, f"node {self.name} joins by symbol: its rows need keys"
        codes = np.unique(keys.group[keys.group != NO_GROUP])
        key_code = np.searchsorted(codes, keys.group).astype(np.int32)
        key_code[keys.group == NO_GROUP] = NO_GROUP
        first, self._count = self._count, self._count + rows.num_rows
        indices: Int32s = np.asarray(rows.column(LEFT_INDEX).to_numpy(), np.int32)
        return Batch(
            columns=rows.select(self._streams[number].schema.names),
            time_ns=keys.time_ns,
            sequence=np.arange(first, self._count, dtype=np.int64),
            offset=np.asarray(rows.column(LEFT_OFFSET).to_numpy(), np.int64),
            index=indices,
            key_code=key_code,
            keys=self._groups.keys(codes.astype(np.int32)),
        )
