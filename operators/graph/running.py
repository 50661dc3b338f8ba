"""The nodes of a task over rows that became final: one after another, each after those it reads."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np

from operators.graph.aliases import renamed_rows
from operators.graph.moments import Moments
from operators.graph.past import pasts_of
from operators.graph.plan import Plan, PlannedNode
from operators.node import Node
from operators.rows.groups import Groups
from operators.sealed import Sealed
from operators.sessions.sessions import OUTSIDE, Sessions, ids_if_known
from operators.tiles.calls import FailedTile
from operators.tiles.node import TileNode
from schemas.batch import Int64s

MakeNode: TypeAlias = Callable[[PlannedNode, Groups], Node]
INT64_MAX: Final = 2**63 - 1
NONE: Final[Mapping[str, Sealed]] = MappingProxyType({})


class RunningNodes:
    """The nodes of one task, without anything that a restart needs.

    `groups`  number the symbols of the task.
    """

    def __init__(self, plan: Plan, make: MakeNode, groups: Groups) -> None:
        self._plan = plan
        self.groups = groups
        self._nodes: dict[str, Node] = {node.name: make(node, groups) for node in plan.nodes}
        self._looks_back = bool(pasts_of(plan))

    @property
    def has_nodes(self) -> bool:
        """Whether there is any node."""
        return bool(self._nodes)

    def run(
        self,
        roots: Mapping[str, Sealed],
        known: Mapping[str, Sealed] = NONE,
        moments: Moments | None = None,
    ) -> dict[str, Sealed]:
        """Run rows of roots that became final through every node; what each gives, and the roots.

        A node whose rows are `known`, as it gave them once for the same calls, does not run.  With `moments`
        rows of joins get theirs.
        """
        sealed = {name: self._enter(name, rows) for name, rows in roots.items()}
        for planned in self._plan.nodes:
            rows = known.get(planned.name)
            if rows is not None:
                sealed[planned.name] = self._in_sessions(rows, made=True)
                continue
            made = self._nodes[planned.name].take(tuple(sealed[name] for name in planned.reads))
            if moments is not None and planned.join is not None:
                made = moments.with_moments(planned.name, made)
            sealed[planned.name] = self._in_sessions(made, made=True) if planned.has_own_rows else made
        return sealed

    def failures(self) -> list[FailedTile]:
        """The tiles whose function failed since this was asked last."""
        nodes = [node for node in self._nodes.values() if isinstance(node, TileNode)]
        return [failed for node in nodes for failed in node.failures()]

    def _enter(self, root: str, sealed: Sealed) -> Sealed:
        """Sealed rows of a root as nodes see them."""
        return renamed_rows(self._in_sessions(sealed), self._plan.aliases.get(root, {}))

    def _in_sessions(self, sealed: Sealed, *, made: bool = False) -> Sealed:
        """The rows with the session that each is in, where a node looks back and they have none of their own.

        Raises CalendarError for a row of a time that no calendar knows; one that was `made`, such as a bar
        that ends then, is outside every session.
        """
        if sealed.keys is None or sealed.keys.session.size or not self._looks_back:
            return sealed
        session = sessions_by_time(self._plan.sessions, sealed.keys.time_ns, made=made)
        return sealed._replace(keys=sealed.keys._replace(session=session))


def sessions_by_time(sessions: Sessions, time_ns: Int64s, *, made: bool) -> Int64s:
    """The session of each row of these times, as `RowKeys` has it.

    Raises CalendarError for a time that no calendar knows; of rows that were `made` that is outside.
    """
    session = ids_if_known(sessions.ids, time_ns) if made else sessions.ids(time_ns)
    if session.size and session.min() < OUTSIDE:  # before 1970: nodes know ids from 0 on, and `OUTSIDE`
        session = np.where(session == OUTSIDE, OUTSIDE, session & INT64_MAX)
    return session
