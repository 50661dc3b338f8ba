"""The outbox: sealed rows, late rows and dead letters on their way into the open transaction."""

from collections.abc import Iterable

import pyarrow as pa

from app.clock import now_ns
from app.config import Settings
from app.errors import RunError
from app.letters import Letter
from app.task import Task
from schemas.frame import FrameHeaders, encode_frame, layout_fingerprint
from topics.avro_rows import AvroRows
from topics.bus import Producer
from topics.wire import SchemaRegistry


class Outbox:
    """Begins a transaction with the first thing there is to send, and counts what is in it."""

    def __init__(self, settings: Settings, producer: Producer, registry: SchemaRegistry) -> None:
        self.producer = producer
        self.open = False
        self.rows = 0
        self._settings = settings
        self._registry = registry
        self._topics = {kind: settings.topic(kind) for kind in ("aligned", "late", "dead")}
        self._avro: AvroRows | None = None

    def begin(self) -> None:
        """Open the transaction if none is."""
        if not self.open:
            self.producer.begin()
            self.open = True

    def done(self) -> None:
        """The transaction has ended, one way or the other."""
        self.open = False
        self.rows = 0

    def aligned(self, task: Task, rows: pa.RecordBatch) -> None:
        """Send sealed rows to the task's partition of the aligned topic."""
        self.begin()
        self.rows += rows.num_rows
        if self._settings.worker.format == "avro":
            self._send_avro(task, rows)
            return
        layout = layout_fingerprint(rows.schema)
        size = self._settings.worker.frame_rows_max
        for lower in range(0, rows.num_rows, size):
            frame = rows.slice(lower, size)
            headers = FrameHeaders(
                layout=layout,
                frontier_ns=task.operator.frontier_ns,
                rows=frame.num_rows,
                released_ns=task.released_ns,
                sealed_ns=now_ns(),
                newest_ns=task.newest_ns,
            )
            self.producer.produce(
                self._topics["aligned"],
                partition=task.partition,
                key=None,
                value=encode_frame(frame, self._settings.worker.compression),
                headers=headers.to_kafka(),
                timestamp_ms=None,
            )

    def _send_avro(self, task: Task, rows: pa.RecordBatch) -> None:
        topic = self._topics["aligned"]
        left = self._settings.pipeline.left
        key_columns = self._settings.stream(left).key
        if self._avro is None:
            self._avro = AvroRows("aligned", rows.schema, self._registry, topic)
        encoded = self._avro.encode(rows)
        data = encoded.data.tobytes()
        starts = encoded.starts.tolist()
        keys = [rows.column(name).to_pylist() for name in key_columns]
        for row, parts in enumerate(zip(*keys, strict=True)):
            key = None if None in parts else ":".join(map(str, parts)).encode()
            self.producer.produce(
                topic, partition=task.partition, key=key, value=data[starts[row] : starts[row + 1]]
            )

    def letters(self, letters: Iterable[Letter], partition: int) -> None:
        """Send late rows and dead letters where the policy of their side says."""
        for letter in letters:
            policy = self._settings.worker.late if letter.kind == "late" else self._settings.worker.dead
            if policy == "fail":
                raise RunError(f'{letter.describe()}; worker.{letter.kind} = "fail" stops here')
            if policy == "drop":
                continue
            self.begin()
            self.producer.produce(
                self._topics[letter.kind],
                partition=partition,
                key=letter.original.key,
                value=letter.original.value,
                headers=letter.headers,
                timestamp_ms=letter.original.timestamp_ms,
            )
