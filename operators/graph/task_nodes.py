"""The nodes of one task, as a worker keeps what they remember in a topic and gives it back."""

from typing import Final

import pyarrow as pa

from operators.entries import KeptEntries, SnapshotError
from operators.graph.graph import Graph
from operators.graph.row_keys import row_keys
from operators.graph.row_places import row_places
from operators.inputs.progress import FIRST, RowPlace
from operators.join.root import AsofRoot
from operators.join.settings import AsofSettings
from operators.operator import Missing, Standing
from operators.sealed import Entries, Sealed
from schemas.clocks import BEGINNING_NS, clock_column


class TaskNodes:
    """Sealed rows that a graph lacks, and entries of it, go in and out by the operator's root (`Nodes`)."""

    def __init__(self, graph: Graph, root: AsofRoot, settings: AsofSettings) -> None:
        self.remembers: Final = graph.remembers and bool(graph.layouts)
        self._graph = graph
        self._root = root
        self._settings = settings

    @property
    def missing(self) -> Missing | None:
        """The sealed rows that nodes have to take again, with `warm`; None where they lack none."""
        return self._graph.missing

    @property
    def warmed_rows(self) -> int:
        """How many sealed rows were taken again."""
        return self._graph.warmed_rows

    @property
    def standing(self) -> Standing:
        """What became of the state of nodes that was kept."""
        return self._graph.standing

    def warm(self, rows: pa.RecordBatch) -> None:
        """Let nodes take sealed rows again, as they were read back, in the order of their topic."""
        left, on = self._settings.left, clock_column(self._settings.clock)
        keys = row_keys(rows, left.key, on, self._graph.groups)
        sealed = Sealed(rows, BEGINNING_NS, keys=keys)
        self._graph.warm(sealed, row_places(rows, on, left.sequence))

    def kept(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call of what nodes remember; a key without a value is taken back."""
        return self._graph.kept(self._root.through)

    def recall(self, entries: Entries, through: RowPlace | None) -> None:
        """Give nodes back what `kept` wrote.

        Raises SnapshotError where an entry is none of ours, or nodes have rows beyond that place.
        """
        self._graph.restore(KeptEntries(entries), {}, from_topic=True)
        if self._graph.newest > (through or FIRST):
            raise SnapshotError(
                "nodes have rows beyond the commit: offsets of the group were set back by hand"
            )
