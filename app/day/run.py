"""One day end to end: history to topics to workers to aligned topic to Parquet, audited and summed up."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from app.audit.topics import AuditReport, audit, require_auditable
from app.config import Settings, load_settings
from app.day.close_up import close_up
from app.day.content_hash import content_hash
from app.day.embedded import run_embedded
from app.day.history import find_days
from app.day.kernels import Kernels
from app.day.on_kafka import read_back, run_processes
from app.day.picture import draw
from app.day.processes import stop, wait_all
from app.day.request import ReplayRequest, run_settings
from app.day.run_folder import RunFolder
from app.day.stages import Stages
from app.day.summary import Summary
from app.errors import UsageError
from app.process.logs import logged_to_file
from app.reading.aligned import Frames, write_output
from app.wiring.broker import choose_bus
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline, topic_specs, warm_up
from app.words import duration
from operators.sealed import ALIGNED
from replay.publish.publication import Publication, require_grace
from replay.store.day import Day
from schemas.batch import Int64s
from schemas.clocks import clock_column
from topics.avro.schema import avro_schema
from topics.bus import Bus
from topics.catalogue import LAST_KNOWN, OUTPUTS, TASKS, apply, default_topic, plan
from topics.registry.open import open_registry


def replay_day(request: ReplayRequest, say: Callable[[str], None]) -> Summary:
    """Run `request` and return its summary; everything it leaves is under `request.out`."""
    stages = Stages()
    asked = request.settings()
    if request.bootstrap is None:  # the broker started here knows no users
        asked = asked.model_copy(update={"bus": asked.bus.without_credentials()})
    require_auditable(asked)
    with closing(Kernels(say, graph=bool(asked.graph.nodes))) as kernels:
        with stages.stage("history"):
            history, days = find_days(
                request.date, asked.stream_names, data=request.data, store=request.store, say=say
            )
            clock = asked.pipeline.clock
            grace_ns = request.grace_ns_for(days, asked)
            require_grace(days, asked.pipeline.grace_ns if grace_ns is None else grace_ns, clock)
        with stages.stage("broker"):
            bus = choose_bus(request.bus, request.bootstrap, say, asked.bus.client_settings())
            folder = RunFolder.open(
                request.out, request.identity(asked, days), log_lasts=bus.name != "embedded"
            )
            pipeline = _prepare(request, asked, days, bus, folder)
        with stages.stage("kernels"):
            kernels.wait()
    settings = pipeline.settings
    say(
        f'{bus.name}: joining on clock = "{settings.pipeline.clock}", grace '
        f"{duration(settings.pipeline.grace_ns)}, {settings.bus.partitions} partitions, "
        f"{request.workers} worker{'s' * (request.workers > 1)}"
        + (", going on with an unfinished run" if folder.resumed else "")
    )
    seconds = _run(request, pipeline, days, folder.path, history.root, stages)
    with stages.stage("rows"):
        frames = write_output(pipeline, ALIGNED, folder.path / ALIGNED)
        rows_out = {
            name: sum(write_output(pipeline, name, folder.path / name).rows) for name in settings.node_outputs
        }
    readers = read_back(pipeline, folder.path)
    try:
        with stages.stage("audit"):
            report = audit(pipeline)
        with stages.stage("picture"):
            summary = _sum_up(request, pipeline, days, frames, report)
        with stages.stage("read back"):
            wait_all(readers)
    finally:
        stop(readers)
    summary = replace(
        summary,
        rows_out=rows_out,
        seconds=seconds,
        resumed=folder.resumed,
        took_s=stages.took,
        stages_s=stages.seconds,
    )
    summary.write(folder.path / "summary.json")
    folder.finish()
    return summary


def _run(
    request: ReplayRequest,
    pipeline: Pipeline,
    days: Sequence[Day],
    folder: Path,
    store: Path,
    stages: Stages,
) -> float:
    """Publish and join the day, and return how long the work alone took, in seconds."""
    if pipeline.bus.name == "embedded":
        with stages.stage("start"):
            warm_up(pipeline.settings)
        with stages.stage("run"), logged_to_file(folder / "worker.log"):
            _run_embedded(request, pipeline, days)
        return stages.seconds["run"]
    begun = stages.took
    seconds = run_processes(request, pipeline, folder, store)
    stages.add("start", stages.took - begun - seconds)
    stages.add("run", seconds)
    return seconds


def _prepare(
    request: ReplayRequest, asked: Settings, days: Sequence[Day], bus: Bus, folder: RunFolder
) -> Pipeline:
    """Write the run's configuration, make its topics, register its schemas."""
    config = run_settings(
        asked,
        days,
        prefix=f"replay-{request.date}-{folder.run}",
        bootstrap=bus.name.split()[-1],
        folder=folder.path,
        grace_ns=request.grace_ns_for(days, asked),
    )
    file = folder.path / "tidemark.toml"
    file.write_text(tomli_w.dumps(config))
    settings = load_settings(file)
    if asked.graph.nodes:
        settings = settings.read_from(request.config)  # errors name the lines that somebody wrote
    settings = settings.model_copy(update={"bus": settings.bus.with_secrets_of(asked.bus)})
    _require_own_topics(settings)
    admin = bus.admin()
    if not folder.resumed:
        shutil.rmtree(settings.worker.state, ignore_errors=True)
        if folder.previous is not None:
            prefix = f"replay-{request.date}-{folder.previous}"
            admin.delete([default_topic(prefix, name) for name in _named(settings)])
    apply(admin, plan(admin, topic_specs(settings)))
    registry = open_registry(settings.bus.schema_registry)
    for day in days:
        registry.register(f"{settings.topic(day.stream.name)}-value", avro_schema(day.stream))
    return pipeline_on(settings, bus)


def _require_own_topics(settings: Settings) -> None:
    """Raise UsageError where the environment names a topic: a run writes to its own ones and deletes them."""
    for key in map(settings.topic_key, _named(settings)):
        if not key.is_default:
            raise UsageError(
                f"a replay has topics of its own, and the environment sets {key}: unset "
                f"TIDEMARK_{key.key.replace('.', '__').upper()}"
            )


def _named(settings: Settings) -> tuple[str, ...]:
    """All that may have a topic in this run, or had one in the run before."""
    return (*settings.stream_names, *OUTPUTS, *settings.node_outputs, LAST_KNOWN, TASKS)


def _run_embedded(request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day]) -> None:
    settings = pipeline.settings
    publication = Publication(
        bus=pipeline.bus,
        registry=pipeline.registry,
        days=days,
        topics={name: settings.topic(name) for name in settings.stream_names},
        partitions=settings.bus.partitions,
        shape=request.shape,
        grace_ns=settings.pipeline.grace_ns,
        clock=settings.pipeline.clock,
        run=settings.pipeline.prefix,
        speed=request.speed,
    )
    run_embedded(pipeline, publication, request.workers)


def _sum_up(
    request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day], frames: Frames, report: AuditReport
) -> Summary:
    """Everything but how long it took, from the aligned Parquet, the frames and the audit."""
    settings = pipeline.settings
    on = clock_column(settings.pipeline.clock)
    aligned_at = request.out / "aligned"
    rows = pa.concat_tables([pq.read_table(file) for file in sorted(aligned_at.glob("*.parquet"))])
    ages = {name: _ints(rows.column(f"{name}_age_ns").drop_null()) for name in settings.pipeline.right}
    matched = np.zeros(rows.num_rows, dtype=np.bool_)
    for name in settings.pipeline.right:
        matched |= rows.column(f"{name}_age_ns").is_valid().to_numpy()
    moments = {day.stream.name: _moments(day, on) for day in days}
    refused = {name: days[i].rows - moments[name].size for i, name in enumerate(moments)}
    findings = [f"partition {p}: {v.rows:,} rows {v.kind}; {v.examples[0]}" for p, v in report.violations]
    violations = report.violation_rows
    for name, times in moments.items():
        if report.rows_in[name] != times.size:
            violations += abs(int(times.size) - report.rows_in[name])
            findings.append(
                f"{name}: the history has {times.size:,} rows, the topic {report.rows_in[name]:,}"
            )
    near = close_up(rows, settings, days)
    draw(request.out / "replay.png", f"{request.date} · {pipeline.bus.name}", moments, frames, ages, near)
    return Summary(
        date=request.date,
        bus=pipeline.bus.name,
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
        seal_latency_ms={"p50": frames.latency_ms(0.5), "p99": frames.latency_ms(0.99)},
        age_ns={name: {"p50": _quantile(a, 0.5), "p99": _quantile(a, 0.99)} for name, a in ages.items()},
        grace_ns=settings.pipeline.grace_ns,
        hash=content_hash(rows, order_by=[on, *settings.stream(settings.pipeline.left).key]),
        parity=[str(parity) for _, parity in sorted(report.parity.items())],
        aligned=str(aligned_at),
    )


def _moments(day: Day, on: str) -> Int64s:
    parts = [_ints(batch.column(0).drop_null()) for batch in day.batches(columns=[on])]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _ints(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _quantile(values: Int64s, quantile: float) -> int | None:
    return int(np.quantile(values, quantile)) if values.size else None
