"""A market on the embedded bus, row by row, with workers whose clock only moves when a test says so."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from app.commit.commit import commit
from app.commit.commits import CommitCall
from app.commit.input_counts import InputCounts
from app.config import Settings
from app.metrics.health import Health
from app.metrics.ledger import Ledger
from app.settings.graph import GraphTable
from app.settings.streams import StreamSettings
from app.wiring.pipeline import Pipeline, topic_specs
from app.wiring.schemas import registered_streams
from app.worker.assembly import open_worker
from app.worker.worker import Worker
from schemas.clocks import NS_PER_MS
from schemas.frame import decode_frame
from schemas.letters import Headers
from tests.simulation.scene import RIGHTS, TRADE, pipeline_of
from topics.avro.encode import RowEncoder
from topics.avro.progress import encode_progress
from topics.avro.schema import avro_schema
from topics.block import Original, TopicPartition
from topics.catalogue import apply, plan
from topics.memory.bus import MemoryBus
from topics.partitioner import partition_of
from topics.wire import Progress

COMMIT_INTERVAL_MS = 100


class Market:
    """Publishes rows; `worker`, `pipeline` and `streams` are settings beside those of a quick test."""

    def __init__(
        self,
        folder: Path,
        *,
        partitions: int = 1,
        pipeline: Mapping[str, object] | None = None,
        worker: Mapping[str, object] | None = None,
        streams: Mapping[str, object] | None = None,
        bus: Mapping[str, object] | None = None,
        graph: Mapping[str, object] | None = None,
    ) -> None:
        quick = {"state": str(folder / "state"), "commit_interval_ms": COMMIT_INTERVAL_MS}
        self.settings = Settings.model_validate(
            {
                "pipeline": {"grace_ns": 0, **(pipeline or {})},
                "bus": {
                    "partitions": partitions,
                    "schema_registry": str(folder / "schemas"),
                    **(bus or {}),
                },
                "worker": {**quick, **(worker or {})},
                "streams": streams or {},
                "graph": graph or {},
            }
        )
        self.pipeline = pipeline_of(self.settings)
        assert isinstance(self.pipeline.bus, MemoryBus)
        self.bus = self.pipeline.bus
        self.elapsed_ns = 0
        self.wall_ns = 0
        self._producer = self.bus.producer()
        self._streams = {one.name: one for one in (TRADE, *RIGHTS) if one.name in self.settings.stream_names}
        self._encoders = {
            name: RowEncoder(stream, self.pipeline.registry, self.settings.topic(name))
            for name, stream in self._streams.items()
        }

    def trade(self, *times_ns: int, symbol: str = "A") -> None:
        """Publish trades in one block."""
        self._rows("trade", times_ns, symbol)

    def quote(self, *times_ns: int, symbol: str = "A") -> None:
        """Publish quotes in one block; the bid of each is its time."""
        self._rows("quote", times_ns, symbol)

    def signal(self, *times_ns: int, symbol: str = "A", scores: Sequence[float] = ()) -> None:
        """Publish signals in one block; the score of each is its time where nothing is said."""
        value = self.block("signal", times_ns, symbol, {"score": scores or [float(ns) for ns in times_ns]})
        self.keyed("signal", symbol, value)

    def send(self, stream: str, key: bytes | None, value: bytes | None) -> None:
        """Publish any bytes to partition 0."""
        self._producer.produce(self.settings.topic(stream), partition=0, key=key, value=value)

    def progress(self, upper_ns: int, *streams: str, final: bool = False) -> None:
        """Say in every partition of `streams`, by default all, that no row below `upper_ns` follows."""
        for name in streams or tuple(self._streams):
            value = encode_progress(self.pipeline.registry, Progress(name, upper_ns, final, "test"))
            for partition in range(self.settings.bus.partitions):
                self._producer.produce(self.settings.topic(name), partition=partition, key=None, value=value)

    def add_column(self, stream: str, field: pa.Field) -> None:
        """Register a schema of the stream with a column more; workers made from now on take it up."""
        grown = replace(self._streams[stream], schema=self._streams[stream].schema.append(field))
        self.pipeline.registry.register(f"{self.settings.topic(stream)}-value", avro_schema(grown))
        streams = registered_streams(self.settings, self.pipeline.registry, wait_s=0, on_wait=lambda _: None)
        self.pipeline = Pipeline(self.settings, self.bus, self.pipeline.registry, streams)
        self._streams[stream] = grown
        self._encoders[stream] = RowEncoder(grown, self.pipeline.registry, self.settings.topic(stream))

    def key_by(self, *key: str) -> None:
        """Let these columns key both streams, for workers made from now on."""
        keyed = {name: StreamSettings(key=key) for name in self._streams}
        self.settings = self.settings.model_copy(update={"streams": keyed})
        streams = registered_streams(self.settings, self.pipeline.registry, wait_s=0, on_wait=lambda _: None)
        self.pipeline = Pipeline(self.settings, self.bus, self.pipeline.registry, streams)

    def add_graph(self, graph: Mapping[str, object]) -> None:
        """Put a graph behind the join, for workers made from now on."""
        self.settings = self.settings.model_copy(update={"graph": GraphTable.model_validate(graph)})
        admin = self.bus.admin()
        apply(admin, plan(admin, topic_specs(self.settings)))
        self.pipeline = self.plan(self.settings)

    def plan(self, settings: Settings) -> Pipeline:
        """A pipeline of other settings on the same bus."""
        streams = registered_streams(settings, self.pipeline.registry, wait_s=0, on_wait=lambda _: None)
        return Pipeline(settings, self.bus, self.pipeline.registry, streams)

    def produce(
        self,
        kind: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
    ) -> None:
        """Publish any message to a topic of the pipeline."""
        self._producer.produce(
            self.settings.topic(kind), partition=partition, key=key, value=value, headers=headers
        )

    def worker(self, slot: str = "0", *, until_final: bool = False, commit: CommitCall = commit) -> Worker:
        """A worker on the market's own clocks."""
        return open_worker(
            self.pipeline.with_slot(slot),
            until_final=until_final,
            elapsed_ns=lambda: self.elapsed_ns,
            wall_ns=lambda: self.wall_ns,
            commit=commit,
        )

    def worker_at(self, ledger: Ledger, health: Health, slot: str = "0") -> Worker:
        """A worker that is watched, on the market's own clocks."""
        return open_worker(
            self.pipeline.with_slot(slot),
            elapsed_ns=lambda: self.elapsed_ns,
            wall_ns=lambda: self.wall_ns,
            ledger=ledger,
            health=health,
        )

    def pass_commit_interval(self) -> None:
        """Let a commit fall due."""
        self.elapsed_ns += COMMIT_INTERVAL_MS * NS_PER_MS

    def aligned(self) -> list[tuple[int, int | None]]:
        """The committed rows of all frames: the time of each trade and of its quote."""
        frames = [decode_frame(frame.value) for frame in self.messages("aligned")]
        return [(row["event_ns"], row["quote_event_ns"]) for rows in frames for row in rows.to_pylist()]

    def messages(self, kind: str) -> list[Original]:
        """The committed messages of a topic, a transaction under way or not."""
        topic = self.settings.topic(kind)
        reader = self.bus.consumer(group="test")
        reader.assign({TopicPartition(topic, n): 0 for n in range(self.settings.bus.partitions)})
        found: list[Original] = []
        while (block := reader.poll(messages_max=1_000, wait_ms=0)).messages:
            found += [block.originals[message] for message in range(block.messages)]
        reader.close()
        return found

    def block(
        self,
        stream: str,
        times_ns: Sequence[int],
        symbol: str = "A",
        columns: Mapping[str, object] | None = None,
    ) -> bytes:
        """The value of one message with these rows; `columns` replaces what they would hold."""
        count = len(times_ns)
        given: dict[str, object] = {"event_ns": times_ns, "symbol": [symbol] * count}
        given |= {"bid": [float(ns) for ns in times_ns]} if stream == "quote" else {}
        given |= columns or {}
        schema = self._streams[stream].schema
        arrays = [pa.array(given.get(field.name, [None] * count), field.type) for field in schema]
        rows = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return self._encoders[stream].blocks(rows, np.array([0, count], dtype=np.int64)).data.tobytes()

    def keyed(self, stream: str, symbol: str, value: bytes) -> None:
        """Publish any bytes to the partition of a symbol."""
        key = symbol.encode()
        partition = partition_of(key, self.settings.bus.partitions)
        self._producer.produce(self.settings.topic(stream), partition=partition, key=key, value=value)

    def _rows(self, stream: str, times_ns: Sequence[int], symbol: str) -> None:
        self.keyed(stream, symbol, self.block(stream, times_ns, symbol))


def counts_of(market: Market) -> InputCounts:
    """What a worker of this market asks about the partitions of its inputs."""
    return InputCounts(market.bus, list(market.pipeline.input_topics), market.settings.bus.partitions)
