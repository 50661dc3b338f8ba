"""The collector: the figures of a worker as Prometheus reads them, put together when it asks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from app.metrics.catalogue import (
    AWAY,
    BY_NAME,
    COMMIT_DURATION,
    LAST_COMMIT,
    PHASES,
    RECOVERY,
    SEAL_LATENCY,
    STATE_BYTES,
    TASKS,
    TURN,
    VALUES,
    WORKER,
    Key,
)
from app.metrics.ledger import Ledger
from app.metrics.phases import NAMES
from app.metrics.standing import Standing
from schemas.clocks import NS_PER_S

IN_NS: Final = frozenset({AWAY, PHASES})  # counters that are kept in ns and shown in seconds


class Labels(NamedTuple):
    """What `tidemark_worker_info` says."""

    version: str
    pipeline: str
    slot: str
    guarantee: str
    reading: str


class WorkerCollector:
    """Reads a ledger; `standing` is asked at each scrape, from the thread of whoever scrapes."""

    def __init__(self, ledger: Ledger, labels: Labels, standing: Callable[[], Standing]) -> None:
        self._ledger = ledger
        self._labels = labels
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """All metrics of a worker."""
        ledger = self._ledger
        phases: dict[Key, int] = {
            (PHASES, name): ns for name, ns in zip(NAMES, ledger.phases.spent_ns, strict=True)
        }
        yield from counters({**ledger.totals, **phases})
        for name, histogram in (
            (SEAL_LATENCY, ledger.seal_latency),
            (COMMIT_DURATION, ledger.commit_duration),
            (RECOVERY, ledger.recovery),
        ):
            buckets, sum_s = histogram.buckets()
            yield HistogramMetricFamily(name, BY_NAME[name].words, buckets=buckets, sum_value=sum_s)
        standing = self._standing()
        yield gauge(WORKER, {tuple(self._labels): 1})
        yield gauge(TASKS, {(state,): getattr(standing, state) for state in VALUES["state"]})
        yield gauge(STATE_BYTES, {(): standing.state_bytes})
        for name, wall_ns in ((TURN, ledger.heart.beaten_ns), (LAST_COMMIT, ledger.last_commit_ns)):
            yield gauge(name, {(): wall_ns / NS_PER_S} if wall_ns else {})


def counters(totals: Mapping[Key, int]) -> Iterator[Metric]:
    """The counters of a ledger, a family for each name."""
    families: dict[str, CounterMetricFamily] = {}
    for (name, *labels), count in totals.items():
        if name not in families:
            metric = BY_NAME[name]
            families[name] = CounterMetricFamily(name, metric.words, labels=metric.labels)
        families[name].add_metric(labels, count / NS_PER_S if name in IN_NS else count)
    yield from families.values()


def gauge(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    """One gauge, with a value for each tuple of its labels' values; none is a name without a sample."""
    metric = BY_NAME[name]
    family = GaugeMetricFamily(name, metric.words, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def registry_of(*collectors: Any) -> CollectorRegistry:
    """A registry of our own, with these and what the system says of the process.

    The library's default one counts collections of garbage by callbacks, and ours is frozen.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def rendered(registry: CollectorRegistry, accept: str) -> tuple[str, bytes]:
    """The content type and the text of a scrape, in the format that the scraper accepts."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)
