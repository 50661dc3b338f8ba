"""Aligned rows in an application of Quix Streams: a deserializer of frames, and a sink that writes Parquet.

```
topic = app.topic("tidemark.aligned", value_deserializer=FrameDeserializer())      # a dict for each row
topic = app.topic("tidemark.aligned", value_deserializer=FrameDeserializer(rows=False))
app.dataframe(topic).sink(TrainingSink("rows"))                                    # whole frames to Parquet
```

Quix Streams holds the Kafka client back, so both are for an environment with `tidemark-gpu-sink[quix]`.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from quixstreams.models.serializers import Deserializer
from quixstreams.sinks import BaseSink

from gpu_sink.contract import FrameError, FrameHeaders, read_headers
from gpu_sink.errors import ColumnError, SourceError
from gpu_sink.frames import FrameDecoder, Place
from gpu_sink.ipc import DECODED_SIZE_MAX

ROWS_SEEN: Final = b"tidemark-rows-seen"  # in a file's metadata: how many rows of the partition lie up to it


class FrameDeserializer(Deserializer):
    """Reads the frames of an aligned topic, or of a node's: each row as a dict, or each frame as a batch.

    As dicts the values are Python's own: times stay int64 nanoseconds, decimals are decimals, nulls None.  As
    a batch the value is a `pyarrow.RecordBatch` that views the message.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        rows: bool = True,
        layout: str | None = None,
        decoded_size_max: int = DECODED_SIZE_MAX,
    ) -> None:
        """`columns` are those to keep, None for all; `layout` refuses frames of any other fingerprint.

        A frame that unpacks to more than `decoded_size_max` bytes is refused before it is unpacked.
        """
        super().__init__()
        self._columns = None if columns is None else list(columns)
        self._rows = rows
        self._decoder = FrameDecoder(layout, decoded_size_max)

    @property
    def split_values(self) -> bool:
        """Whether Quix takes each item of a value as a message of its own."""
        return self._rows

    def __call__(self, value: bytes, ctx: Any) -> Any:
        """The rows of one message; raises FrameError naming the topic, ColumnError an absent column.

        Quix says partition and offset beside, in its own line about the message.
        """
        try:
            rows = self._decoder.decode(value, ctx.headers or [], Place(ctx.topic, -1, -1)).rows
        except FrameError as broken:
            words = str(broken).removeprefix(f"{Place(ctx.topic, -1, -1)}: ")
            raise FrameError(f"{ctx.topic}: {words}") from None
        if self._columns is not None:
            if absent := [name for name in self._columns if name not in rows.schema.names]:
                known = ", ".join(rows.schema.names)
                raise ColumnError(f"{ctx.topic}: frames have no column {absent[0]}; there are {known}")
            rows = rows.select(self._columns)
        return rows.to_pylist() if self._rows else rows


class TrainingSink(BaseSink):
    """Writes whole frames to Parquet, a folder for each partition, each row once.

    Quix commits after `flush`, so after a crash it hands over again what it had not committed, and a worker
    that runs at least once sends rows again.  Each frame says how many rows of its partition came before it,
    and each file how many it reaches up to: rows below that are passed over, also by a process that starts
    anew.
    """

    def __init__(self, folder: str | Path) -> None:
        """Files are `folder`/TOPIC/partition-00003/00000000000000001234.parquet, named by their first row."""
        super().__init__()
        self._folder = Path(folder)
        self._waiting: dict[tuple[str, int], list[pa.RecordBatch]] = {}
        self._reached: dict[tuple[str, int], int] = {}  # rows of a partition that are written or wait
        self.repeated_rows = 0

    def add(
        self, value: Any, *, headers: Any, topic: str, partition: int, offset: int, **_others: object
    ) -> None:
        """Take a frame; raises SourceError where the value is none, or where rows before it are missing."""
        where = f"{topic} [{partition}] offset {offset}"
        frame = read_headers(headers or [])
        if not isinstance(value, pa.RecordBatch) or value.num_rows != frame.rows:
            raise SourceError(
                f"{where}: TrainingSink takes whole frames: read the topic with "
                "FrameDeserializer(rows=False), and leave its values as they are"
            )
        before = _rows_before(frame, where)
        reached = self._reach((topic, partition), before)
        if before > reached:
            raise SourceError(
                f"{where}: {before - reached:,} rows before it are missing: read the topic from its "
                'beginning with auto_offset_reset="earliest", or name a new folder'
            )
        repeated = min(reached - before, value.num_rows)
        self.repeated_rows += repeated
        if repeated < value.num_rows:
            self._waiting.setdefault((topic, partition), []).append(value.slice(repeated))
            self._reached[topic, partition] = before + value.num_rows

    def flush(self) -> None:
        """Write what was added, a file for each partition, whole and on disk or not at all."""
        for place, batches in self._waiting.items():
            table = pa.Table.from_batches(batches)
            reached = self._reached[place]
            self._write(place, table.replace_schema_metadata({ROWS_SEEN: str(reached).encode()}), reached)
        # A partition may go to another process from here, which writes behind us, and come back.
        self._waiting, self._reached = {}, {}

    def on_paused(self) -> None:
        """Drop what was added and not written: Quix hands it over again."""
        self._waiting = {}
        self._reached = {}

    def _reach(self, place: tuple[str, int], before: int) -> int:
        """How many rows of a partition are written or wait; a new folder begins where a reader does."""
        if place not in self._reached:
            files = sorted(self._partition(place).glob("*.parquet"))
            if not files:
                return before
            metadata = pq.read_schema(files[-1]).metadata or {}
            if ROWS_SEEN not in metadata:
                raise SourceError(f"{files[-1]}: no file of a TrainingSink: name a new folder")
            self._reached[place] = int(metadata[ROWS_SEEN])
        return self._reached[place]

    def _write(self, place: tuple[str, int], table: pa.Table, reached: int) -> None:
        folder = self._partition(place)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{reached - table.num_rows:020d}.parquet"
        unfinished = file.with_name(f".{file.name}.unfinished")
        with unfinished.open("wb") as sink:
            pq.write_table(table, sink)
            sink.flush()
            os.fsync(sink.fileno())
        unfinished.replace(file)

    def _partition(self, place: tuple[str, int]) -> Path:
        topic, number = place
        return self._folder / topic / f"partition-{number:05d}"


def _rows_before(frame: FrameHeaders, where: str) -> int:
    before = frame.rows_before
    if before is None:
        raise SourceError(f"{where}: the frame says no parity: a worker before there was one made it")
    return before
