"""The watcher of a storm: a reader of the aligned topic that keeps columns, not rows, of what went by.

Rows of a partition come in the order of (time, left offset, index), each once: so a row that is not behind
the one before it is a row too many or out of order, and nothing need be remembered but the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tests.broker.chaos.watcher import Watcher

PLACE: Final = ("event_ns", "left_offset", "left_index")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame became visible at `moment_s` (monotonic); its newest row is of `event_ns`."""

    moment_s: float
    partition: int
    event_ns: int


class StormWatcher(Watcher):
    """Watches partitions for rows newer than a moment; `arrivals` are those of the last minutes."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        super().__init__(bootstrap, topic, partitions, repeats=False)
        self._newest = dict.fromkeys(range(partitions), (-1, -1, -1))
        self.newest_ns = dict.fromkeys(range(partitions), 0)
        self.arrivals: list[Arrival] = []

    def shown_s(self, since_s: float, event_ns: int) -> float | None:
        """The moment from which every partition had shown rows at or beyond `event_ns`; None if not yet."""
        if min(self.newest_ns.values()) < event_ns:
            return None
        first: dict[int, float] = {}
        for arrival in self.arrivals[:]:
            if arrival.event_ns >= event_ns and arrival.moment_s >= since_s:
                first.setdefault(arrival.partition, arrival.moment_s)
        return max(first.values(), default=since_s)

    def forget(self, before_s: float) -> None:
        """Forget arrivals before this moment."""
        count = next((n for n, one in enumerate(self.arrivals) if one.moment_s >= before_s), 0)
        del self.arrivals[:count]

    def _take(self, partition: int, offset: int, value: bytes) -> None:
        with pa.ipc.open_stream(value) as frame:
            rows = frame.read_all().select(list(PLACE))
        self.seen.messages.add((partition, offset))
        self.seen.rows += rows.num_rows
        columns = [column.to_numpy().astype(np.int64, copy=False) for column in rows.columns]
        joined = [
            np.concatenate(([last], column))
            for last, column in zip(self._newest[partition], columns, strict=True)
        ]
        self.seen.out_of_order += int(np.count_nonzero(~rises(joined)))
        event, left, index = (int(column[-1]) for column in joined)
        self._newest[partition] = (event, left, index)
        self.newest_ns[partition] = max(event, self.newest_ns[partition])
        self.arrivals.append(Arrival(monotonic(), partition, event))


def rises(columns: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.bool_]:
    """Whether each row is behind the one before it."""
    event, left, index = ((column[1:] > column[:-1], column[1:] == column[:-1]) for column in columns)
    behind: npt.NDArray[np.bool_] = event[0] | event[1] & (left[0] | left[1] & index[0])
    return behind
