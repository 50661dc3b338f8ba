"""A graph at work: the nodes of one task, run one after another over the rows that the join seals."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np

from operators.entries import KeptEntries, owned, owner_prefix
from operators.graph.journal import Journals
from operators.graph.node_places import NodePlaces
from operators.graph.past import pasts_of
from operators.graph.plan import Plan, PlannedNode
from operators.graph.row_places import RowPlaces
from operators.inputs.progress import FIRST, RowPlace
from operators.node import Context, Node, NodeStateError
from operators.nodes.formula import FormulaNode
from operators.operator import Missing, Standing
from operators.rows.groups import Groups
from operators.sealed import ALIGNED, Sealed, Snapshot
from operators.sessions.sessions import OUTSIDE, started_by

MakeNode: TypeAlias = Callable[[PlannedNode, Groups], Node]
INT64_MAX: Final = 2**63 - 1


class Graph:
    """The nodes of one task.  The order of calls is that of `Node`.

    Each node that remembers earlier rows knows which row it took last.  `resume` compares that with a commit:
    nodes that stand elsewhere are cold, until `warm` has given them the sealed rows up to there.

    `layouts`   by node with an output: the columns it gives.
    `groups`    number the symbols of the task.
    """

    def __init__(self, plan: Plan, make: MakeNode | None = None, groups: Groups | None = None) -> None:
        """The nodes of the plan as they start; `make` makes them, for who tries other ones."""
        self._plan = plan
        self._make = make or make_node
        self.groups = Groups() if groups is None else groups
        self._nodes: dict[str, Node] = {node.name: self._make(node, self.groups) for node in plan.nodes}
        self._places = NodePlaces(pasts_of(plan))
        self._missing: Missing | None = None
        self.warmed_rows = 0
        self.standing = Standing()
        self.layouts = plan.outputs()
        self._journals = Journals(with_topic=bool(self.layouts))
        self._carried: dict[str, list[int] | None] = {}
        for planned in plan.nodes:
            if planned.carried is not None:
                names = planned.features.layout.names
                places = [names.index(name) for name in planned.carried]
                self._carried[planned.name] = places if len(places) < len(names) else None

    @property
    def meaning(self) -> str:
        """16 hex digits that are equal where all nodes mean the same."""
        return self._plan.meaning

    @property
    def needs(self) -> Mapping[str, Context]:
        """By node what of the past it says that it needs."""
        return {name: node.needs for name, node in self._nodes.items()}

    def take(self, aligned: Sealed) -> Mapping[str, Sealed]:
        """Run the rows that became final through every node; returns what goes out, by node.

        Each output says itself how far it is complete.
        """
        assert self._missing is None, "nodes are cold: they lack rows that were sealed before"
        sealed = {ALIGNED: self._in_sessions(aligned)}
        for planned in self._plan.nodes:
            sealed[planned.name] = self._nodes[planned.name].take((sealed[planned.upstream],))
        return {name: _choose(sealed[name], places) for name, places in self._carried.items()}

    @property
    def remembers(self) -> bool:
        """Whether any node remembers earlier rows."""
        return bool(self._places)

    @property
    def missing(self) -> Missing | None:
        """The rows that `warm` is to be given; None where every node stands at the commit."""
        return self._missing

    @property
    def newest(self) -> RowPlace:
        """The place of the last row that any node took, as it was restored; `FIRST` for none."""
        return self._places.newest

    def resume(self, through: RowPlace | None) -> None:
        """Take up a commit whose last sealed row is `through`; after `restore`, before anything is taken.

        A node whose own input has to begin further back than it stands itself starts anew, for it has to give
        those rows once more.
        """
        if through is None:
            assert not self._places.standing(), "nodes have rows that no commit has sealed"
        elif starts := self._starts(through):
            self._missing = Missing(min(starts.values()), through, tuple(starts))
        self._journals.resumed()

    def warm(self, rows: Sealed, places: RowPlaces) -> None:
        """Let cold nodes take sealed rows again, in order; nothing comes out.

        Rows that a node has taken already are passed over, as are those behind the commit.  Rows that were
        sent twice, with all that came behind the first of them, are taken once.
        """
        edges = places.stretches()
        for lower, upper in pairwise(edges):
            if self._missing is None:
                return
            end = lower + places.count_up_to(self._missing.through, lower, upper)
            begin = lower + places.count_up_to(self._missing.start, lower, upper)
            if begin < end:
                self._warm(rows, places, begin, end)

    def snapshot(self, through: RowPlace | None = None) -> Snapshot:
        """Return what changed in any node since the last snapshot; entries that no node has are deleted.

        `through` is the place of the last row taken.
        """
        self._collect(through)
        return self._journals.local.take()

    def kept(self, through: RowPlace | None) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, for a topic: a key without a value is taken back."""
        self._collect(through)
        changed = self._journals.topic.take()
        return [*((key, None) for key in changed.deletes), *changed.puts]

    def restore(
        self, kept: KeptEntries, others: Mapping[str, str], *, from_topic: bool = False
    ) -> tuple[str, ...]:
        """Give each node its entries back; returns the names of the nodes that cannot use theirs.

        Such a node starts without state.  Entries of a node that is gone, or means something else now, are
        left out and deleted with the next snapshot.  `others` own the rest, as meaning by name.  The entries
        were written by `snapshot`, or by `kept` (`from_topic`); the other of the two writes them all.
        """
        meanings = {node.name: node.meaning for node in self._nodes.values()} | dict(others)
        strange = kept.rest(meanings)
        self._journals.remove(key for key, _ in strange)
        lost = []
        for planned in self._plan.nodes:
            own = dict(kept.all_of(planned.name, planned.meaning))
            prefix = self._prefix(planned.name)
            written = {prefix + key: value for key, value in own.items()}
            self._journals.restored(planned.name, written, from_topic=from_topic)
            try:
                own = self._places.restore(planned.name, own)
                self._nodes[planned.name].restore(own.items())
            except NodeStateError:
                self._renew(planned)
                lost.append(planned.name)
        had = {key.partition(b"\0")[0].decode(errors="replace") for key, _ in strange}
        same = self._places.standing()
        bare = [name for name in self._places.pasts if name not in same and name not in lost]
        self.standing = Standing(
            same=tuple(same),
            new=tuple(name for name in bare if name not in had),
            changed=tuple(name for name in bare if name in had),
            lost=tuple(lost),
            gone=tuple(sorted(had - meanings.keys())),
        )
        return tuple(lost)

    def _collect(self, through: RowPlace | None) -> None:
        """Ask every node for what changed, for both who write it down."""
        assert self._missing is None, "a snapshot now would lack rows that nodes have yet to take again"
        puts: list[tuple[bytes, bytes]] = []
        deletes: list[bytes] = []
        for node in self._nodes.values():
            changed = owned(node.name, node.meaning, node.snapshot())
            puts += changed.puts
            deletes += changed.deletes
        if through is not None:
            for name, key, value in self._places.changes(through):
                puts.append((self._prefix(name) + key, value))
        self._journals.remove(deletes)
        self._journals.add(puts)

    def _starts(self, through: RowPlace) -> dict[str, RowPlace]:
        """Where the rows begin that each cold node is to take, exclusive; it makes anew what it must."""
        earliest: dict[str, RowPlace] = {}  # by node: where those that read it begin
        right: dict[str, RowPlace] = {}  # by node: behind where readers that go on need its rows to be right
        starts: dict[str, RowPlace] = {}
        for planned in reversed(self._plan.nodes):
            name = planned.name
            begins, right_from = earliest.get(name, through), right.get(name, through)
            past = self._places.pasts.get(name)
            if past is not None:
                place = self._places[name]
                if place is not None and place > begins:
                    self._renew(planned)
                    place = None
                assert place is None or place <= through, f"node {name} has rows that no commit has sealed"
                if place is None:
                    begins_ns = past.begins_ns(right_from[0], self._session_start)
                    place = FIRST if begins_ns is None else (begins_ns, *FIRST[1:])
                    right_from = through  # the past of a node has that of the nodes it reads
                else:
                    right_from = place
                if place != through:
                    starts[name] = place
                begins = min(begins, place)
            upstream = planned.upstream
            earliest[upstream] = min(begins, earliest.get(upstream, through))
            right[upstream] = min(right_from, right.get(upstream, through))
        return starts

    def _warm(self, rows: Sealed, places: RowPlaces, begin: int, end: int) -> None:
        """Let the nodes take the rows from `begin` to before `end`, cut where one of them stands."""
        missing = self._missing
        assert missing is not None
        assert rows.rows is not None
        assert rows.keys is not None
        stops = self._places.stops(missing.nodes)
        edges = sorted({begin, end, *(begin + places.count_up_to(place, begin, end) for place in stops)})
        for lower, upper in pairwise(edges):
            first, last = places.place(lower), places.place(upper - 1)
            cold = [name for name in missing.nodes if (self._places[name] or FIRST) < first]
            keys = rows.keys._replace(
                group=rows.keys.group[lower:upper], time_ns=rows.keys.time_ns[lower:upper]
            )
            part = Sealed(rows.rows.slice(lower, upper - lower), last[0], keys=keys)
            self._run(part, cold)
            self._places.move(cold, last)
        self.warmed_rows += end - begin
        last = places.place(end - 1)
        done = last == missing.through
        self._missing = None if done else missing._replace(start=last)

    def _run(self, part: Sealed, cold: list[str]) -> None:
        """Run the nodes that are cold, and those that remember nothing, over sealed rows."""
        sealed = {ALIGNED: self._in_sessions(part)}
        for planned in self._plan.nodes:
            runs = planned.name in cold or planned.name not in self._places.pasts
            if runs and planned.upstream in sealed:
                sealed[planned.name] = self._nodes[planned.name].take((sealed[planned.upstream],))

    def _renew(self, planned: PlannedNode) -> None:
        """Let a node start without state; what was kept of it is deleted with the next snapshot."""
        self._journals.renewed(planned.name)
        self._nodes[planned.name] = self._make(planned, self.groups)
        self._places.renew(planned.name)

    def _prefix(self, name: str) -> bytes:
        return owner_prefix(name, self._nodes[name].meaning)

    def _session_start(self, time_ns: int) -> int:
        """The start of the last session that began by a time, or a time before it."""
        return started_by(self._plan.sessions, time_ns)

    def _in_sessions(self, sealed: Sealed) -> Sealed:
        """The rows with the session that each is in, where a node looks back."""
        if sealed.keys is None or not self._places:
            return sealed
        session = self._plan.sessions.ids(sealed.keys.time_ns)
        if session.size and session.min() < OUTSIDE:  # before 1970: nodes know ids from 0 on, and `OUTSIDE`
            session = np.where(session == OUTSIDE, OUTSIDE, session & INT64_MAX)
        return sealed._replace(keys=sealed.keys._replace(session=session))


def make_node(planned: PlannedNode, groups: Groups) -> Node:
    """A new node of a plan."""
    return FormulaNode(planned.name, planned.features, groups)


def _choose(sealed: Sealed, places: list[int] | None) -> Sealed:
    """The columns that an output carries; None for all."""
    if sealed.rows is None or places is None:
        return sealed
    return sealed._replace(rows=sealed.rows.select(places))
