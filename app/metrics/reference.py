"""The list of all metrics, for a test and for people."""

from collections.abc import Iterator
from typing import Final

from app.metrics.catalogue import EDGES_MS, METRICS, Metric
from app.metrics.dashboard import ROWS
from app.metrics.rules import ALERTS

_HEAD: Final = """# Metrics

Every metric by name. `python -m app dashboards metrics` prints this page, and a test compares the two.
How to have them scraped, and what health means, is in [monitoring.md](monitoring.md); what to do about an
alert in [alerts.md](alerts.md).
"""
_TITLES: Final = {
    "worker": "By each worker",
    "exporter": "By `python -m app exporter`, from outside the workers",
    "sink": "By a reader with `gpu_sink.metrics.collector`",
}


def golden_lines() -> list[str]:
    """A line for each metric: name, type, labels, and who gives it."""
    return [f"{one.name} {one.kind} {','.join(one.labels) or '-'} {one.by}" for one in METRICS]


def reference_text() -> str:
    """The page of all metrics, as Markdown."""
    lines = [_HEAD]
    for by, title in _TITLES.items():
        lines += [f"## {title}", "", "| metric | type | labels | what it says |", "|---|---|---|---|"]
        lines += [_row(metric) for metric in METRICS if metric.by == by]
        lines.append("")
    edges = ", ".join(f"{edge_ms / 1_000:g}" for edge_ms in EDGES_MS)
    lines += [
        f"Histograms have buckets up to {edges} seconds. Beside these, `process_*` says what the system",
        "knows of the process. Times of the market and of the wall clock never meet in one metric. Ages are",
        "not exported: `time() - ..._timestamp_seconds` grows for a process that hangs, too.",
    ]
    return "\n".join(lines) + "\n"


def expressions() -> Iterator[str]:
    """Every expression of the alerts and of the dashboard."""
    yield from (alert.expression for alert in ALERTS)
    for _, panels in ROWS:
        for panel in panels:
            yield from (expression for expression, _ in panel.targets)


def _row(metric: Metric) -> str:
    labels = ", ".join(
        f"{label} ({', '.join(metric.closed(label))})" if metric.closed(label) else label
        for label in metric.labels
    )
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.words} |"
