"""The operator of one task: its inputs, the roots right behind them, and the nodes behind those.

    inputs -> accepted rows -> root -> sealed rows -> node -> sealed rows -> sinks

Roots see what inputs accept; nodes see sealed rows and how far those are complete, and nothing else.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from operators.entries import KeptEntries, SnapshotError, owned
from operators.graph.gone import Gone
from operators.graph.graph import Graph
from operators.graph.moments import Moments
from operators.graph.past import remembered_streams
from operators.graph.plan import Plan
from operators.graph.stream_root import StreamRoot
from operators.graph.task_nodes import TaskNodes
from operators.inputs.inputs import NAME as INPUTS
from operators.inputs.inputs import Inputs, InputSpec
from operators.inputs.progress import TaskProgress
from operators.inputs.resuming import ResumePlan
from operators.join.root import AsofRoot
from operators.join.settings import BUFFER_ROWS_MAX, BUFFER_SIZE_MAX, AsofSettings
from operators.nulls import joined_reasons
from operators.sealed import ALIGNED, Entries, Held, Sealed, Snapshot
from schemas.arrived import Arrived
from schemas.clocks import BEGINNING_NS

if TYPE_CHECKING:
    from operators.operator import Root


class TaskGraph:
    """Rows go in with `push`, the sealed rows of each sink come out with `seal` (`Operator`)."""

    def __init__(self, settings: AsofSettings, plan: Plan | None = None, gone: Gone | None = None) -> None:
        """The join of `settings`, and behind it the nodes of a planned graph, or of one that had others."""
        self.inputs = Inputs(
            [
                InputSpec(
                    stream=stream,
                    on=stream.require_clock(settings.clock),
                    grace_ns=settings.grace_ns.get(stream.name, 0),
                    rows_max=settings.buffer_rows_max.get(stream.name, BUFFER_ROWS_MAX),
                    size_max=settings.buffer_size_max.get(stream.name, BUFFER_SIZE_MAX),
                    carried=settings.carried_by_column(stream),
                )
                for stream in settings.streams
            ],
            max_ahead_ns=settings.max_ahead_ns,
            max_ahead_of=settings.max_ahead_of,
            remember_known=plan is not None and plan.available,
        )
        groups = self.inputs.groups
        self._root = AsofRoot(settings, groups, ALIGNED)
        plan = plan or Plan(name="", nodes=(), aligned=self._root.layout)
        self._moments = Moments(plan, settings, self.inputs.known_at) if plan.available else None
        self._graph = Graph(plan, groups=groups, gone=gone)
        remembered = remembered_streams(plan)
        self._streams = tuple(
            StreamRoot(stream, settings.clock, groups, keeps_back=name in remembered)
            for name, stream in plan.streams.items()
        )
        self.nodes: Final = TaskNodes(
            self._graph, self._root, self._streams, settings, self._moments, self._forget_known
        )
        self.sinks: Final = {self._root.name: self._root.layout, **self._graph.layouts}
        self._rereading = False
        # Whether nodes have yet to hear up to where an earlier life came, in a graph to which that matters.
        self._unsettled = False
        self._settles = bool(plan.streams) or any(node.has_own_rows for node in plan.nodes)
        self._complete_ns: dict[str, int] = {}  # by root, as an earlier life left it
        self._void: list[bytes] = []  # keys of kept entries that mean nothing by this rule

    @property
    def final(self) -> bool:
        """Whether every input has read its final record and nothing waits to be sealed."""
        return self.inputs.ended and all(root.is_empty for root in self._roots)

    @property
    def keeps(self) -> "TaskGraph | None":
        """Itself where the root needs rows without any bound behind the frontier."""
        return self if self._root.keeps else None

    @property
    def caught_up(self) -> bool:
        """Whether inputs and nodes have taken again all that was committed."""
        return self.inputs.caught_up and self._graph.missing is None and not self._unsettled

    def push(self, stream: str, arrived: Arrived, *, now_ns: int | None = None) -> None:
        """Take what arrived of one input, in the order of its log (see `Inputs.accept`)."""
        for rows in self.inputs.accept(stream, arrived, now_ns):
            for root in self._roots_of(stream):
                root.take(stream, rows)
            self._notice_caught_up()
            if rows.aside is not None:
                self._forget_set_aside()

    def seal(self, *, nodes: bool = True) -> dict[str, Sealed]:
        """Move the frontier to the smallest watermark; return the rows of each sink that became final.

        Without `nodes` it gives those of the join alone, and rows wait for `Nodes.run`.  While an input
        reads judged rows again, or nodes take sealed ones again, the frontier stands still.  Rows that an
        idle input would have held back are sealed apart, and last, so that they can be counted; then none
        wait.
        """
        self._notice_caught_up()
        if not self.caught_up:
            return {}
        evident_ns, assumed_ns = self.inputs.bounds()
        sealed = self._seal(evident_ns)
        if assumed_ns <= evident_ns:
            return {**sealed, **self.nodes.run()} if nodes else sealed
        sealed |= self.nodes.run()
        assumed = {**self._seal(assumed_ns), **self.nodes.run()}
        return {name: _joined(sealed[name], assumed[name]) for name in sealed}

    def finish(self) -> dict[str, Sealed]:
        """Seal everything that is left; the frontier moves past the newest row of any input.

        Past what a left row could still have matched, too: a row that comes yet must not belong to it.
        """
        assert self._graph.missing is None, "nodes have sealed rows to take again first"
        end_ns = max(self.inputs.frontier_ns, *(root.end_ns for root in self._roots))
        self.inputs.end_at(end_ns)
        self._notice_caught_up()
        return {**self._seal(end_ns), **self.nodes.run()}

    def held(self, stream: str) -> Held:
        """What waits of an input, or what waiting rows wait for."""
        first, *others = (root.held(stream) for root in self._roots_of(stream))
        if not others:
            return first
        return Held(*map(sum, zip(first, *others, strict=True)))

    def progress(self) -> TaskProgress:
        """How far the task has come, for the commit; ask after `seal`."""
        inputs, root = self.inputs, self._root
        return TaskProgress(
            frontier_ns=inputs.frontier_ns,
            inputs={
                name: inputs.progress(name, self._needed_offset(name, inputs.read_next(name)))
                for name in inputs.streams
            },
            through={} if root.through is None else {root.name: root.through},
            final=self.final,
        )

    def resume(self, plan: ResumePlan) -> None:
        """Take up committed progress; raises AssertionError where restored state is ahead of it."""
        committed = plan.committed
        self.inputs.resume(plan)
        needed = {name: progress.needed_offset for name, progress in committed.inputs.items()}
        for root in self._roots:
            root.resume(committed.frontier_ns, committed.through.get(root.name), needed, plan.held_ns)
        begins_ns = self._graph.resume(self.nodes.places(committed))
        for stream in self._streams:
            stream.reach_back(begins_ns.get(stream.name, committed.frontier_ns))
        self._rereading = True
        self._unsettled = self._settles
        self._void = list(plan.void)
        self._notice_caught_up()

    def snapshot(self) -> Snapshot:
        """What changed since the last snapshot; all snapshots so far together restore this state.

        Only once caught up: before, rows that the committed offsets stand for are not here yet.
        """
        assert self.inputs.caught_up, "a snapshot now would lack rows that have yet to be read again"
        assert not self.nodes.waits, "a snapshot now would lack rows that wait for nodes"
        parts = [
            owned(INPUTS, self.inputs.meaning, self.inputs.snapshot(self.progress())),
            *(owned(root.name, root.meaning, root.snapshot()) for root in self._roots),
            self._graph.snapshot(self.nodes.through),
        ]
        return Snapshot(
            [entry for part in parts for entry in part.puts],
            [key for part in parts for key in part.deletes],
        )

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots wrote; only on a new operator, before `resume`.

        Raises SnapshotError where the entries are of another meaning, damaged or incomplete; the operator is
        not to be used then.
        """
        inputs = self.inputs
        assert inputs.frontier_ns == BEGINNING_NS, "state is restored before anything else"
        assert not len(inputs.groups), "state is restored before anything else"
        kept = KeptEntries(entries)
        if not kept:
            return
        inputs.restore(kept.of(INPUTS, inputs.meaning))
        for root in self._roots:
            root.restore(kept.of(root.name, root.meaning))
        meanings = {root.name: root.meaning for root in self._roots}
        self._graph.restore(kept, {INPUTS: inputs.meaning, **meanings})
        if inputs.frontier_ns > BEGINNING_NS and (bare := self._graph.bare_behind_streams):
            raise SnapshotError(f"node {bare[0]} has no state in it, and needs older rows of its streams")

    @property
    def settled(self) -> bool:
        """Whether a restart needs nothing any more that was committed by another rule."""
        return not self._rereading and not self._void

    def taken_back(self) -> list[bytes]:
        """The keys to take back, once."""
        keys, self._void = self._void, []
        return keys

    def kept(self, entry_size_max: int | None = None) -> list[tuple[bytes, bytes]]:
        """Entries for what changed since the last call; `progress` asks for what waits now and what comes.

        Only once caught up and after `seal`, and committed with that progress or not at all.
        """
        assert self.inputs.caught_up, "the last rows are not known before all has been read again"
        entries = self._root.kept(entry_size_max)
        for name in self._root.streams[1:]:
            waits_from = self._root.oldest_waiting(name, self.inputs.next_offset(name))
            others = [root for root in self._streams if name in root.streams]
            self.inputs.raise_needed(
                name, min([waits_from, *(root.needed_offset(name, waits_from) for root in others)])
            )
        return entries

    def recall(self, entries: Iterable[tuple[bytes, bytes]], frontier_ns: int) -> Mapping[str, int]:
        """Take back kept entries; before `resume` with `frontier_ns`."""
        return self._root.recall(entries, frontier_ns)

    def _seal(self, frontier_ns: int) -> dict[str, Sealed]:
        joined, streams = self._seal_roots(frontier_ns)
        self.nodes.add({self._root.name: joined, **streams})
        return {self._root.name: joined}

    def _forget_known(self) -> None:
        """All rows below the frontier have their moments, those of joins of nodes too."""
        if self._moments is not None:
            self.inputs.forget_known(self._moments.past(self.inputs.frontier_ns))

    def _seal_roots(self, frontier_ns: int) -> tuple[Sealed, dict[str, Sealed]]:
        """The rows of the join, and of each stream that nodes read, that are final with this frontier."""
        self.inputs.move_to(frontier_ns)
        joined = self._root.seal(frontier_ns)
        streams = {root.name: root.seal(frontier_ns) for root in self._streams}
        if self._moments is not None:
            joined = self._moments.with_moments(self._root.name, joined)
            streams = {name: self._moments.with_moments(name, rows) for name, rows in streams.items()}
        self._forget_set_aside()
        return joined, streams

    @property
    def _roots(self) -> "tuple[Root, ...]":
        return (self._root, *self._streams)

    def _roots_of(self, stream: str) -> "list[Root]":
        return [root for root in self._roots if stream in root.streams]

    def _needed_offset(self, stream: str, otherwise: int) -> int:
        return min(root.needed_offset(stream, otherwise) for root in self._roots_of(stream))

    def _forget_set_aside(self) -> None:
        """Forget the rows set aside that no restart could take for others any more."""
        for name in self.inputs.streams:
            rows = self.inputs.set_aside(name)
            if rows.rows:
                first, *others = self._roots_of(name)
                mistakable = first.mistakable(name, rows)
                for root in others:
                    mistakable |= root.mistakable(name, rows)
                self.inputs.keep_set_aside(name, mistakable)

    def _notice_caught_up(self) -> None:
        if self._rereading and self.inputs.caught_up:
            self._rereading = False
            self._complete_ns = {root.name: root.rereading_ended() for root in self._roots}
            for stream in self._streams:
                past = stream.past()
                if past is not None:
                    self._graph.warm_stream(stream.name, *past)
        if self._unsettled and not self._rereading and self._graph.missing is None:
            self._unsettled = False
            self._graph.settle(self._complete_ns)


class RootsAlone(TaskGraph):
    """The roots of a graph without its nodes: `seal` gives the rows of each root that became final."""

    def __init__(self, settings: AsofSettings, plan: Plan | None = None) -> None:
        """The join of `settings`, and the streams that nodes of the plan read."""
        super().__init__(settings, plan)
        self.layouts: Final = {root.name: root.layout for root in self._roots}

    def _seal(self, frontier_ns: int) -> dict[str, Sealed]:
        joined, streams = self._seal_roots(frontier_ns)
        self._forget_known()
        return {self._root.name: joined, **streams}


def _joined(evident: Sealed, assumed: Sealed) -> Sealed:
    """What was sealed on evidence, and behind it what was on the assumption that idle inputs stay silent."""
    rows = [part.rows for part in (evident, assumed) if part.rows is not None]
    matched = {
        name: count + assumed.matched_rows.get(name, 0) for name, count in evident.matched_rows.items()
    } or assumed.matched_rows
    available = [part.available for part in (evident, assumed) if part.available is not None]
    return Sealed(
        pa.concat_batches(rows) if len(rows) > 1 else rows[0] if rows else None,
        assumed.complete_ns,
        assumed_rows=0 if assumed.rows is None else assumed.rows.num_rows,
        matched_rows=matched,
        reasons=joined_reasons(evident, assumed),
        available=pa.concat_arrays(available) if available else None,
    )
