"""A reader's figures as Prometheus reads them, for services that have `prometheus-client` (an extra)."""

from collections.abc import Callable, Iterator
from typing import Any

from gpu_sink.adapters import require
from gpu_sink.figures import EDGES_S, SinkFigures


def collector(figures: Callable[[], SinkFigures]) -> Any:
    """A collector for a registry of `prometheus_client`; `figures` is that of a reader: `batches.figures`.

    Nothing is counted by the library: a scrape reads plain numbers.  Raises DeviceError where it is missing.
    """
    core = require("prometheus_client.metrics_core", "metrics", "tidemark-gpu-sink[metrics]")
    return _Collector(figures, core)


class _Collector:
    """Puts figures into families of the library when it is asked."""

    def __init__(self, figures: Callable[[], SinkFigures], core: Any) -> None:
        self._figures = figures
        self._core = core

    def collect(self) -> Iterator[Any]:
        """The metrics of one reader."""
        now = self._figures()
        for name, words, value in (
            ("rows", "Rows handed over.", now.rows),
            ("batches", "Batches handed over.", now.batches),
            ("copied_bytes", "Bytes of slots handed to the copy engine.", now.copied_bytes),
            ("rows_missing", "Rows that are missing before frames that were read.", now.rows_missing),
            ("rows_repeated", "Rows that came again.", now.rows_repeated),
        ):
            yield self._core.CounterMetricFamily(f"tidemark_sink_{name}", words, value=value)
        yield self._labelled("frame_errors", "Frames that could not be used.", "reason", now.frame_errors)
        waits = {kind: wait_ns / 1e9 for kind, wait_ns in now.wait_ns.items()}
        yield self._labelled("wait_seconds", "Time spent waiting.", "for", waits)
        below, buckets = 0, []
        for bound, count in zip([*map(str, EDGES_S), "+Inf"], now.latency_counts, strict=True):
            below += count
            buckets.append((bound, below))
        yield self._core.HistogramMetricFamily(
            "tidemark_sink_delay_seconds",
            "From sealed to handed over.",
            buckets=buckets,
            sum_value=now.latency_ns / 1e9,
        )

    def _labelled(self, name: str, words: str, label: str, values: Any) -> Any:
        family = self._core.CounterMetricFamily(f"tidemark_sink_{name}", words, labels=[label])
        for kind, value in values.items():
            family.add_metric([kind], value)
        return family
