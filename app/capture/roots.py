"""The sealed rows of roots, read back from topics: those before a span that nodes need, and those in it."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.join import INDEX, OFFSET
from app.audit.late import PLACES, NotAccepted, read_not_accepted
from app.capture.stands import Stand
from app.errors import RunError
from app.reading.partition import read_partition
from app.reading.warming import GoneError, sealed_rows
from app.wiring.pipeline import Pipeline
from operators.graph.row_places import row_places
from operators.graph.stream_root import StreamRoot
from operators.inputs.intake import Accepted
from operators.operator import Missing
from operators.rows.groups import Groups
from schemas.batch import Batch, Bools
from schemas.clocks import BEGINNING_NS, clock_column
from topics.block import TopicPartition

HELD_ROWS_MAX: Final = 50_000_000  # of a stream and partition, which are put in order in memory


def group_of(pipeline: Pipeline) -> str:
    """What only names the readers of a capture."""
    return f"{pipeline.settings.pipeline.prefix}-capture"


def split_joined(
    pipeline: Pipeline, number: int, missing: Missing, span: tuple[Stand, Stand]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield joined rows in order, each time those before the span and those in it.

    They begin behind `missing.start`.  Raises RunError where the topic does not hold them any more.
    """
    lower, upper = span[0].through, span[1].through
    if lower == upper and missing.start == lower:
        return
    on, sequence = clock_column(pipeline.asof.clock), pipeline.asof.left.sequence
    try:
        for rows in sealed_rows(pipeline, number, missing, group=group_of(pipeline)):
            places = row_places(rows, on, sequence)
            first, begin, end = (
                places.count_up_to(place, 0, rows.num_rows) for place in (missing.start, lower, upper)
            )
            yield rows.slice(first, begin - first), rows.slice(begin, end - begin)
            if end < rows.num_rows:
                return
    except GoneError as gone:
        raise RunError(gone.words) from None


class StreamRows:
    """The accepted rows of a stream, one task's share, put in order as its root does."""

    def __init__(self, pipeline: Pipeline, number: int, name: str) -> None:
        self._pipeline = pipeline
        self._number = number
        self._stream = pipeline.streams[name]
        self._clock = pipeline.settings.pipeline.clock
        self.layout = StreamRoot(self._stream, self._clock, Groups(), keeps_back=False).layout

    def split(
        self, since_ns: int, span: tuple[Stand, Stand]
    ) -> tuple[pa.RecordBatch | None, pa.RecordBatch | None]:
        """The rows from `since_ns` to before the span, and those in it; None for no row.

        Raises RunError where the log has dropped them, or where they are too many to be put in order here.
        """
        root = StreamRoot(self._stream, self._clock, Groups(), keeps_back=False)
        rows = 0
        for batch in self._accepted(since_ns, span[1]):
            root.take(self._stream.name, Accepted(batch))
            rows += batch.rows
            if rows > HELD_ROWS_MAX:
                raise RunError(
                    f"stream {self._stream.name}, partition {self._number}: more than {HELD_ROWS_MAX:,} rows "
                    "in the span and before it: capture a shorter one"
                )
        return root.seal(span[0].frontier_ns).rows, root.seal(span[1].frontier_ns).rows

    def _accepted(self, since_ns: int, upper: Stand) -> Iterator[Batch]:
        name, pipeline = self._stream.name, self._pipeline
        end = upper.next_offsets.get(name, 0)
        aside = read_not_accepted(
            pipeline, self._number, group=group_of(pipeline), next_offsets=upper.next_offsets
        )
        decoder = pipeline.decoder(name)
        source = TopicPartition(pipeline.settings.topic(name), self._number)
        lows: list[int] = []
        first = True
        for block in read_partition(pipeline.bus, source, group=group_of(pipeline), begun=lows.append):
            count = int(np.searchsorted(block.offset, end))
            if count:
                batch = decoder.decode(block, np.arange(count, dtype=np.int64)).batch
                if batch is not None:
                    if first and lows[0] and int(batch.time_ns.min()) > since_ns:
                        raise self._gone(since_ns)
                    first = False
                    wanted = (batch.time_ns >= since_ns) & (batch.time_ns < upper.frontier_ns)
                    yield batch.where(wanted & ~_set_aside(aside, name, batch))
            done = count < block.messages
            del block
            if done:
                return

    def _gone(self, since_ns: int) -> RunError:
        since = "its beginning" if since_ns == BEGINNING_NS else f"{np.datetime64(since_ns, 'ns')}Z"
        return RunError(
            f"{self._pipeline.settings.topic(self._stream.name)}[{self._number}]: rows from {since} on are "
            "needed, and retention has removed those: raise retention.ms, or capture a node that looks back "
            "less far"
        )


def since_of(begins_ns: int | None, lower: Stand) -> int:
    """From which time on rows of a stream are needed before a span."""
    return lower.frontier_ns if begins_ns is None else min(begins_ns, lower.frontier_ns)


def starts_at(missing: Missing | None, lower: Stand, upper: Stand) -> Missing:
    """The joined rows that are needed: those that nodes lack, and those of the span."""
    start = lower.through if missing is None else missing.start
    return Missing(start, upper.through, () if missing is None else missing.nodes)


def _set_aside(aside: NotAccepted, stream: str, batch: Batch) -> Bools:
    """Which rows were late, or dead."""
    aside_rows = np.zeros(batch.rows, np.bool_)
    places = pl.concat([aside.late[stream], aside.dead[stream]])
    if places.height:
        own = pl.DataFrame({OFFSET: batch.offset, INDEX: batch.index}, schema=PLACES)
        rows = own.with_row_index("row").join(places, on=[OFFSET, INDEX], how="semi")["row"]
        aside_rows[rows.to_numpy()] = True
    return aside_rows
