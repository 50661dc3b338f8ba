"""A worker that is watched: its ledger, and what a scrape says of it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from app.metrics.collector import Labels, WorkerCollector
from app.metrics.health import Health
from app.metrics.heart import Heart
from app.metrics.ledger import Ledger
from app.worker.worker import Worker
from tests.stage.market import Market

LABELS = Labels("1.2.3", "tidemark", "0", "exactly_once", "embedded")


@dataclass(frozen=True, slots=True)
class Watched:
    """A worker on the market's clocks with what watches it."""

    worker: Worker
    ledger: Ledger
    health: Health

    def sample(self, name: str, **labels: str) -> float:
        """One sample of a scrape."""
        collector = WorkerCollector(self.ledger, LABELS, self.worker.standing)
        return by_name(collector.collect())[name][tuple(sorted(labels.items()))]

    def is_live_after(self, elapsed_ns: int, market: Market) -> bool:
        """Whether it is live once so much more time has passed."""
        market.elapsed_ns += elapsed_ns
        return self.ledger.heart.is_live


def watched(market: Market, slot: str = "0") -> Watched:
    """A worker of the market that is watched."""

    def elapsed_ns() -> int:
        return market.elapsed_ns

    def wall_ns() -> int:
        return market.wall_ns

    heart = Heart(elapsed_ns=elapsed_ns, wall_ns=wall_ns)
    streams = market.settings.stream_names
    ledger, health = Ledger(streams, heart, elapsed_ns=elapsed_ns, wall_ns=wall_ns), Health()
    return Watched(market.worker_at(ledger, health, slot), ledger, health)


def by_name(families: Iterable[Metric]) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """The samples of families by name and labels."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = defaultdict(dict)
    for family in families:
        for sample in family.samples:
            samples[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return samples
