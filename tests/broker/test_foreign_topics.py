"""Topics of other people on a real Kafka, from their first message to an audited join, by commands alone."""

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
import pytest
import tomli_w
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from app.config import load_settings
from app.reading.aligned import read_aligned
from app.wiring.open import pipeline_on
from schemas.clocks import NS_PER_MS, NS_PER_US
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import until
from tests.stage.programs import App, started
from topics.avro.progress import encode_progress
from topics.kafka.bus import KafkaBus
from topics.registry.open import open_registry
from topics.wire import Progress

pytestmark = [pytest.mark.broker, pytest.mark.takes_s(30)]

Rows = Sequence[dict[str, Any]]
PARTITIONS = 3
SYMBOLS = ("AAPL", "MSFT", "GOOG", "BRK.B", "TSLA", "NVDA")
START_US = 1_705_311_000_000_000
CLOSE_US = START_US + 60_000_000  # a minute later each symbol trades once more: what lies before is final


def rows_of(seed: int, count: int, step_us: int, *columns: str) -> list[dict[str, Any]]:
    """Rows in the order of their times."""
    draw = np.random.default_rng(seed)
    times = np.sort(draw.choice(count * step_us, count, replace=False)) + START_US
    places = [(str(draw.choice(SYMBOLS)), int(at)) for at in times]
    places += [(symbol, CLOSE_US) for symbol in SYMBOLS]
    values = np.round(draw.uniform(10, 500, (len(places), len(columns))), 2).tolist()
    return [
        {"symbol": symbol, "at_us": at_us, **dict(zip(columns, prices, strict=True))}
        for (symbol, at_us), prices in zip(places, values, strict=True)
    ]


def quote_file() -> descriptor_pb2.FileDescriptorSet:
    """What `protoc --descriptor_set_out` makes of a quote with a time of the well-known type and a level."""
    kind = descriptor_pb2.FieldDescriptorProto
    quote = descriptor_pb2.DescriptorProto(name="Quote")
    level = quote.nested_type.add(name="Level")
    level.field.add(name="price", number=1, type=kind.TYPE_DOUBLE, label=1)
    level.field.add(name="size", number=2, type=kind.TYPE_INT32, label=1)
    quote.field.add(name="symbol", number=1, type=kind.TYPE_STRING, label=1)
    quote.field.add(name="time_us", number=2, type=kind.TYPE_INT64, label=1)
    quote.field.add(name="bid", number=3, type=kind.TYPE_MESSAGE, type_name=".md.Quote.Level", label=1)
    quote.field.add(name="ask", number=4, type=kind.TYPE_MESSAGE, type_name=".md.Quote.Level", label=1)
    file = descriptor_pb2.FileDescriptorProto(name="quote.proto", package="md", syntax="proto3")
    file.message_type.append(quote)
    return descriptor_pb2.FileDescriptorSet(file=[file])


def quote_messages(files: descriptor_pb2.FileDescriptorSet, quotes: Rows) -> Iterator[bytes]:
    """Each quote as a service of somebody else serializes it."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(files.file[0])
    quote_of: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("md.Quote"))
    for row in quotes:
        message = quote_of(symbol=row["symbol"], time_us=row["at_us"])
        message.bid.price, message.bid.size = row["bid"], 100
        message.ask.price, message.ask.size = row["ask"], 200
        yield message.SerializeToString()


def joined(trades: Rows, quotes: Rows) -> pl.DataFrame:
    """What Polars makes of it, but for the last minute."""
    left, right = pl.DataFrame(trades), pl.DataFrame(quotes).with_columns(quote_us=pl.col("at_us"))
    found = left.join_asof(right, on="at_us", by="symbol", strategy="backward", check_sortedness=False)
    return (
        found.select(
            event_ns=pl.col("at_us") * NS_PER_US,
            symbol="symbol",
            price="price",
            quote_event_ns=pl.col("quote_us") * NS_PER_US,
            quote_bid_price="bid",
            quote_ask_price="ask",
        )
        .filter(pl.col("event_ns") < CLOSE_US * NS_PER_US)
        .sort("event_ns", "symbol")
    )


class Others:
    """Somebody else's two topics, with the settings that the broker gives them, and their producers."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.prefix = f"test-{uuid4().hex[:12]}"
        self.trades, self.quotes = f"{self.prefix}-exchange-trades", f"{self.prefix}-md-quotes"
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        topics = [NewTopic(name, num_partitions=PARTITIONS) for name in (self.trades, self.quotes)]
        for made in self.admin.create_topics(topics).values():
            made.result(30)

    def publish(self, trades: Rows, quotes: Rows, **trade_client: str) -> None:
        """Trades as JSON and quotes as Protobuf, these with the partitioner of the Java client."""
        plain = Producer({"bootstrap.servers": self.bootstrap, **trade_client})
        for row in trades:
            said = {"ev": "T", "sym": row["symbol"], "p": str(row["price"]), "t": row["at_us"], "c": [14, 41]}
            plain.produce(self.trades, key=row["symbol"], value=json.dumps(said))
            plain.poll(0)
        assert plain.flush(30) == 0
        files = quote_file()
        (self.folder / "quote.desc").write_bytes(files.SerializeToString())
        java = Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"})
        for row, value in zip(quotes, quote_messages(files, quotes), strict=True):
            java.produce(self.quotes, key=row["symbol"], value=value)
            java.poll(0)
        assert java.flush(30) == 0

    def config(self, trades: str) -> Path:
        """The settings of somebody who reads them."""
        file = self.folder / "mine.toml"
        settings = {
            "pipeline": {"prefix": self.prefix, "idle_after_ms": 1_000, "grace_ns": 5 * NS_PER_MS},
            "bus": {
                "bootstrap": self.bootstrap,
                "partitions": PARTITIONS,
                "schema_registry": str(self.folder / "schemas"),
                "kafka": dict(HASTY),
            },
            "worker": {"state": str(self.folder / "state")},
            "streams": {
                "trade": {
                    "topic": trades,
                    "format": "json",
                    "event_time": {"field": "t", "form": "us"},
                    "fields": {"price": {"path": "p", "type": "double"}},
                },
                "quote": {
                    "topic": self.quotes,
                    "format": "protobuf",
                    "schema_file": str(self.folder / "quote.desc"),
                    "columns": ["symbol", "bid.price", "ask.price"],
                    "event_time": {"field": "time_us", "form": "us"},
                },
            },
        }
        file.write_text(tomli_w.dumps(settings))
        return file

    def close(self) -> None:
        """Delete every topic of this test."""
        names = [name for name in self.admin.list_topics(timeout=30).topics if name.startswith(self.prefix)]
        for gone in self.admin.delete_topics(names).values():
            gone.result(30)


@pytest.fixture
def others(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Others]:
    """Somebody else's topics, empty."""
    others = Others(kafka_bootstrap, tmp_path)
    yield others
    others.close()


def aligned(config: Path) -> pl.DataFrame:
    """The aligned rows that are there by now."""
    settings = load_settings(config)
    pipeline = pipeline_on(settings, KafkaBus(settings.bus.bootstrap, HASTY))
    batches = [rows for number in range(PARTITIONS) for rows in read_aligned(pipeline, number)]
    frame = pl.from_arrow(batches) if batches else pl.DataFrame()
    assert isinstance(frame, pl.DataFrame)
    return frame


def end_inputs(config: Path) -> None:
    """Say that the day is over, so that the rows of the last minute are final too."""
    settings = load_settings(config)
    registry = open_registry(settings.bus.schema_registry)
    producer = KafkaBus(settings.bus.bootstrap, HASTY).producer()
    for name in settings.stream_names:
        value = encode_progress(registry, Progress(name, (CLOSE_US + 1) * NS_PER_US, True, "test"))
        for partition in range(PARTITIONS):
            producer.produce(settings.topic(name), partition=partition, key=None, value=value)
    producer.flush()
    producer.close()


def join_and_audit(run_app: App, config: Path, wanted: pl.DataFrame) -> None:
    """Make the outputs, run a worker until all is joined, stop it, and check what it wrote."""
    assert run_app("topics", "apply", "--config", config).code == 0
    doctor = run_app("doctor", "--config", config)
    assert doctor.code == 0, doctor.err
    with started("app", "align", "--config", config) as worker:
        until(lambda: aligned(config).height >= wanted.height, "all trades are aligned")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    found = aligned(config).select(wanted.columns).sort("event_ns", "symbol")
    assert found.head(wanted.height).equals(wanted)
    end_inputs(config)
    ended = run_app("align", "--config", config, "--until-final")
    assert ended.code == 0, ended.err
    audit = run_app("audit", "--config", config)
    assert audit.code == 0, audit.err
    assert aligned(config).height == wanted.height + len(SYMBOLS)


def test_json_trades_and_protobuf_quotes_are_joined_as_they_are(others: Others, run_app: App) -> None:
    trades, quotes = rows_of(1, 2_000, 900, "price"), rows_of(2, 4_000, 450, "bid", "ask")
    others.publish(trades, quotes, partitioner="murmur2_random")
    join_and_audit(run_app, others.config(others.trades), joined(trades, quotes))


def test_trades_of_a_plain_librdkafka_producer_are_copied_and_joined(others: Others, run_app: App) -> None:
    trades, quotes = rows_of(3, 500, 900, "price"), rows_of(4, 1_000, 450, "bid", "ask")
    others.publish(trades, quotes)
    config = others.config(others.trades)
    assert run_app("topics", "apply", "--config", config).code == 0
    refused = run_app("doctor", "--config", config)
    assert refused.code == 1
    assert "problem: keys: stream trade: key '" in refused.err
    copy = f"{others.trades}-repartitioned"
    assert f"python -m app topics repartition --from {others.trades} --to {copy}" in refused.err
    copied = run_app("topics", "repartition", "--from", others.trades, "--to", copy, "-c", config)
    assert copied.code == 0, copied.err
    assert "506 messages copied" in copied.out
    join_and_audit(run_app, others.config(copy), joined(trades, quotes))
