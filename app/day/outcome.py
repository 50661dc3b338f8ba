"""What has become of a day: audited, measured and drawn.

It stands apart since it needs Polars and Matplotlib, which are loaded while other processes join the day.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from app.audit.report import AuditReport
from app.audit.topics import audit
from app.day.close_up import close_up
from app.day.content_hash import content_hash
from app.day.feature_view import feature_view
from app.day.picture import draw
from app.day.request import ReplayRequest
from app.day.summary import Summary
from app.reading.aligned import Frames
from app.reading.row_files import read_rows
from app.wiring.pipeline import Pipeline
from operators.sealed import ALIGNED
from replay.store.day import Day
from schemas.batch import Int64s
from schemas.clocks import clock_column

__all__ = ["audit", "sum_up"]


def sum_up(
    request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day], frames: Frames, report: AuditReport
) -> Summary:
    """Everything but how long it took, from the aligned Parquet, the frames and the audit."""
    settings = pipeline.settings
    on = clock_column(settings.pipeline.clock)
    aligned_at = request.rows_folder(ALIGNED)
    rows = read_rows(aligned_at)
    ages = {name: _ints(rows.column(f"{name}_age_ns").drop_null()) for name in settings.pipeline.right}
    matched = np.zeros(rows.num_rows, dtype=np.bool_)
    for name in settings.pipeline.right:
        matched |= rows.column(f"{name}_age_ns").is_valid().to_numpy()
    moments = {day.stream.name: _moments(day, on) for day in days}
    refused = {name: days[i].rows - moments[name].size for i, name in enumerate(moments)}
    findings = [
        f"{'' if p is None else f'partition {p}: '}{v.rows:,} rows {v.kind}; {v.examples[0]}"
        for p, v in report.violations
    ]
    violations = report.violation_rows
    for name, times in moments.items():
        if report.rows_in[name] != times.size:
            violations += abs(int(times.size) - report.rows_in[name])
            findings.append(
                f"{name}: the history has {times.size:,} rows, of which {report.rows_in[name]:,} came in"
            )
    bus = request.bus_words(pipeline.bus.name)
    near = close_up(rows, settings, days)
    seen = None
    if request.feature is not None:
        node = request.feature.partition(".")[0]
        key = settings.stream(settings.pipeline.left).key
        made = read_rows(request.rows_folder(node))
        seen = feature_view(made, request.feature, on, key, None if near is None else near.key)
    draw(request.out / "replay.png", f"{request.date} · {bus}", moments, frames, ages, near, seen)
    return Summary(
        date=request.date,
        bus=bus,
        clock=settings.pipeline.clock,
        partitions=settings.bus.partitions,
        workers=request.workers,
        shape=request.shape,
        rows_in=dict(report.rows_in),
        rows_refused=refused,
        rows_late=dict(report.rows_late),
        rows_aligned=report.rows_aligned,
        rows_matched=int(matched.sum()),
        rows_dead=report.rows_dead,
        rows_assumed=sum(frames.assumed_rows),
        audit_violations=violations,
        audit_findings=findings,
        nodes_unjudged=sorted(report.reach.passed_over.nodes),
        seal_latency_ms={"p50": frames.latency_ms(0.5), "p99": frames.latency_ms(0.99)},
        age_ns={name: {"p50": _quantile(a, 0.5), "p99": _quantile(a, 0.99)} for name, a in ages.items()},
        grace_ns=settings.pipeline.grace_ns,
        hash=content_hash(rows, order_by=[on, *settings.stream(settings.pipeline.left).key]),
        parity=[str(parity) for _, parity in sorted(report.parity.items())],
        aligned=str(aligned_at),
        topic=settings.topic(ALIGNED) if bus.startswith("kafka ") else None,
    )


def _moments(day: Day, on: str) -> Int64s:
    parts = [_ints(batch.column(0).drop_null()) for batch in day.batches(columns=[on])]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _ints(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _quantile(values: Int64s, quantile: float) -> int | None:
    return int(np.quantile(values, quantile)) if values.size else None
