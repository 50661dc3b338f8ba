"""The outbox: sealed rows, late rows and dead letters on their way to their topics."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa

from app.commit.frame_cuts import HEADERS_SIZE, cut_frames, row_too_large
from app.commit.producers import Producers
from app.config import Settings
from app.errors import RunError
from app.process.clock import now_ns
from app.task.failed_tiles import tile_letters
from app.task.letter_size import letter_message
from app.task.letters import Letter
from app.task.record import KEY, TaskRecord, encode_record
from app.task.sink import Sink
from app.task.task import Task
from operators.hashing.batch_hash import BatchHashes
from operators.hashing.parity import sealed_hasher
from operators.nulls import NullCounts
from operators.sealed import Sealed
from operators.tiles.calls import FailedTile
from schemas.frame import ASSUMED, PARITY, RULE, FrameEncoder, FrameHeaders
from schemas.stream import message_keys
from topics.avro.rows import AvroRows
from topics.bus import MessageLimit, Producer
from topics.catalogue import LAST_KNOWN, STATE, TASKS
from topics.wire import SchemaRegistry


class Stamp(NamedTuple):
    """What the frames of a seal say of the moment: see `FrameHeaders`."""

    released_ns: int
    newest_ns: int


def stamp_of(task: Task) -> Stamp:
    """The moment of what a task seals now."""
    return Stamp(task.seen.released_ns, max(reading.newest_ns for reading in task.readings.values()))


class Outbox:
    """Sends what there is, in a transaction or at once, and counts the rows since the last commit."""

    def __init__(
        self,
        settings: Settings,
        producers: Producers,
        registry: SchemaRegistry,
        limits: Mapping[str, MessageLimit],
    ) -> None:
        """`limits` says how large a message each output topic takes."""
        self.producers = producers
        self.rows = 0
        self._settings = settings
        self._registry = registry
        self._limits = limits
        self._late = {settings.topic(name): settings.late(name) for name in settings.stream_names}
        self._topics = {kind: settings.topic(kind) for kind in ("late", "dead", LAST_KNOWN, TASKS, STATE)}
        self._avro: dict[str, AvroRows] = {}  # by topic
        self._hashers: dict[str, BatchHashes] = {}  # by topic
        self._encoders: dict[str, FrameEncoder] = {}  # by topic
        self._rule_policies = {
            (settings.topic(name), rule): policy
            for name in settings.stream_names
            for rule, policy in settings.stream(name).rules.policies().items()
        }

    def prepare(self, *, atomic: bool) -> Producer | None:
        """Prepare a commit: return the open transaction, or None once every row is acknowledged.

        With `atomic` there is always a transaction.
        """
        self.producers.acknowledged()
        return self.producers.transaction() if atomic or self.producers.exactly_once else None

    def mark(self) -> int:
        """Mark the rows sent so far at least once, so that they can be committed on their own."""
        self.rows = 0
        return self.producers.mark()

    def done(self) -> None:
        """The rows sent so far are committed."""
        self.producers.done()
        self.rows = 0

    def undo(self, undone: Exception, *, lost: bool = False) -> None:
        """Rows sent since the last commit are undone; at least once they will come again.

        `lost` says that this worker may have been replaced.
        """
        self.producers.undo(undone, lost=lost)
        self.rows = 0

    def last_known(self, partition: int, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Send last-known entries to a task's partition of their topic, in a transaction."""
        for key, value in entries:
            self.producers.transaction().produce(
                self._topics[LAST_KNOWN], partition=partition, key=key, value=value
            )

    def node_state(self, partition: int, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Send what nodes of a task remember to its partition of their topic, in a transaction.

        Raises RunError where an entry does not fit.
        """
        topic = self._topics[STATE]
        for key, value in entries:
            size, limit = len(key) + len(value or b"") + HEADERS_SIZE, self._limits[topic]
            if size > limit.size:
                name = key.partition(b"\0")[0].decode(errors="replace")
                raise RunError(
                    f"{topic}[{partition}]: what node {name} remembers of a symbol has {size} bytes, and the "
                    f"topic takes {limit.size}: raise {limit.setting}, or put features into another node"
                )
            self.producers.transaction().produce(topic, partition=partition, key=key, value=value)

    @property
    def entry_size_max(self) -> int:
        """The most bytes that the key and the value of a last-known entry may have together."""
        return self._limits[self._topics[LAST_KNOWN]].size - HEADERS_SIZE

    def task_record(self, partition: int, record: TaskRecord) -> None:
        """Send a task's record to its partition of their topic, in a transaction."""
        self.producers.transaction().produce(
            self._topics[TASKS], partition=partition, key=KEY, value=encode_record(record)
        )

    def send(self, sink: Sink, sealed: Sealed, stamp: Stamp) -> None:
        """Send sealed rows, at least one, to a sink, and roll up their parity.

        Rows sent one by one as Avro have it in a header of the last one of a seal, and their rule there, too.
        """
        assert sealed.rows is not None
        self.rows += sealed.rows.num_rows
        if sink.form == "avro":
            self._send_avro(sink, sealed, sealed.rows)
        else:
            self._send_frames(sink, sealed, sealed.rows, stamp)

    def _send_frames(self, sink: Sink, sealed: Sealed, rows: pa.RecordBatch, stamp: Stamp) -> None:
        producer = self.producers.rows()
        hashes = self._hasher(sink).of(rows)
        worker = self._settings.worker
        evident = rows.num_rows - sealed.assumed_rows
        time_ns = rows.column(sink.on).to_numpy()
        nulls = NullCounts(sealed, sink.features) if sink.features else None
        pieces = cut_frames(
            rows,
            self._limits[sink.topic],
            rows_max=worker.frame_rows_max,
            encoder=self._encoder(sink),
            where=f"{sink.topic}[{sink.partition}]",
            headers_size=HEADERS_SIZE + sink.nulls_size,
        )
        for lower, upper, value in pieces:
            sink.parity = sink.parity.roll(hashes[lower:upper])
            headers = FrameHeaders(
                layout=sink.layout,
                # Rows of the frames that follow are not out yet.
                complete_ns=int(time_ns[upper]) if upper < rows.num_rows else sealed.complete_ns,
                rows=upper - lower,
                released_ns=stamp.released_ns,
                sealed_ns=now_ns(),
                newest_ns=stamp.newest_ns,
                parity=str(sink.parity),
                assumed_rows=max(0, upper - max(lower, evident)),
                rule=sink.rule,
                nulls=None if nulls is None else nulls.between(lower, upper),
            )
            producer.produce(
                sink.topic,
                partition=sink.partition,
                key=None,
                value=value,
                headers=headers.to_kafka(),
                timestamp_ms=None,
            )

    def _hasher(self, sink: Sink) -> BatchHashes:
        """What hashes the rows of a sink; it is the same for all partitions of its topic."""
        if sink.topic not in self._hashers:
            self._hashers[sink.topic] = sealed_hasher(sink.schema)
        return self._hashers[sink.topic]

    def _encoder(self, sink: Sink) -> FrameEncoder:
        """What makes the frames of a sink; it is the same for all partitions of its topic."""
        if sink.topic not in self._encoders:
            self._encoders[sink.topic] = FrameEncoder(sink.schema, self._settings.worker.compression)
        return self._encoders[sink.topic]

    def _send_avro(self, sink: Sink, sealed: Sealed, rows: pa.RecordBatch) -> None:
        producer = self.producers.rows()
        if sink.topic not in self._avro:
            self._avro[sink.topic] = AvroRows(sink.name, rows.schema, self._registry, sink.topic)
        encoded = self._avro[sink.topic].encode(rows)
        data = encoded.data.tobytes()
        starts = encoded.starts.tolist()
        evident = rows.num_rows - sealed.assumed_rows
        sink.parity = sink.parity.roll(self._hasher(sink).of(rows))
        limit = self._limits[sink.topic]
        for row, key in enumerate(message_keys(rows, sink.key).to_pylist()):
            value = data[starts[row] : starts[row + 1]]
            size = len(value) + len(key or b"") + HEADERS_SIZE
            if size > limit.size:
                raise row_too_large(rows.slice(row, 1), size, limit, f"{sink.topic}[{sink.partition}]")
            headers: list[tuple[str, bytes | None]] = [(ASSUMED, b"1")] if row >= evident else []
            if row == rows.num_rows - 1:
                headers.append((PARITY, str(sink.parity).encode()))
                if sink.rule:
                    headers.append((RULE, sink.rule.encode()))
            producer.produce(
                sink.topic,
                partition=sink.partition,
                key=key,
                value=value,
                headers=headers or None,
            )

    def failed_tiles(self, failed: Iterable[FailedTile], partition: int) -> None:
        """Send a letter for each tile of a task whose function failed."""
        self.letters(tile_letters(failed, self._settings.topic, partition), partition)

    def letters(self, letters: Iterable[Letter], partition: int) -> None:
        """Send late rows and dead letters where the policy of their side says."""
        for letter in letters:
            policy, setting = self._policy(letter)
            if policy == "fail":
                raise RunError(f'{letter.describe()}; {setting} = "fail" stops here')
            if policy == "drop":
                continue
            topic = self._topics[letter.kind]
            message = letter_message(letter, self._limits[topic])
            self.producers.rows().produce(
                topic,
                partition=partition,
                key=message.key,
                value=message.value,
                headers=message.headers,
                timestamp_ms=message.timestamp_ms,
            )

    def _policy(self, letter: Letter) -> tuple[str, str]:
        """What becomes of a letter, and the setting that says so."""
        if letter.kind == "late":
            return self._late[letter.source.topic]
        policy = self._rule_policies.get((letter.source.topic, letter.rule))
        if policy is None:
            return self._settings.worker.dead, "worker.dead"
        return policy, f"the policy of rule {letter.rule}"
