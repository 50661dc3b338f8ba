"""The market that the Kafka bench offers: seeded rows, published once, read by every contender."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from confluent_kafka import Producer

from app.config import Settings
from app.wiring.pipeline import topic_specs
from replay.publish.blocks import gather_blocks
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_US
from schemas.stream import Stream
from tests.bench.kafka_foreign import foreign_messages, foreign_settings
from topics.avro.encode import RowEncoder
from topics.avro.progress import encode_progress
from topics.avro.schema import avro_schema
from topics.catalogue import apply, plan
from topics.kafka.bus import KafkaBus
from topics.partitioner import partition_of
from topics.registry.open import open_registry
from topics.wire import Encoded, Progress, SchemaRegistry

Shape = Literal["record", "block", "json", "protobuf"]

PARTITIONS: Final = 4
BLOCK_ROWS: Final = 100
ROW_NS: Final = 10 * NS_PER_US
OPEN_NS: Final = 1_700_000_000_000_000_000
TILE_ROWS: Final = 400_000  # made and encoded at once
HOT_SHARE: Final = 0.9

_FIELDS: Final = [
    pa.field("event_ns", pa.int64(), nullable=False),
    pa.field("symbol", pa.string(), nullable=False),
]
TRADE: Final = Stream(
    name="trade",
    schema=pa.schema([*_FIELDS, ("price", pa.float64()), ("size", pa.float64()), ("exchange", pa.string())]),
    key=("symbol",),
)
QUOTE: Final = Stream(
    name="quote",
    schema=pa.schema(
        [
            *_FIELDS,
            *((f"{side}_{what}", pa.float64()) for side in ("bid", "ask") for what in ("price", "size")),
        ]
    ),
    key=("symbol",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`quotes` rows and a quarter as many trades over `symbols`; one symbol may have most of them.

    In market time there are `row_ns` between two quotes.
    """

    name: str
    quotes: int
    row_ns: int = ROW_NS
    symbols: int = 1_000
    shape: Shape = "record"
    hot: bool = False
    seed: int = 7

    @property
    def trades(self) -> int:
        """One trade to four quotes."""
        return self.quotes // 4

    @property
    def rows(self) -> int:
        """Rows of both streams."""
        return self.quotes + self.trades

    @property
    def grace_ns(self) -> int:
        """What gathering `BLOCK_ROWS` trades of a symbol into one message puts out of order."""
        return 4 * BLOCK_ROWS * self.symbols * self.row_ns if self.shape == "block" else 0

    def batches(self, stream: Stream) -> Iterator[pa.RecordBatch]:
        """The rows of one stream in time order, the same ones each time."""
        total = self.trades if stream is TRADE else self.quotes
        every_ns = self.row_ns * (4 if stream is TRADE else 1)
        draw = np.random.default_rng([self.seed, stream is TRADE])
        names = pa.array([f"S{number:05d}" for number in range(self.symbols)])
        for first in range(0, total, TILE_ROWS):
            count = min(TILE_ROWS, total - first)
            event_ns = OPEN_NS + (first + np.arange(count)) * every_ns + draw.integers(0, every_ns, count)
            symbol = draw.integers(0, self.symbols, count)
            if self.hot:
                symbol[draw.random(count) < HOT_SHARE] = 0
            values = draw.integers(1, 100_000, (len(stream.schema) - 2, count)) / 100
            columns = [pa.array(event_ns), names.take(pa.array(symbol))]
            for field, value in zip(list(stream.schema)[2:], values, strict=True):
                exchange = field.type == pa.string()
                columns.append(
                    pa.array(["N", "Q", "P"]).take(pa.array(value.astype(np.int64) % 3))
                    if exchange
                    else pa.array(value)
                )
            yield pa.RecordBatch.from_arrays(columns, schema=stream.schema)


def bench_settings(
    bootstrap: str,
    folder: Path,
    load: Load,
    *,
    prefix: str,
    inputs: str,
    grace_ns: int | None = None,
    graph: Mapping[str, Any] | None = None,
    **worker: Any,
) -> Settings:
    """The pipeline `prefix` over the input topics of `inputs`; `worker` are settings of that section.

    Without `grace_ns` the grace is that of the load.  `graph` stands behind the join.
    """
    return Settings.model_validate(
        {
            "pipeline": {"prefix": prefix, "grace_ns": load.grace_ns if grace_ns is None else grace_ns},
            "bus": {
                "bootstrap": bootstrap,
                "partitions": PARTITIONS,
                "schema_registry": str(folder / "schemas"),
            },
            "worker": {"state": str(folder / "state"), **worker},
            "graph": graph or {},
            "streams": {
                stream.name: {
                    "topic": f"{inputs}.{stream.name}",
                    **foreign_settings(stream, load.shape, folder),
                }
                for stream in (TRADE, QUOTE)
            },
        }
    )


def make_topics(settings: Settings, **input_configs: str) -> None:
    """Create what the pipeline lacks and register the schemas of its inputs.

    `input_configs` are for the topics of the inputs; a name has `_` where the broker's has a full stop.
    """
    admin = KafkaBus(settings.bus.bootstrap).admin()
    own = {name.replace("_", "."): value for name, value in input_configs.items()}
    inputs = {settings.topic(name) for name in settings.stream_names}
    specs = [
        replace(spec, configs={**spec.configs, **own}) if spec.name in inputs else spec
        for spec in topic_specs(settings)
    ]
    apply(admin, plan(admin, specs))
    registry = open_registry(settings.bus.schema_registry)
    for stream in (TRADE, QUOTE):
        registry.register(f"{settings.topic(stream.name)}-value", avro_schema(stream))


def publish(settings: Settings, load: Load) -> int:
    """Publish the whole load, both streams side by side in time; returns the number of messages of rows."""
    registry = open_registry(settings.bus.schema_registry)
    producer = Producer(
        {
            "bootstrap.servers": settings.bus.bootstrap,
            "linger.ms": 20,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    messages = 0
    # A quarter as many trades cover the same time in a quarter as many batches.
    pending = {stream.name: load.batches(stream) for stream in (TRADE, QUOTE)}
    streams = {TRADE.name: (TRADE, 1), QUOTE.name: (QUOTE, 4)}
    while pending:
        for name in list(pending):
            stream, share = streams[name]
            encoder = RowEncoder(stream, registry, settings.topic(name))
            for _ in range(share):
                rows = next(pending[name], None)
                if rows is None:
                    del pending[name]
                    break
                messages += send(producer, settings.topic(name), *compose(load, encoder, rows))
    _send_final(producer, settings, registry, OPEN_NS + (load.quotes + 8) * load.row_ns)
    producer.flush()
    return messages


def compose(load: Load, encoder: RowEncoder, rows: pa.RecordBatch) -> tuple[Encoded, list[bytes], Int64s]:
    """Encode rows as the load's messages; returns them, the keys, and which key each message has."""
    symbols = rows.column("symbol").dictionary_encode()
    codes = symbols.indices.to_numpy()
    keys = [name.encode() for name in symbols.dictionary.to_pylist()]
    if load.shape != "block":
        encoded = encoder.records(rows) if load.shape == "record" else foreign_messages(rows, load.shape)
        return encoded, keys, codes
    blocks = gather_blocks(
        rows.column("event_ns").to_numpy(),
        codes,
        rows_max=BLOCK_ROWS,
        grace_ns=load.grace_ns,
        disorder_ns=0,
    )
    gathered = rows.take(pa.array(blocks.order))
    return encoder.blocks(gathered, blocks.cuts), keys, codes[blocks.order][blocks.cuts[:-1]]


def send(producer: Producer, topic: str, encoded: Encoded, keys: list[bytes], codes: Int64s) -> int:
    """Produce encoded messages, each to the partition of its key; returns how many."""
    data = encoded.data.tobytes()
    starts = encoded.starts.tolist()
    partitions = [partition_of(key, PARTITIONS) for key in keys]
    for number, code in enumerate(codes.tolist()):
        value = data[starts[number] : starts[number + 1]]
        while True:
            try:
                producer.produce(topic, value, keys[code], partitions[code])
                break
            except BufferError:
                producer.poll(0.01)
        if number % 1_000 == 0:
            producer.poll(0)
    return len(codes)


def _send_final(producer: Producer, settings: Settings, registry: SchemaRegistry, upper_ns: int) -> None:
    for stream in (TRADE, QUOTE):
        value = encode_progress(registry, Progress(stream.name, upper_ns, True, "bench"))
        for partition in range(PARTITIONS):
            producer.produce(
                settings.topic(stream.name), value, partition=partition, timestamp=upper_ns // NS_PER_MS
            )


def expected(load: Load) -> pl.DataFrame:
    """What the join must give, by Polars: each trade with the last quote of its symbol."""
    trades, quotes = (
        arrow_frame(pa.Table.from_batches(load.batches(stream), stream.schema)) for stream in (TRADE, QUOTE)
    )
    quotes = quotes.with_columns(matched_ns=pl.col("event_ns"))
    return trades.join_asof(quotes, on="event_ns", by="symbol", check_sortedness=False)


def arrow_frame(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as a Polars frame."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def same_rows(aligned: pa.Table, wanted: pl.DataFrame) -> bool:
    """Whether aligned rows are exactly the wanted ones, in any order of partitions."""
    renamed: Mapping[str, str] = {
        "quote_event_ns": "matched_ns",
        **{f"quote_{name}": name for name in QUOTE.schema.names[2:]},
    }
    found = arrow_frame(aligned).rename(renamed).select(wanted.columns)
    order = ["event_ns", "symbol", "price", "size"]
    return found.sort(order).equals(wanted.sort(order))
