"""When sealed rows could have been in a reader's hands at the earliest, as the logs alone tell."""

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from operators.graph.plan import Plan
from operators.join.sealer import reaches
from operators.join.settings import AsofSettings
from operators.sealed import ALIGNED, Sealed
from schemas.batch import Int64s


class Moments:
    """Says it of the rows of roots, and of joins of nodes; of others they are those of the rows they come of.

    A row is final once every input has passed its time, or has reached it where only strict matches are
    looked up: all nodes on the way are complete up to the frontier, since none of them holds rows back.
    """

    def __init__(self, plan: Plan, settings: AsofSettings, known_at: Callable[[Int64s], pa.Array]) -> None:
        """`known_at` says when all inputs had reached these bounds.

        Of rows of a join that looks ahead nothing is said: how long they wait hangs on which rows they meet.
        """
        self._known_at: Final = known_at
        self._silent: Final = {ALIGNED} if settings.hold_ns else set()
        beyond = {ALIGNED: int(not reaches(settings)), **dict.fromkeys(plan.streams, 1)}
        for node in plan.nodes:
            own = 0 if node.join is None or reaches(node.join.settings) else 1
            beyond[node.name] = max(beyond[node.upstream], own)
        self._beyond: Final = beyond  # by root and node: how far beyond a row's time the inputs have to be

    def with_moments(self, name: str, sealed: Sealed) -> Sealed:
        """The rows of a root or a join with the earliest moment of each."""
        if sealed.keys is None or name in self._silent:
            return sealed
        return sealed._replace(available=self._known_at(sealed.keys.time_ns + self._beyond[name]))
