"""The nodes of one task, as a worker keeps what they remember in a topic and gives it back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pyarrow as pa

from operators.entries import KeptEntries, SnapshotError
from operators.graph.graph import Graph
from operators.graph.moments import Moments
from operators.graph.row_keys import row_keys
from operators.graph.row_places import row_places
from operators.graph.starts import Places
from operators.graph.stream_root import StreamRoot, stream_place
from operators.graph.waiting import Waiting
from operators.inputs.progress import FIRST, TaskProgress
from operators.join.root import AsofRoot
from operators.join.settings import AsofSettings
from operators.operator import Missing, Standing
from operators.sealed import ALIGNED, Entries, Sealed
from operators.tiles.calls import FailedTile
from schemas.clocks import BEGINNING_NS, clock_column


class TaskNodes:
    """Sealed rows that a graph lacks, and entries of it, go in and out by the operator's roots (`Nodes`)."""

    def __init__(
        self,
        graph: Graph,
        root: AsofRoot,
        streams: Sequence[StreamRoot],
        settings: AsofSettings,
        moments: Moments | None,
        passed: Callable[[], None],
    ) -> None:
        """`passed` is called when all sealed rows have been taken; `moments` are for rows of joins."""
        self.remembers: Final = graph.remembers and bool(graph.layouts)
        self.streams: Final = frozenset(stream.name for stream in streams if stream.keeps_back)
        self._graph = graph
        self._root = root
        self._streams = streams
        self._settings = settings
        self._moments = moments
        self._passed = passed
        self._waiting = Waiting({root.name: root.layout, **{one.name: one.layout for one in streams}})

    @property
    def missing(self) -> Missing | None:
        """The sealed rows of the join that nodes have to take again, with `warm`; None for none."""
        return self._graph.missing

    @property
    def warmed_rows(self) -> int:
        """How many sealed rows of the join were taken again."""
        return self._graph.warmed_rows

    @property
    def standing(self) -> Standing:
        """What became of the state of nodes that was kept."""
        return self._graph.standing

    @property
    def through(self) -> Places:
        """By root the place of the last row that was sealed."""
        streams = {stream.name: stream.through for stream in self._streams}
        return {self._root.name: self._root.through or FIRST, **streams}

    @property
    def due(self) -> bool:
        """Whether sealed rows wait that nodes have to take before more is sealed."""
        return self._waiting.due

    @property
    def waits(self) -> bool:
        """Whether any sealed rows wait."""
        return bool(self._waiting)

    def add(self, sealed: Mapping[str, Sealed]) -> None:
        """Let what a seal gave wait, by root, where there are nodes; not while anything is `due`."""
        if self._graph.has_nodes:
            self._waiting.add(sealed)

    def run(self) -> dict[str, Sealed]:
        """Let nodes take the sealed rows that wait for them; return what goes out, by sink."""
        waiting = self._waiting.take()
        if not waiting:
            return {}
        sealed = dict(self._graph.take(waiting.pop(ALIGNED), waiting, self._moments))
        self._passed()
        return sealed

    def failures(self) -> Sequence[FailedTile]:
        """The tiles whose function failed since this was asked last."""
        return self._graph.failures()

    def warm(self, rows: pa.RecordBatch) -> None:
        """Let nodes take sealed rows again, as they were read back, in the order of their topic."""
        left, on = self._settings.left, clock_column(self._settings.clock)
        keys = row_keys(rows, left.key, on, self._graph.groups)
        sealed = Sealed(rows, BEGINNING_NS, keys=keys)
        self._graph.warm(sealed, row_places(rows, on, left.sequence))

    def kept(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call of what nodes remember; a key without a value is taken back."""
        entries = self._graph.kept(self.through)
        for stream in self._streams:
            stream.kept()
        return entries

    def recall(self, entries: Entries, committed: TaskProgress) -> None:
        """Give nodes back what `kept` wrote.

        Raises SnapshotError where an entry is none of ours, or nodes have rows beyond the commit.
        """
        self._graph.restore(KeptEntries(entries), {}, from_topic=True)
        for name, place in self.places(committed).items():
            if self._graph.newest(name) > place:
                raise SnapshotError(
                    "nodes have rows beyond the commit: offsets of the group were set back by hand"
                )

    def begins_ns(self, committed: TaskProgress) -> Mapping[str, int]:
        """By stream from which time on its rows are needed by nodes that start without state."""
        return self._graph.begins_ns(self.places(committed)) if self.remembers else {}

    def places(self, committed: TaskProgress) -> Places:
        """By root the place of the last row that was sealed by a commit."""
        frontier = stream_place(committed.frontier_ns)
        of_streams = {stream.name: frontier for stream in self._streams}
        return {self._root.name: committed.through.get(self._root.name, FIRST), **of_streams}
