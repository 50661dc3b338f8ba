"""Times too far ahead: how late a time may be when it is judged, by the wall clock or by the inputs."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from operators.inputs.max_ahead_kernel import LATEST_NS, rolling_bounds
from operators.inputs.watermark import InputClock
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS

AheadOf = Literal["wall", "inputs"]


class AheadLimit:
    """The latest time that is taken lies `max_ahead_ns` beyond a reference; None takes every time.

    `of = "wall"`    the reference is the wall clock that the caller passes; without it all times are taken.
    `of = "inputs"`  it is the newest time known of any input, the row's own included: of the rows taken
                     before it and of progress records.  A row no more than `max_ahead_ns` beyond those before
                     it in its own log is therefore taken in whatever order the inputs are read; only a leap
                     of one input is judged, by how far the others have come.  The very first row is taken.
    """

    def __init__(self, max_ahead_ns: int | None, of: AheadOf, clocks: Sequence[InputClock]) -> None:
        self._max_ahead_ns = None if max_ahead_ns is None else min(max_ahead_ns, LATEST_NS)
        self._of = of
        self._clocks = clocks

    def bounds(self, time_ns: Int64s, now_ns: int | None) -> Int64s | None:
        """The latest time that is taken at each of these rows of one input; None where all are."""
        if self._max_ahead_ns is None or time_ns.size == 0:
            return None
        newest_ns = int(time_ns.max())
        if self._of == "wall" or self._newest_ns > BEGINNING_NS:
            bound_ns = self.bound(now_ns)
        else:
            bound_ns = min(int(time_ns[0]) + self._max_ahead_ns, LATEST_NS)
        if newest_ns <= bound_ns:
            return None
        bounds_ns = np.full(time_ns.size, bound_ns, np.int64)
        if self._of == "inputs":
            rolling_bounds(time_ns, self._newest_ns, self._max_ahead_ns, bounds_ns)
        return bounds_ns

    def bound(self, now_ns: int | None) -> int:
        """The latest time that is taken now."""
        reference_ns = now_ns if self._of == "wall" else self._newest_ns
        if self._max_ahead_ns is None or reference_ns is None or reference_ns == BEGINNING_NS:
            return LATEST_NS
        return min(reference_ns + self._max_ahead_ns, LATEST_NS)

    @property
    def _newest_ns(self) -> int:
        return max(clock.newest_ns for clock in self._clocks)
