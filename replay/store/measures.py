"""What a day's summary says of its rows, measured while they pass."""

import pyarrow as pa
import pyarrow.compute as pc

from replay.order import as_int64s, disorder, order_times
from replay.store.day import ClockSummary
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS, EVENT_NS, KNOWN_NS, Clock
from schemas.stream import Stream, message_keys


class Measures:
    """What a summary says of the rows, gathered while they pass."""

    def __init__(self, stream: Stream, order: Clock) -> None:
        self._stream = stream
        self._order: Clock = order
        self._newest_order_ns = BEGINNING_NS
        self._columns = [name for name in (EVENT_NS, KNOWN_NS) if name in stream.schema.names]
        self._newest_ns = dict.fromkeys(self._columns, BEGINNING_NS)
        self._clocks: dict[str, ClockSummary] = {}
        self.rows = 0
        self.keys: set[str] = set()

    def add(self, batch: pa.RecordBatch) -> None:
        """Measure the next rows."""
        if batch.num_rows == 0:
            return
        trailing, self._newest_order_ns = disorder(order_times(batch, self._order), self._newest_order_ns)
        assert trailing == 0, f"rows of {self._stream.name} are not in publish order"
        self.rows += batch.num_rows
        keys = pc.unique(message_keys(batch, self._stream.key)).to_pylist()
        self.keys.update(key.decode(errors="backslashreplace") for key in keys)
        for name in self._columns:
            self._add_clock(name, as_int64s(batch.column(name).drop_null()), batch.column(name).null_count)

    def _add_clock(self, name: str, times_ns: Int64s, nulls: int) -> None:
        before = self._clocks.get(name)
        if times_ns.size == 0:
            if before is not None:
                self._clocks[name] = ClockSummary(
                    before.first_ns, before.last_ns, before.nulls + nulls, before.disorder_ns
                )
            return
        trailing, self._newest_ns[name] = disorder(times_ns, self._newest_ns[name])
        lower, upper = int(times_ns.min()), int(times_ns.max())
        if before is None:
            self._clocks[name] = ClockSummary(lower, upper, self.rows - int(times_ns.size), trailing)
        else:
            self._clocks[name] = ClockSummary(
                min(before.first_ns, lower),
                max(before.last_ns, upper),
                before.nulls + nulls,
                max(before.disorder_ns, trailing),
            )

    def clocks(self) -> dict[str, ClockSummary]:
        """The clocks that any row had."""
        return self._clocks
