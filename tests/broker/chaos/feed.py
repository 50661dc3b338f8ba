"""The feed: trades and quotes of a seeded market, written in transactions by a plain Kafka producer.

Nothing here is the program's own code but the schema registry: rows are encoded by fastavro.  What a broker
makes of them is read back by `tests.broker.chaos.verifier`, so the feed remembers nothing.
"""

import io
import json
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import fastavro
from confluent_kafka import KafkaException, Producer

from schemas.clocks import NS_PER_MS
from topics.avro.schema import shipped_schema
from topics.partitioner import partition_of
from topics.wire import SchemaRegistry

SYMBOLS: Final = tuple(f"S{number:02d}" for number in range(12))
GRACE_MS: Final = 20  # rows are out of order by less than this
STEP_MS: Final = 100  # market time of a step
BASE_NS: Final = 1_700_000_000_000_000_000
ANSWER_S: Final = 15.0

TRADE: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Trade",
    "fields": [
        {"name": "event_ns", "type": "long"},
        {"name": "symbol", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "price", "type": "double"},
    ],
}
QUOTE: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Quote",
    "fields": [
        {"name": "event_ns", "type": "long"},
        {"name": "symbol", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "bid", "type": "double"},
        {"name": "ask", "type": ["null", "double"], "default": None},
    ],
}
SCHEMAS: Final = {"trade": TRADE, "quote": QUOTE}

Row = dict[str, Any]
Sent = tuple[str, str, bytes | None]  # stream, symbol, value


def encoded(schema_id: int, schema: dict[str, Any], row: Row) -> bytes:
    """Return a message in the Confluent wire format."""
    value = io.BytesIO()
    value.write(b"\x00" + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(value, fastavro.parse_schema(schema), row)
    return value.getvalue()


def begun(producer: Producer | None, settings: dict[str, Any]) -> Producer:
    """Begin a transaction of a producer, of a new one where the last one failed."""
    if producer is None:
        producer = Producer(settings)
        producer.init_transactions(2 * ANSWER_S)
    producer.begin_transaction()
    return producer


class Feed:
    """Writes a step of market at a time; each step is one transaction that ends with a progress record.

    A step whose transaction fails is not sent again: time goes on, and only what is committed counts.
    `quotes_on` are the partitions in which quotes are written; final progress records go to all of them.
    """

    def __init__(
        self,
        bootstrap: str,
        registry: SchemaRegistry,
        prefix: str,
        *,
        partitions: int,
        seed: int,
        base_ns: int = BASE_NS,
    ) -> None:
        self._rng = random.Random(seed)
        self._settings = {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"{prefix}-feed",
            "client.id": f"{prefix}-feed",
            "transaction.timeout.ms": 10_000,
            "linger.ms": 2,
            "reconnect.backoff.max.ms": 500,
            "log_level": 2,  # that a broker is away is the point of some scenes
        }
        self._producer: Producer | None = None
        self._registry = registry
        self._prefix = prefix
        self._partitions = partitions
        self._base_ns = base_ns
        self._number = 0
        self._progress = json.loads(shipped_schema("progress"))
        self._progress_id = registry.register("tidemark.Progress", json.dumps(self._progress))
        self.schemas = dict(SCHEMAS)
        self.ids = {name: self.register(name, schema) for name, schema in SCHEMAS.items()}
        self.quotes_on = frozenset(range(partitions))
        self.steps = 0
        self.steps_failed = 0

    @property
    def now_ns(self) -> int:
        """The market's time: no row of a later step lies below it."""
        return self._base_ns + self.steps * STEP_MS * NS_PER_MS

    def topic(self, name: str) -> str:
        """The topic of a stream."""
        return f"{self._prefix}.{name}"

    def register(self, name: str, schema: dict[str, Any]) -> int:
        """Register a schema under a stream's subject."""
        return self._registry.register(f"{self.topic(name)}-value", json.dumps(schema))

    def evolve(self, name: str, schema: dict[str, Any]) -> None:
        """Write a stream by another schema from now on."""
        self.schemas[name], self.ids[name] = schema, self.register(name, schema)

    def step(self, trades: int = 60, *, quiet: Sequence[str] = ()) -> None:
        """Write a step: `trades` trades, twice as many quotes; streams in `quiet` say nothing at all."""
        messages: list[tuple[int, Sent]] = []
        for name, rows in (("quote", 2 * trades), ("trade", trades)):
            if name not in quiet:
                messages += [self._message(name, row) for row in self._rows(name, rows)]
        self._rng.shuffle(messages)
        messages.sort(key=lambda message: message[0])  # by the time before the jitter: within the grace
        self.steps += 1
        self.write([message for _, message in messages], quiet=quiet)

    def write(
        self,
        messages: Sequence[Sent],
        *,
        final: bool = False,
        quiet: Sequence[str] = (),
    ) -> bool:
        """Write messages and progress records in one transaction; say whether it is known
        to count.
        """
        try:
            producer = self._begun()
            for name, symbol, value in messages:
                producer.produce(self.topic(name), value, symbol.encode(), self.partition_of(symbol))
            for name in SCHEMAS:
                for partition in range(self._partitions):
                    if name in quiet or (name == "quote" and partition not in self.quotes_on and not final):
                        continue
                    producer.produce(self.topic(name), self._heartbeat(name, final=final), None, partition)
            producer.commit_transaction(ANSWER_S)
        except KafkaException:
            self._producer = None  # the next one fences this one and settles what is in doubt
            self.steps_failed += 1
            return False
        return True

    def finish(self) -> None:
        """Write the final progress records."""
        while not self.write([], final=True):
            assert self.steps_failed < 100, "the feed's broker never came back"

    @contextmanager
    def flowing(self, pause_s: float = 0.03, trades: int = 60) -> Iterator[None]:
        """Write step after step in a thread of its own until the block ends."""
        ended = threading.Event()
        failed: list[BaseException] = []

        def flow() -> None:
            try:
                while not ended.is_set():
                    self.step(trades)
                    ended.wait(pause_s)
            except BaseException as raised:  # raised again where the block ends
                failed.append(raised)

        thread = threading.Thread(target=flow, name="feed")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if failed:
            raise failed[0]

    def row(self, name: str, event_ns: int, symbol: str) -> Row:
        """A row with the next number, which no other has."""
        self._number += 1
        price = round(100 + self._rng.random(), 4)
        row: Row = {"event_ns": event_ns, "symbol": symbol, "number": self._number}
        if name == "trade":
            return row | {"price": price}
        ask = None if self._rng.random() < 0.1 else price + 0.01
        return row | {"bid": price, "ask": ask}

    def value(self, name: str, row: Row) -> bytes:
        """The message of a row, by the schema of the stream as it is now."""
        return encoded(self.ids[name], self.schemas[name], row)

    def partition_of(self, symbol: str) -> int:
        """Where a symbol's rows go."""
        return partition_of(symbol.encode(), self._partitions)

    def _rows(self, name: str, count: int) -> Iterator[tuple[int, Row]]:
        for place in range(count):
            symbol = SYMBOLS[place % len(SYMBOLS)]
            if name == "quote" and self.partition_of(symbol) not in self.quotes_on:
                continue
            time_ns = self.now_ns + place * STEP_MS // count * NS_PER_MS
            event_ns = time_ns + self._rng.randrange(GRACE_MS) * NS_PER_MS
            yield time_ns, self.row(name, event_ns, symbol)

    def _message(self, name: str, timed: tuple[int, Row]) -> tuple[int, Sent]:
        time_ns, row = timed
        return time_ns, (name, row["symbol"], self.value(name, row))

    def _heartbeat(self, name: str, *, final: bool) -> bytes:
        upper_ns = self.now_ns + (GRACE_MS * NS_PER_MS if final else 0)
        row = {"stream": name, "upper_ns": upper_ns, "final": final, "run": self._prefix}
        return encoded(self._progress_id, self._progress, row)

    def _begun(self) -> Producer:
        self._producer = begun(self._producer, self._settings)
        return self._producer
