"""Where a recursion starts (0.7), and the recursion from there on."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.oracles.features.rows import Column, Rows, Settings, Stretch, Value, by_stretch, setting

EPS = 1e-9  # the weight that the first row may still have where memory is anchored

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far back a row still weighs `eps`: in rows, or in nanoseconds."""

    length: float
    by_time: bool

    def starts(self, time_ns: Sequence[int]) -> list[int]:
        """The first row that each row's recursion sees: the first of the anchor's block before its own.

        Where that block has no rows, it is the first of its own.
        """
        block = 1
        while block < self.length:
            block *= 2
        if not self.by_time:
            return [max(0, (n // block - 1) * block) for n in range(len(time_ns))]
        return [bisect_left(time_ns, (now_ns // block - 1) * block) for now_ns in time_ns]


def horizon_of_rows(kept: float, settings: Settings) -> Horizon:
    """The smallest number of rows after which kept ** rows <= eps."""
    eps = setting(settings, "eps", EPS)
    assert kept < 1, "what never fades has no horizon to be anchored at"
    return Horizon(math.ceil(math.log(eps) / math.log(kept)) if kept > 0 else 1, by_time=False)


def horizon_of_time(half_life_ns: float, settings: Settings) -> Horizon:
    """The time after which a weight has fallen to eps."""
    return Horizon(half_life_ns * math.log2(1 / setting(settings, "eps", EPS)), by_time=True)


def recursion(
    rows: Rows,
    operands: Sequence[Column],
    settings: Settings,
    *,
    start: Callable[[], State],
    step: Callable[[State, int, Sequence[Value]], State],
    value: Callable[[State, Sequence[Value]], Value],
    horizon: Callable[[], Horizon],
) -> Column:
    """Each row's `value(state, its values)` after a `step(state, time_ns, values)` per row so far."""
    memory = setting(settings, "memory", "session")
    assert memory in ("session", "genesis", "anchored"), memory

    def of(stretch: Stretch) -> Column:
        count = len(stretch.time_ns)
        starts = horizon().starts(stretch.time_ns) if memory == "anchored" else [0] * count
        values: Column = []
        state = start()
        for n in range(count):
            again = n > 0 and starts[n] != starts[n - 1]
            if again:
                state = start()
            for row in range(starts[n] if again else n, n + 1):
                state = step(state, stretch.time_ns[row], [operand[row] for operand in stretch.operands])
            values.append(value(state, [operand[n] for operand in stretch.operands]))
        return values

    return by_stretch(
        rows, operands, of, by_session=memory == "session", hours=setting(settings, "hours", "all")
    )
