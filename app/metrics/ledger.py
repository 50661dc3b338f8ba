"""The ledger: what a worker counts of its work, as plain integers that are put into words at a scrape."""

from collections.abc import Callable

from app.metrics.catalogue import AWAY, BY_NAME, COMMITS, METRICS, PHASES, Key, keys_of
from app.metrics.heart import Heart
from app.metrics.histogram import Histogram
from app.metrics.phases import Phases
from app.process.clock import monotonic_ns, now_ns


class Ledger:
    """Counters by name and labels, histograms, and what the loop did when.

    The loop's thread alone writes; who reads takes copies.  Counters of rows rise with the commit that makes
    them true, so that rows of a transaction that comes to nothing, which come again, are counted once.
    """

    def __init__(
        self,
        streams: tuple[str, ...],
        heart: Heart | None = None,
        *,
        elapsed_ns: Callable[[], int] = monotonic_ns,
        wall_ns: Callable[[], int] = now_ns,
    ) -> None:
        """`streams` are the inputs; `wall_ns` is what is shown as the time of a commit."""
        self.heart = heart or Heart()
        self.phases = Phases()
        self.totals: dict[Key, int] = {
            key: 0
            for metric in METRICS
            if metric.by == "worker" and metric.kind == "counter" and metric.name != PHASES
            for key in keys_of(metric, streams)
        }
        self.seal_latency, self.commit_duration, self.recovery = Histogram(), Histogram(), Histogram()
        self.last_commit_ns = 0  # wall clock; 0 before the first
        self._pending: dict[Key, int] = {}
        self._elapsed_ns = elapsed_ns
        self._wall_ns = wall_ns
        self._begun_ns = 0

    def add(self, name: str, *labels: str, by: int = 1) -> None:
        """Count what has happened, whatever becomes of the open transaction."""
        assert len(labels) == len(BY_NAME[name].labels), name
        key = (name, *labels)
        self.totals[key] = self.totals.get(key, 0) + by

    def add_rows(self, name: str, *labels: str, by: int = 1) -> None:
        """Count rows, from the next commit on."""
        if by:
            key = (name, *labels)
            self._pending[key] = self._pending.get(key, 0) + by

    def commit_begins(self) -> None:
        """A commit begins."""
        self._begun_ns = self._elapsed_ns()

    def commit_done(self) -> None:
        """The commit that began last counts, and so do the rows until then."""
        self.add(COMMITS, "done")
        self.commit_duration.add(self._elapsed_ns() - self._begun_ns)
        self.last_commit_ns = self._wall_ns()
        pending, self._pending = self._pending, {}
        for key, count in pending.items():
            self.totals[key] = self.totals.get(key, 0) + count

    def undo(self, outcome: str) -> None:
        """What was sent since the last commit came to nothing; its rows come again."""
        self.add(COMMITS, outcome)
        self._pending = {}

    def waited(self, what: str, waited_ns: int) -> None:
        """The loop waited for what is away, and goes on waiting or not: it lives."""
        self.add(AWAY, what, by=waited_ns)
        self.heart.beat()
