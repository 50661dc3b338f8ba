"""A graph at work: the nodes of one task, run one after another over the rows that the join seals."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np

from operators.entries import KeptEntries, owned, owner_prefix
from operators.graph.plan import Plan, PlannedNode
from operators.node import Context, Node, NodeStateError
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import ALIGNED, Sealed, Snapshot
from operators.sessions.sessions import OUTSIDE

MakeNode: TypeAlias = Callable[[PlannedNode, Groups], Node]
INT64_MAX: Final = 2**63 - 1


class Graph:
    """The nodes of one task.  The order of calls is that of `Node`.

    `meaning`   16 hex digits that are equal where all nodes mean the same.
    `layouts`   by node with an output: the columns it gives.
    `groups`    number the symbols of the task.
    """

    def __init__(self, plan: Plan, make: MakeNode | None = None, groups: Groups | None = None) -> None:
        """The nodes of the plan as they start; `make` makes them, for who tries other ones."""
        self.meaning = plan.meaning
        self._plan = plan
        self._make = make or make_node
        self.groups = Groups() if groups is None else groups
        self._nodes: dict[str, Node] = {node.name: self._make(node, self.groups) for node in plan.nodes}
        self._stale: list[bytes] = []  # keys of entries that no node has
        self._carried: dict[str, list[int] | None] = {}
        self.layouts = plan.outputs()
        for planned in plan.nodes:
            if planned.carried is not None:
                names = planned.features.layout.names
                places = [names.index(name) for name in planned.carried]
                self._carried[planned.name] = places if len(places) < len(names) else None

    @property
    def needs(self) -> Mapping[str, Context]:
        """By node what of the past it says that it needs."""
        return {name: node.needs for name, node in self._nodes.items()}

    def take(self, aligned: Sealed) -> Mapping[str, Sealed]:
        """Run the rows that became final through every node; returns what goes out, by node.

        Each output says itself how far it is complete.
        """
        sealed = {ALIGNED: self._in_sessions(aligned)}
        for planned in self._plan.nodes:
            sealed[planned.name] = self._nodes[planned.name].take((sealed[planned.upstream],))
        return {name: _choose(sealed[name], places) for name, places in self._carried.items()}

    def snapshot(self) -> Snapshot:
        """Return what changed in any node since the last snapshot; entries that no node has are deleted."""
        puts: list[tuple[bytes, bytes]] = []
        deletes = self._stale
        self._stale = []
        for node in self._nodes.values():
            changed = owned(node.name, node.meaning, node.snapshot())
            puts += changed.puts
            deletes += changed.deletes
        return Snapshot(puts, deletes)

    def restore(self, kept: KeptEntries, others: Mapping[str, str]) -> tuple[str, ...]:
        """Give each node its entries back; returns the names of the nodes that cannot use theirs.

        Such a node starts without state.  Entries of a node that is gone, or means something else now, are
        left out and deleted with the next snapshot.  `others` own the rest, as meaning by name.
        """
        meanings = {node.name: node.meaning for node in self._nodes.values()} | dict(others)
        self._stale = [key for key, _ in kept.rest(meanings)]
        lost = []
        for planned in self._plan.nodes:
            own = kept.all_of(planned.name, planned.meaning)
            try:
                self._nodes[planned.name].restore(own)
            except NodeStateError:
                prefix = owner_prefix(planned.name, planned.meaning)
                self._stale += [prefix + key for key, _ in own]
                self._nodes[planned.name] = self._make(planned, self.groups)
                lost.append(planned.name)
        return tuple(lost)

    def _in_sessions(self, sealed: Sealed) -> Sealed:
        """The rows with the session that each is in."""
        if sealed.keys is None or not self._plan.nodes:
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
