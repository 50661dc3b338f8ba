"""A bus whose producers hear of deliveries when a test says so, and a market that commits at least once."""

from collections.abc import Callable
from pathlib import Path

from app.task.metadata import from_position
from app.worker.worker import Worker
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.memory.bus import MemoryBus
from topics.memory.producer import MemoryProducer
from topics.memory.store import MemoryStore


class SlowBus(MemoryBus):
    """Its producers are told of what was delivered when `acknowledges` says so."""

    acknowledges = False

    def producer(self, *, transactional_id: str | None = None, client_id: str = "tidemark") -> MemoryProducer:
        return SlowProducer(self._store, transactional_id, lambda: self.acknowledges)


class SlowProducer(MemoryProducer):
    """Hears of deliveries when its broker likes."""

    def __init__(self, store: MemoryStore, transactional_id: str | None, hears: Callable[[], bool]) -> None:
        super().__init__(store, transactional_id)
        self._hears = hears

    def reached(self, mark: int) -> bool:
        return self._hears() and super().reached(mark)


def market_of(folder: Path) -> Market:
    """A market whose join needs no last-known rows, so that no commit needs a transaction."""
    return Market(folder, pipeline={"tolerance_ns": 100}, worker={"guarantee": "at_least_once"})


def committed_next(market: Market, worker: Worker, topic: str = "trade") -> int | None:
    """Up to where the group has committed to have read a stream."""
    source = TopicPartition(market.settings.topic(topic), 0)
    position = worker.consumer.committed([source])[source]
    return None if position is None else from_position(position, "test").progress.next_offset


def sealed(market: Market, *times_ns: int) -> Worker:
    worker = market.worker()
    market.trade(*times_ns)
    market.progress(max(times_ns) + 1)
    turn_until_quiet(worker)
    return worker
