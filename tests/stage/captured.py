"""A topic of quotes, on the embedded bus where no other is given, and captures of it."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from replay.capture.capture import Capture, CaptureInput, CaptureLimits
from replay.capture.dead import DEAD_SCHEMA, dead_rules, dead_stream
from replay.capture.session import CapturedTopic, CaptureTarget
from replay.capture.tail import Tail
from replay.capture.writer import TableWriter
from replay.store.objects import Folder
from replay.store.table import HistoryTable, create_table
from schemas.stream import Stream
from tests.stage.history_tables import RULES, SCHEMA
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder
from topics.bus import Bus, TopicSpec
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry

TOPIC = "quotes"
STREAM = Stream(name="quote", schema=SCHEMA, sequence="sequence")


class QuoteTopic:
    """A topic, its registry, and a store to capture it into."""

    def __init__(
        self,
        store: Folder,
        *,
        partitions: int = 2,
        bus: Bus | None = None,
        name: str = TOPIC,
        schemas: Path | None = None,
    ) -> None:
        self.store, self.partitions, self.name = store, partitions, name
        self.bus = bus or MemoryBus()
        self.bus.admin().create([TopicSpec(name=name, partitions=partitions, configs={})])
        self.registry = FileRegistry(schemas or Path(str(store)) / "schemas")
        self._encoder = RowEncoder(STREAM, self.registry, name)
        self._producer = self.bus.producer(transactional_id=f"{name}-source")

    @property
    def memory(self) -> MemoryBus:
        """The embedded bus, for what no broker does."""
        assert isinstance(self.bus, MemoryBus)
        return self.bus

    def publish(self, rows: pa.RecordBatch, *, kept: bool = True, garbage: bytes | None = None) -> None:
        """Rows as messages of one transaction, which is aborted unless `kept`; `garbage` is one more."""
        encoded = self._encoder.records(rows)
        self._producer.begin()
        for number, symbol in enumerate(rows.column("symbol").to_pylist()):
            value = encoded.data[encoded.starts[number] : encoded.starts[number + 1]].tobytes()
            key = None if symbol is None else symbol.encode()
            self._producer.produce(self.name, partition=None if key else 0, key=key, value=value)
        if garbage is not None:
            self._producer.produce(self.name, partition=0, key=b"A", value=garbage)
        if kept:
            self._producer.commit()
        else:
            self._producer.abort()

    def make_tables(self) -> None:
        """The tables of rows and of dead letters."""
        create_table(self.store, RULES, SCHEMA)
        create_table(self.store, dead_rules("quote", "UTC"), DEAD_SCHEMA)

    def capture(
        self,
        *,
        open_table: Callable[[Folder, str], HistoryTable] = HistoryTable,
        limits: CaptureLimits | None = None,
        accepts_gaps: bool = False,
        now_ns: int = 0,
    ) -> Capture:
        """A worker that captures the topic into the tables."""
        rows, dead = (
            TableWriter(self.store, name, self.name, by="a test", open_table=open_table)
            for name in ("quote", dead_stream("quote"))
        )
        source = CaptureInput(
            topic=self.name,
            partitions=range(self.partitions),
            decoder=Decoder(STREAM, "known", self.registry),
            rows=rows,
            dead=dead,
        )
        return Capture(
            bus=self.bus,
            inputs=[source],
            group=f"{self.name}-capture",
            limits=limits or CaptureLimits(),
            accepts_gaps=accepts_gaps,
            now_ns=now_ns,
        )

    def tail(self, *, decoder: Decoder | None = None, size_max: int = 2**20) -> Tail:
        """What reads the topic behind the table."""
        return Tail(
            bus=self.bus,
            topic=self.name,
            partitions=range(self.partitions),
            decoder=decoder or Decoder(STREAM, "known", self.registry),
            store=self.store,
            stream="quote",
            group=f"{self.name}-tail",
            size_max=size_max,
        )

    def captured_topic(self) -> CapturedTopic:
        """The topic as a command captures it."""
        decoder = Decoder(STREAM, "known", self.registry)
        return CapturedTopic(topic=self.name, partitions=self.partitions, stream=STREAM, decoder=decoder)

    def target(self, *, buckets: int | None = None) -> CaptureTarget:
        """A command that captures to the end."""
        return CaptureTarget(
            bus=self.bus,
            store=self.store,
            group="capture",
            zone="UTC",
            buckets=buckets,
            limits=CaptureLimits(),
            accepts_gaps=False,
            to_end=True,
        )
