"""Workers that die: at a failpoint, and as their group and their disk see it."""

from app.worker.worker import Worker
from tests.stage.market import Market
from topics.memory.consumer import MemoryConsumer


class Death(Exception):
    """The worker dies here."""


def die_at(doomed: str, reached: str) -> None:
    """Die at the failpoint `doomed`, and pass all others."""
    if reached == doomed:
        raise Death


def buried(market: Market, worker: Worker) -> None:
    """Have the group see that a worker is dead, and let go of its stores, as the system does."""
    assert isinstance(worker.consumer, MemoryConsumer)
    market.bus.evict(worker.consumer)
    for task in worker.tasks.values():
        task.close()
