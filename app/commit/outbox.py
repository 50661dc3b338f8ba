"""The outbox: sealed rows, late rows and dead letters on their way to their topics."""

from collections.abc import Iterable

import pyarrow as pa

from app.commit.producers import Producers
from app.config import Settings
from app.errors import RunError
from app.process.clock import now_ns
from app.task.letters import Letter
from app.task.task import Task
from operators.hashing.parity import sealed_hashes
from schemas.clocks import clock_column
from schemas.frame import ASSUMED, PARITY, FrameHeaders, encode_frame, layout_fingerprint
from schemas.stream import message_keys
from topics.avro.rows import AvroRows
from topics.bus import Producer
from topics.catalogue import LAST_KNOWN
from topics.wire import SchemaRegistry


class Outbox:
    """Sends what there is, in a transaction or at once, and counts the rows since the last commit."""

    def __init__(self, settings: Settings, producers: Producers, registry: SchemaRegistry) -> None:
        self.producers = producers
        self.rows = 0
        self._settings = settings
        self._registry = registry
        self._late = {settings.topic(name): settings.late(name) for name in settings.stream_names}
        self._topics = {kind: settings.topic(kind) for kind in ("aligned", "late", "dead", LAST_KNOWN)}
        self._on = clock_column(settings.pipeline.clock)
        self._avro: AvroRows | None = None
        self._fingerprint: tuple[pa.Schema, str] | None = None
        self._rule_policies = {
            (settings.topic(name), rule): policy
            for name in settings.stream_names
            for rule, policy in settings.stream(name).rules.policies().items()
        }

    def prepare(self, *, atomic: bool) -> Producer | None:
        """Make ready for a commit: the open transaction, or None once all rows are acknowledged.

        `atomic` asks for a transaction in any case.
        """
        self.producers.acknowledged()
        return self.producers.transaction() if atomic or self.producers.exactly_once else None

    def mark(self) -> int:
        """Name what was sent so far at least once, which is to be committed by itself."""
        self.rows = 0
        return self.producers.mark()

    def done(self) -> None:
        """What was sent is committed."""
        self.producers.done()
        self.rows = 0

    def undo(self, undone: Exception) -> None:
        """What was sent since the last commit came to nothing, or at least once will come again."""
        self.producers.undo(undone)
        self.rows = 0

    def last_known(self, partition: int, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Send last-known entries to a task's partition of their topic, in a transaction."""
        for key, value in entries:
            self.producers.transaction().produce(
                self._topics[LAST_KNOWN], partition=partition, key=key, value=value
            )

    def aligned(self, task: Task, rows: pa.RecordBatch) -> None:
        """Send sealed rows to the task's partition of the aligned topic, and roll up their parity.

        Rows sent one by one as Avro have it in a header of the last one of a seal.
        """
        self.rows += rows.num_rows
        if self._settings.worker.format == "avro":
            self._send_avro(task, rows)
            return
        producer = self.producers.rows()
        layout = self._layout(rows.schema)
        hashes = sealed_hashes(rows)
        size = self._settings.worker.frame_rows_max
        evident = rows.num_rows - task.operator.assumed_rows
        time_ns = rows.column(self._on).to_numpy()
        complete_ns = task.operator.complete_ns
        for lower in range(0, rows.num_rows, size):
            frame = rows.slice(lower, size)
            upper = lower + frame.num_rows
            task.parity = task.parity.roll(hashes[lower : lower + size])
            headers = FrameHeaders(
                layout=layout,
                # Rows of the frames that follow are not out yet.
                complete_ns=int(time_ns[upper]) if upper < rows.num_rows else complete_ns,
                rows=frame.num_rows,
                released_ns=task.released_ns,
                sealed_ns=now_ns(),
                newest_ns=task.newest_ns,
                parity=str(task.parity),
                assumed_rows=max(0, upper - max(lower, evident)),
            )
            producer.produce(
                self._topics["aligned"],
                partition=task.partition,
                key=None,
                value=encode_frame(frame, self._settings.worker.compression),
                headers=headers.to_kafka(),
                timestamp_ms=None,
            )

    def _layout(self, schema: pa.Schema) -> str:
        """The fingerprint of a schema, which is the last one's but for the first time."""
        if self._fingerprint is None or not self._fingerprint[0].equals(schema, check_metadata=True):
            self._fingerprint = schema, layout_fingerprint(schema)
        return self._fingerprint[1]

    def _send_avro(self, task: Task, rows: pa.RecordBatch) -> None:
        topic, producer = self._topics["aligned"], self.producers.rows()
        left = self._settings.pipeline.left
        key_columns = self._settings.stream(left).key
        if self._avro is None:
            self._avro = AvroRows("aligned", rows.schema, self._registry, topic)
        encoded = self._avro.encode(rows)
        data = encoded.data.tobytes()
        starts = encoded.starts.tolist()
        evident = rows.num_rows - task.operator.assumed_rows
        keys = message_keys(rows, key_columns).to_pylist()
        task.parity = task.parity.roll(sealed_hashes(rows))
        for row, key in enumerate(keys):
            headers: list[tuple[str, bytes | None]] = [(ASSUMED, b"1")] if row >= evident else []
            if row == rows.num_rows - 1:
                headers.append((PARITY, str(task.parity).encode()))
            producer.produce(
                topic,
                partition=task.partition,
                key=key,
                value=data[starts[row] : starts[row + 1]],
                headers=headers or None,
            )

    def letters(self, letters: Iterable[Letter], partition: int) -> None:
        """Send late rows and dead letters where the policy of their side says."""
        for letter in letters:
            policy, setting = self._policy(letter)
            if policy == "fail":
                raise RunError(f'{letter.describe()}; {setting} = "fail" stops here')
            if policy == "drop":
                continue
            self.producers.rows().produce(
                self._topics[letter.kind],
                partition=partition,
                key=letter.original.key,
                value=letter.original.value,
                headers=letter.headers,
                timestamp_ms=letter.original.timestamp_ms,
            )

    def _policy(self, letter: Letter) -> tuple[str, str]:
        """What becomes of a letter, and the setting that says so."""
        if letter.kind == "late":
            return self._late[letter.source.topic]
        policy = self._rule_policies.get((letter.source.topic, letter.rule))
        if policy is None:
            return self._settings.worker.dead, "worker.dead"
        return policy, f"the policy of rule {letter.rule}"
