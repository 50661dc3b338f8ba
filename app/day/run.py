"""One day end to end: history to topics to workers to aligned topic to Parquet, audited and summed up."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread

import tomli_w

from app.audit.auditable import require_auditable
from app.audit.report import AuditReport
from app.config import Settings, load_settings
from app.day.feature_view import require_feature
from app.day.history import find_days, join_of_days
from app.day.interruption import Interruption
from app.day.kernels import Kernels
from app.day.on_kafka import ReadBack, run_processes
from app.day.record import RunRecord
from app.day.request import ReplayRequest, run_settings
from app.day.run_folder import RunFolder
from app.day.stages import Stages
from app.day.summary import Summary
from app.errors import UsageError
from app.lock.changes import require_meanings
from app.process.logs import logged_to_file
from app.reading.aligned import Frames, write_output
from app.reading.models import send_folder
from app.reading.row_files import Metadata, source_metadata
from app.wiring.broker import choose_bus
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline, topic_specs, warm_up
from app.wiring.planning import graph_plan
from app.words import duration
from operators.sealed import ALIGNED
from replay.publish.publication import require_grace
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.objects import Folder
from schemas.reasons import Nulls, summed_nulls
from topics.avro.schema import avro_schema
from topics.bus import Bus
from topics.catalogue import LAST_KNOWN, MODELS, OUTPUTS, STATE, TASKS, apply, default_topic, plan
from topics.registry.open import open_registry


def replay_day(request: ReplayRequest, say: Callable[[str], None]) -> Summary:
    """Run `request` and return its summary; everything it leaves is under `request.out`.

    Stopped by Ctrl-C or SIGTERM it says what the same command will do.
    """
    with Interruption(say) as interruption:
        return _replay_day(request, say, interruption)


def _replay_day(request: ReplayRequest, say: Callable[[str], None], interruption: Interruption) -> Summary:
    stages = Stages()
    asked = request.settings()
    if request.bootstrap is None:  # the broker started here knows no users
        asked = asked.model_copy(update={"bus": asked.bus.without_credentials()})
    require_auditable(asked)
    with closing(Kernels(say, nodes=asked.graph.kinds, wire=request.wire)) as kernels:
        with stages.stage("history"):
            history, days = _find(request, asked, say)
        with stages.stage("broker"):
            bus = choose_bus(request.bus, request.bootstrap, say, asked.bus.client_settings())
            folder = RunFolder.open(
                request.out, request.identity(asked, days), log_lasts=bus.name != "embedded"
            )
            pipeline = _prepare(request, asked, days, bus, folder)
            interruption.log_lasts = bus.name != "embedded"
            record = RunRecord.of(request, pipeline, days, bus.name, history.root)
            record.write(folder.path)
        with stages.stage("kernels"):
            kernels.wait()
    _say_what(request, pipeline, folder, say)
    with closing(ReadBack(pipeline, folder.path, request.rows_folder)) as read_back:
        ran = (_by_wire if request.wire else _by_files)(
            request, pipeline, days, folder.path, history.root, stages, read_back
        )
        with stages.stage("start"):
            # Loaded while the day was joined, where that happens in other processes: it takes 0.5 s and more.
            from app.day.outcome import sum_up

        with stages.stage("audit"):
            report = ran.audit()
        with stages.stage("picture"):
            summary = sum_up(request, pipeline, days, ran.frames, report)
        with stages.stage("read back"):
            read_back.wait()
    summary = replace(
        summary,
        rows_out=ran.rows_out,
        nulls_out=ran.nulls_out,
        seconds=ran.seconds,
        resumed=folder.resumed,
        took_s=stages.took,
        stages_s=stages.seconds,
        ids=record.ids,
    )
    _remove_rows_of_others(request, ran.rows_out)
    summary.write(folder.path / "summary.json")
    folder.finish()
    return summary


def _remove_rows_of_others(request: ReplayRequest, rows_out: Mapping[str, int]) -> None:
    """Remove the rows of outputs that the run before in this folder had, and this one has not."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        before = Summary.read(request.out / "summary.json")
        for name in before.rows_out.keys() - rows_out.keys():
            shutil.rmtree(request.rows_folder(name), ignore_errors=True)


def _say_what(
    request: ReplayRequest, pipeline: Pipeline, folder: RunFolder, say: Callable[[str], None]
) -> None:
    settings = pipeline.settings
    layout = f"{settings.bus.partitions} partitions"
    if request.wire:
        layout += f", {request.workers} worker{'s' * (request.workers > 1)}"
    say(
        f'{request.bus_words(pipeline.bus.name)}: joining on clock = "{settings.pipeline.clock}", '
        f"{pipeline.rule.describe()}, grace {duration(settings.pipeline.grace_ns)}, {layout}"
        + (", going on with an unfinished run" if folder.resumed else "")
    )


def _write_rows(
    request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day]
) -> tuple[Frames, dict[str, Frames]]:
    """Keep the rows of every output as Parquet; return the aligned frames, and those of each node."""
    sources = _sources(pipeline, days)

    def write(name: str) -> Frames:
        return write_output(pipeline, name, request.rows_folder(name), sources, scratch=request.out)

    return write(ALIGNED), {name: write(name) for name in pipeline.settings.node_outputs}


def _sources(pipeline: Pipeline, days: Sequence[Day]) -> dict[str, Metadata]:
    """What the files say of aligned columns beside their types."""
    sources: dict[str, Metadata] = {}
    for day in days:
        prefix = "" if day.stream.name == pipeline.settings.pipeline.left else f"{day.stream.name}_"
        sources |= {prefix + name: of for name, of in source_metadata(day.stream.schema).items()}
    return sources


def _find(
    request: ReplayRequest, asked: Settings, say: Callable[[str], None]
) -> tuple[HistoryStore, list[Day]]:
    """The history and the days of the run; raises UsageError where they cannot be joined as asked."""
    history, days = find_days(
        request.date,
        asked.stream_names,
        data=request.data,
        store=request.store,
        reading=request.reading,
        say=say,
    )
    join = join_of_days(asked, days)
    require_meanings(asked, join)
    if request.feature is not None:
        require_feature(request.feature, asked, graph_plan(asked, join, ""))
    grace_ns = request.grace_ns_for(days, asked)
    require_grace(days, asked.pipeline.grace_ns if grace_ns is None else grace_ns, asked.pipeline.clock)
    return history, days


@dataclass(frozen=True, slots=True)
class _Ran:
    """A day that was joined and written: how long the work alone took, and what is left to be judged."""

    seconds: float
    frames: Frames
    rows_out: dict[str, int]  # of each node with an output
    nulls_out: dict[str, Nulls]
    audit: Callable[[], AuditReport]


def _by_files(
    request: ReplayRequest,
    pipeline: Pipeline,
    days: Sequence[Day],
    folder: Path,
    store: Folder,
    stages: Stages,
    read_back: ReadBack,
) -> _Ran:
    """Join the day straight from its files, and write its rows."""
    with stages.stage("start"):
        from app.day.direct import audit_direct, run_direct  # with Polars, which a run on Kafka loads later

        warm_up(pipeline.settings, wire=False)
    with stages.stage("run"), logged_to_file(folder / "worker.log"):
        batch = run_direct(request, pipeline, days, _sources(pipeline, days))
    return _Ran(
        seconds=stages.seconds["run"],
        frames=batch.frames,
        rows_out={name: batch.rows_out[name] for name in pipeline.settings.node_outputs},
        nulls_out={name: batch.nulls_out[name] for name in pipeline.settings.node_outputs},
        audit=partial(audit_direct, request, pipeline, days, batch),
    )


def _by_wire(
    request: ReplayRequest,
    pipeline: Pipeline,
    days: Sequence[Day],
    folder: Path,
    store: Folder,
    stages: Stages,
    read_back: ReadBack,
) -> _Ran:
    """Publish and join the day, and read its rows back into files."""
    seconds = _run(request, pipeline, days, folder, store, stages, read_back)
    with stages.stage("rows"):
        frames, nodes = _write_rows(request, pipeline, days)
    read_back.begin()
    with stages.stage("start"):
        from app.day.outcome import audit

    return _Ran(
        seconds=seconds,
        frames=frames,
        rows_out={name: sum(of.rows) for name, of in nodes.items()},
        nulls_out={name: summed_nulls(of.nulls) for name, of in nodes.items()},
        audit=partial(audit, pipeline),
    )


def _run(
    request: ReplayRequest,
    pipeline: Pipeline,
    days: Sequence[Day],
    folder: Path,
    store: Folder,
    stages: Stages,
    read_back: ReadBack,
) -> float:
    """Publish and join the day, and return how long the work alone took, in seconds."""
    if pipeline.bus.name == "embedded":
        from app.day.embedded import run_embedded  # with all of a worker, which is a process of its own else

        with stages.stage("start"):
            warm_up(pipeline.settings)
        with stages.stage("run"), logged_to_file(folder / "worker.log"):
            run_embedded(request, pipeline, days)
        return stages.seconds["run"]
    begun = stages.took
    seconds = run_processes(request, pipeline, folder, store, partial(_get_ready, read_back))
    stages.add("start", stages.took - begun - seconds)
    stages.add("run", seconds)
    return seconds


def _get_ready(read_back: ReadBack) -> None:
    """Load what is needed once the day is joined."""
    read_back.start()
    Thread(target=import_module, args=(f"{__package__}.outcome",), daemon=True).start()


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
    if not folder.resumed:
        send_folder(bus, settings)
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
    return (*settings.stream_names, *OUTPUTS, *settings.node_outputs, LAST_KNOWN, TASKS, STATE, MODELS)
