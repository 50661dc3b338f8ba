"""The feed of a storm: a process that writes a step of market every 100 ms, and makes up for what it missed.

Each step, or several where it is behind, is one transaction that ends with a progress record in every
partition.  A step whose transaction fails is not sent again: only what is committed counts, and that is for
the verifier to find out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, process_time, time_ns
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from tests.broker.chaos.crew import CONTEXT
from tests.broker.chaos.feed import ANSWER_S, QUOTE, TRADE, begun
from tests.broker.chaos.feed import encoded as encoded_row
from tests.broker.chaos.storm.blocks import ROWS, block_schema, encoded, symbol_name
from tests.broker.chaos.storm.market import NS_PER_MS, STEP_MS, Market, blocks_of
from topics.avro.schema import shipped_schema
from topics.partitioner import partition_of
from topics.registry.folder import FileRegistry

GRACE_MS: Final = 2 * STEP_MS  # blocks of a step are not in the order of time among each other
SCHEMAS: Final = {"trade": TRADE, "quote": QUOTE}
END_S: Final = 120.0
STEP_S: Final = STEP_MS / 1_000
STEPS_AT_ONCE: Final = 20  # in one transaction, where it has fallen behind


@dataclass(frozen=True, slots=True)
class Flow:
    """What a feed is told: where to write, and from which market time on, which it brings up to the clock."""

    bootstrap: str
    prefix: str
    partitions: int
    begin_ns: int
    seed: int
    ids: Mapping[str, int]  # of the blocks' schemas, and of progress records
    thin: int = 1  # one of so many blocks is written


def registered(registry: FileRegistry, prefix: str) -> dict[str, int]:
    """Register the schemas of the streams, of a row and of a block of them; return the ids a flow needs."""
    ids = {}
    for name, schema in SCHEMAS.items():
        registry.register(f"{prefix}.{name}-value", json.dumps(schema))
        block = json.dumps(block_schema(schema))
        ids[name] = registry.register(f"{prefix}.{name}-value-block", block)
    ids["progress"] = registry.register("tidemark.Progress", shipped_schema("progress"))
    return ids


class _Writer:
    """Writes steps in transactions, with a new producer after each that failed."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._progress: dict[str, Any] = json.loads(shipped_schema("progress"))
        self._settings: dict[str, Any] = {
            "bootstrap.servers": flow.bootstrap,
            "transactional.id": f"{flow.prefix}-feed",
            "client.id": f"{flow.prefix}-feed",
            "transaction.timeout.ms": 10_000,
            "linger.ms": 2,
            "reconnect.backoff.max.ms": 500,
            "delivery.report.only.error": True,
            "log_level": 2,  # that the broker is away is the point
        }
        self._producer: Producer | None = None

    def write(self, market: Market, steps: int) -> bool:
        """Write the next steps, or with 0 the final progress records; say whether they are known to count."""
        messages: list[tuple[str, list[bytes], list[int]]] = []
        for _ in range(steps):
            for name, rows in market.step().items():
                messages.append((name, encoded(self._flow.ids[name], rows), rows.symbol.tolist()))
        try:
            producer = self._begun()
            for name, values, symbols in messages:
                topic = f"{self._flow.prefix}.{name}"
                for value, symbol in zip(values, symbols, strict=True):
                    key = symbol_name(symbol)
                    producer.produce(topic, value, key, partition_of(key, self._flow.partitions))
            self._promise(producer, market.now_ns, final=steps == 0)
            producer.commit_transaction(ANSWER_S)
        except KafkaException:
            self._producer = None  # the next one fences this one and settles what is in doubt
            return False
        return True

    def _promise(self, producer: Producer, upper_ns: int, *, final: bool) -> None:
        for name in SCHEMAS:
            row = {"stream": name, "upper_ns": upper_ns, "final": final, "run": self._flow.prefix}
            value = encoded_row(self._flow.ids["progress"], self._progress, row)
            for partition in range(self._flow.partitions):
                producer.produce(f"{self._flow.prefix}.{name}", value, None, partition)

    def _begun(self) -> Producer:
        self._producer = begun(self._producer, self._settings)
        return self._producer


class Feed:
    """The feed's process: `start` it, look at its figures, `finish` it."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._ended = CONTEXT.Event()
        self._told = CONTEXT.Array("d", 5)
        self._process = CONTEXT.Process(target=_flow, args=(flow, self._ended, self._told), daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._process.start()

    @property
    def steps(self) -> int:
        """Steps written, or tried."""
        return int(self._told[0])

    @property
    def now_ns(self) -> int:
        """The market's time: rows at or beyond it have not been written yet."""
        return self._flow.begin_ns + (self.steps + int(self._told[4])) * STEP_MS * NS_PER_MS

    @property
    def steps_failed(self) -> int:
        """Steps whose transaction is not known to count."""
        return int(self._told[1])

    @property
    def cores(self) -> float:
        """How much of a core it takes."""
        return float(self._told[2])

    @property
    def behind_s(self) -> float:
        """How far the market is behind the clock, a step included."""
        return float(self._told[3])

    @property
    def rows(self) -> int:
        """Rows known to be committed."""
        return (self.steps - self.steps_failed) * ROWS * sum(blocks_of(self._flow.thin).values())

    def alive(self) -> bool:
        """Whether it writes."""
        return self._process.is_alive()

    def finish(self) -> None:
        """Write the final progress records, and end."""
        self._ended.set()
        self._process.join(END_S)
        assert self._process.exitcode == 0, f"the feed ended with {self._process.exitcode}"

    def close(self) -> None:
        """Have it gone."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()


def _flow(flow: Flow, ended: Any, told: Any) -> None:
    writer, market = _Writer(flow), Market(flow.begin_ns, flow.seed, flow.thin)
    first_s, used_s = monotonic(), process_time()
    begun_s = first_s - (time_ns() - flow.begin_ns) / 1e9
    failed = 0
    while True:
        behind_s = monotonic() - begun_s - market.steps * STEP_S
        steps = max(1, min(STEPS_AT_ONCE, int(behind_s / STEP_S)))
        told[:] = (
            market.steps,
            failed,
            (process_time() - used_s) / max(1e-3, monotonic() - first_s),
            behind_s,
            steps,
        )
        if ended.wait(max(0.0, STEP_S - behind_s)):
            break
        failed += 0 if writer.write(market, steps) else steps
    until_s = monotonic() + END_S
    while not writer.write(market, 0):
        assert monotonic() < until_s, "the feed's broker never came back"
