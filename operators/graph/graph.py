"""A graph at work: the nodes of one task, run one after another over the rows that the join seals."""

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from operators.bars.node import BarsNode
from operators.entries import KeptEntries, owned, owner_prefix
from operators.graph.asof_node import AsofNode
from operators.graph.gone import Gone
from operators.graph.journal import Journals
from operators.graph.moments import Moments
from operators.graph.node_places import NodePlaces
from operators.graph.past import pasts_of
from operators.graph.plan import Plan, PlannedNode
from operators.graph.row_places import RowPlaces
from operators.graph.running import NONE, MakeNode, RunningNodes
from operators.graph.starts import Places, Start, starts_of
from operators.inputs.progress import FIRST, RowPlace
from operators.node import Context, Node, NodeStateError
from operators.nodes.formula import FormulaNode
from operators.operator import Missing, Standing
from operators.rows.groups import Groups
from operators.sealed import ALIGNED, Sealed, Snapshot
from operators.sessions.sessions import started_by
from operators.tiles.node import TileNode
from schemas.clocks import BEGINNING_NS

NOWHERE: Final[Places] = MappingProxyType({})
UNKNOWN: Final = Sealed(None, BEGINNING_NS)  # no word of it


class Graph(RunningNodes):
    """The nodes of one task.  The order of calls is that of `Node`.

    Each node that remembers earlier rows knows which row of each root it took last.  `resume` compares that
    with a commit: nodes that stand elsewhere are cold, until `warm` and `warm_stream` have given them the
    rows up to there, and `settle` has said how far these are complete.

    `layouts`   by node with an output: the columns it gives.
    """

    def __init__(
        self,
        plan: Plan,
        make: MakeNode | None = None,
        groups: Groups | None = None,
        gone: Gone | None = None,
    ) -> None:
        """The nodes of the plan as they start; `make` makes them, for who tries other ones.

        `gone` says how long what gone nodes remembered is kept.
        """
        self._make = make or make_node
        super().__init__(plan, self._make, Groups() if groups is None else groups)
        roots = {node.name: node.roots for node in plan.nodes}
        self._places = NodePlaces(pasts_of(plan), roots, gone or Gone())
        self._missing: Missing | None = None
        self._cold: dict[str, tuple[str, ...]] = {}  # by root: the nodes that have rows of it to take again
        self.warmed_rows = 0
        self.standing = Standing()
        self.layouts = plan.outputs()
        self._journals = Journals(with_topic=bool(self.layouts))
        self._outputs = {node.name: out for node in plan.nodes if (out := node.output) is not None}

    @property
    def needs(self) -> Mapping[str, Context]:
        """By node what of the past it says that it needs."""
        return {name: node.needs for name, node in self._nodes.items()}

    def take(
        self, aligned: Sealed, streams: Mapping[str, Sealed] = NONE, moments: Moments | None = None
    ) -> Mapping[str, Sealed]:
        """Run the rows of the join, and of each stream that is read, that became final through every node.

        Returns what goes out, by node.  Each output says itself how far it is complete.  With `moments` rows
        of roots come with theirs, and those of joins get them.
        """
        assert not self._cold, "nodes are cold: they lack rows that were sealed before"
        sealed = self.run({ALIGNED: aligned, **streams}, moments=moments)
        return {name: output.choose(sealed[name]) for name, output in self._outputs.items()}

    @property
    def remembers(self) -> bool:
        """Whether any node remembers earlier rows."""
        return bool(self._places)

    @property
    def missing(self) -> Missing | None:
        """The rows that `warm` is to be given; None where every node stands at the commit."""
        return self._missing

    @property
    def bare_behind_streams(self) -> list[str]:
        """The nodes that remember rows of streams, and have no state."""
        roots = {node.name: node.roots for node in self._plan.nodes}
        bare = [name for name, place in self._places.all.items() if place is None]
        return [name for name in bare if roots[name] != (ALIGNED,)]

    def newest(self, root: str) -> RowPlace:
        """The place of the last row of a root that any node took, as it was restored; `FIRST` for none."""
        return self._places.newest(root)

    def begins_ns(self, through: Places) -> Mapping[str, int]:
        """By stream, from which time on its rows are needed for nodes that start without state.

        Beside these, cold nodes need what came since their state was kept.
        """
        begins: dict[str, int] = {}
        for start in self._starts(through).values():
            for root in start.places.keys() - {ALIGNED}:
                if start.anew and through[root] != FIRST:
                    begins[root] = min(start.places[root][0], begins.get(root, start.places[root][0]))
        return begins

    def resume(self, through: Places) -> Mapping[str, int]:
        """Take up a commit; after `restore`, before anything is taken.

        `through` is, by root, the place of the last row that was sealed.  Nodes that stand elsewhere are cold
        then.  Returns, by stream with rows for cold nodes, from which time on these are.
        """
        if all(place == FIRST for place in through.values()):  # of no root
            assert not self._places.standing(), "nodes have rows that no commit has sealed"
            self._journals.remove(self._places.gone.expired(None))
            self._journals.resumed()
            return {}
        starts = self._starts(through)
        by_name = {planned.name: planned for planned in self._plan.nodes}
        for name, start in starts.items():
            if start.anew and self._places.all[name] is not None:
                self._renew(by_name[name])
        begins_ns: dict[str, int] = {}
        for root, last in through.items():
            cold = {name: at for name, (at, _) in starts.items() if at.get(root, last) != last}
            if not cold:
                continue
            self._cold[root] = tuple(cold)
            first = min(at[root] for at in cold.values())
            if root == ALIGNED:
                self._missing = Missing(first, last, tuple(cold))
            else:
                begins_ns[root] = first[0]
        self._journals.remove(self._places.gone.expired(max(place[0] for place in through.values())))
        self._journals.resumed()
        return begins_ns

    def warm(self, rows: Sealed, places: RowPlaces) -> None:
        """Let cold nodes take sealed rows of the join again, in order; nothing comes out.

        Rows that a node has taken already are passed over, as are those behind the commit.  Rows that were
        sent twice, with all that came behind the first of them, are taken once.
        """
        edges = places.stretches()
        for lower, upper in pairwise(edges):
            missing = self._missing
            if missing is None:
                return
            end = lower + places.count_up_to(missing.through, lower, upper)
            begin = lower + places.count_up_to(missing.start, lower, upper)
            if begin < end:
                self._warm(ALIGNED, rows, places, begin, end)
                self.warmed_rows += end - begin
                last = places.place(end - 1)
                self._missing = None if last == missing.through else missing._replace(start=last)
        if self._missing is None:
            self._cold.pop(ALIGNED, None)

    def warm_stream(self, name: str, rows: Sealed, places: RowPlaces) -> None:
        """Let cold nodes take the rows of a stream again that were sealed before; nothing comes out."""
        assert rows.rows is not None, "no rows are no call"
        if name in self._cold:
            self._warm(name, rows, places, 0, rows.rows.num_rows)

    def settle(self, complete_ns: Mapping[str, int]) -> None:
        """All rows up to the commit were taken again, and by root complete up to these times.

        What nodes give with that was given before.
        """
        assert self._missing is None, "nodes have sealed rows to take again first"
        self._cold.clear()
        self.take(
            Sealed(None, complete_ns[ALIGNED]),
            {name: Sealed(None, ns) for name, ns in complete_ns.items() if name != ALIGNED},
        )
        self.failures()  # of which an earlier life has given word

    def snapshot(self, through: Places = NOWHERE) -> Snapshot:
        """Return what changed in any node since the last snapshot; entries that no node has are deleted.

        `through` is, by root, the place of the last row taken.
        """
        self._collect(through)
        return self._journals.local.take()

    def kept(self, through: Places) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, for a topic: a key without a value is taken back."""
        self._collect(through)
        changed = self._journals.topic.take()
        return [*((key, None) for key in changed.deletes), *changed.puts]

    def restore(
        self, kept: KeptEntries, others: Mapping[str, str], *, from_topic: bool = False
    ) -> tuple[str, ...]:
        """Give each node its entries back; returns the names of the nodes that cannot use theirs.

        Such a node starts without state.  Entries of a node that is gone, or means something else now, are
        left out, and stay until they are too old (`resume`).  `others` own the rest, as meaning by name.  The
        entries were written by `snapshot`, or by `kept` (`from_topic`); the other of the two writes them all,
        but for those of gone nodes, which local state alone takes from the topic.
        """
        meanings = {node.name: node.meaning for node in self._nodes.values()} | dict(others)
        strange = kept.rest(meanings)
        self._places.gone.add(strange)
        if from_topic:
            self._journals.local.add(strange)
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
        had = self._places.gone.names
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

    def _collect(self, through: Places) -> None:
        """Ask every node for what changed, for both who write it down."""
        assert not self._cold, "a snapshot now would lack rows that nodes have yet to take again"
        puts: list[tuple[bytes, bytes]] = []
        deletes: list[bytes] = []
        for node in self._nodes.values():
            changed = owned(node.name, node.meaning, node.snapshot())
            puts += changed.puts
            deletes += changed.deletes
        for name, key, value in self._places.changes(through):
            puts.append((self._prefix(name) + key, value))
        self._journals.remove(deletes)
        self._journals.add(puts)

    def _starts(self, through: Places) -> dict[str, Start]:
        return starts_of(self._plan, self._places.pasts, self._places.all, through, self._session_start)

    def _warm(self, root: str, rows: Sealed, places: RowPlaces, begin: int, end: int) -> None:
        """Let the nodes take the rows from `begin` to before `end`, cut where one of them stands."""
        assert rows.rows is not None
        assert rows.keys is not None
        names = self._cold[root]
        stops = self._places.stops(names, root)
        edges = sorted({begin, end, *(begin + places.count_up_to(place, begin, end) for place in stops)})
        for lower, upper in pairwise(edges):
            first, last = places.place(lower), places.place(upper - 1)
            cold = [name for name in names if self._places.of(name, root) < first]
            keys = rows.keys._replace(
                group=rows.keys.group[lower:upper], time_ns=rows.keys.time_ns[lower:upper]
            )
            part = Sealed(rows.rows.slice(lower, upper - lower), last[0], keys=keys)
            self._run(root, part, cold)
            self._places.move(cold, root, last)

    def _run(self, root: str, part: Sealed, cold: list[str]) -> None:
        """Run the nodes that are cold, and those that remember nothing, over sealed rows of one root."""
        sealed = {root: self._enter(root, part)}
        for planned in self._plan.nodes:
            runs = planned.name in cold or planned.name not in self._places.pasts
            if runs and any(name in sealed for name in planned.reads):
                upstream = tuple(sealed.get(name, UNKNOWN) for name in planned.reads)
                made = self._nodes[planned.name].take(upstream)
                sealed[planned.name] = self._in_sessions(made) if planned.has_own_rows else made

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


def make_node(planned: PlannedNode, groups: Groups) -> Node:
    """A new node of a plan."""
    if planned.join is not None:
        return AsofNode(planned, groups)
    if planned.bars is not None:
        return BarsNode(planned.name, planned.meaning, planned.bars, groups)
    if planned.label is not None:
        return planned.label.node(planned.name, planned.meaning, groups)
    if planned.tiles is not None:
        return TileNode(planned.name, planned.meaning, planned.tiles, groups)
    return FormulaNode(planned.name, planned.features, groups)
