"""Whether this program can go on where a group stands: what it finds is read by this version, and fits."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from app.config import Settings, load_settings
from app.errors import RunError, UsageError
from app.process.version import NAME, program_version
from app.reading.last_frame import last_message
from app.reading.tasks import task_record
from app.task.metadata import from_position
from app.upkeep.changes import Change, changes
from app.watch.doctor import (
    client_words,
    commit_findings,
    state_folder_finding,
    stream_findings,
)
from app.watch.finding import Finding, Level
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline
from app.wiring.slot import slot_of
from operators.sealed import ALIGNED
from schemas.frame import FrameError, FrameHeaders
from topics.block import TopicPartition
from topics.bus import Admin, Bus, BusError
from topics.catalogue import TASKS
from topics.kafka.settings import TRANSACTION_TIMEOUT_MS

RETENTION: Final = "offsets.retention.minutes"
TRANSACTION: Final = "transaction.max.timeout.ms"
MESSAGE: Final = "message.max.bytes"
RETENTION_MINUTES_MIN: Final = 7 * 24 * 60  # what a broker has unless told otherwise
CHANGES_SHOWN: Final = 5


def upgrade_findings(settings: Settings, bus: Bus) -> Iterator[Finding]:
    """What there is to know before workers of this program take a group over; nothing is changed.

    Raises BusError where the broker does not answer.
    """
    yield Finding("program", "ok", f"{NAME} {program_version()}")
    yield Finding("Kafka client", "ok", client_words())
    yield state_folder_finding(settings)
    yield from _kept_settings(settings)
    admin = bus.admin()
    yield from broker_findings(admin)
    yield from commit_findings(settings, admin)
    yield from _programs(settings, admin)
    yield from stream_findings(settings, bus)
    yield from _outputs(settings, bus)


def broker_findings(admin: Admin) -> Iterator[Finding]:
    """What brokers allow; of brokers that tell nothing there is nothing to find."""
    limits = admin.broker_limits([RETENTION, TRANSACTION, MESSAGE])
    if RETENTION in limits:
        minutes = limits[RETENTION]
        words = f"{RETENTION} = {minutes:,}: commits of a group that stands still longer are forgotten"
        if minutes < RETENTION_MINUTES_MIN:
            advice = (
                f"set it to {RETENTION_MINUTES_MIN} or more on the brokers, or `app group export` "
                "before a stop"
            )
            yield Finding("broker", "problem", words, advice)
        else:
            yield Finding("broker", "ok", words)
    if TRANSACTION in limits:
        words = f"{TRANSACTION} = {limits[TRANSACTION]:,}, workers ask for {TRANSACTION_TIMEOUT_MS:,}"
        fits = limits[TRANSACTION] >= TRANSACTION_TIMEOUT_MS
        advice = f"set it to {TRANSACTION_TIMEOUT_MS} or more on the brokers: else no worker opens"
        yield Finding("broker", "ok", words) if fits else Finding("broker", "problem", words, advice)
    if MESSAGE in limits:
        yield Finding("broker", "ok", f"{MESSAGE} = {limits[MESSAGE]:,}, of topics that say no other")


def _kept_settings(settings: Settings) -> Iterator[Finding]:
    """The settings that a worker of this machine ran with last, beside those of now."""
    folder = settings.worker.state / settings.pipeline.prefix
    kept = sorted(folder.glob("settings-*.toml"), key=lambda one: one.stat().st_mtime_ns)
    if not kept:
        yield Finding("settings", "note", f"{folder} has none that a worker ran with: nothing to compare")
        return
    last = kept[-1]
    try:
        differences = [one for one in changes(load_settings(last), settings) if not _is_place(one)]
    except UsageError as unknown:
        advice = "see the changelog for what has another name now, and write it so in your file"
        yield Finding("settings", "problem", f"those that the last worker ran with: {unknown}", advice)
        return
    yield from _change_findings(differences, last)


def _change_findings(differences: list[Change], last: Path) -> Iterator[Finding]:
    if not differences:
        yield Finding("settings", "ok", f"as the last worker ran with ({last.name})")
    for reach, each in groupby(differences, key=lambda one: one.reach):
        of_reach = list(each)
        words = "; ".join(f"{one.key}: {one.old} -> {one.new}" for one in of_reach[:CHANGES_SHOWN])
        more = f" and {len(of_reach) - CHANGES_SHOWN} more" if len(of_reach) > CHANGES_SHOWN else ""
        message = f"since the last worker, {reach}: {words}{more}"
        if reach == "generation":
            advice = f"set them back, or see `python -m app config diff {last} FILE`"
            yield Finding("settings", "problem", message, advice)
        else:
            yield Finding("settings", "note", message)


def _is_place(one: Change) -> bool:
    """Whether a key says who or where a worker is, which differs from worker to worker."""
    return one.key in (
        "worker.slot",
        "worker.state",
        "bus.schema_registry",
        "metrics.port",
        "history.cache",
        "graph.models",
    )


def _programs(settings: Settings, admin: Admin) -> Iterator[Finding]:
    """Of which versions the programs are that made the commits there are now."""
    by_version: dict[str, set[str]] = {}
    for source, position in admin.group(settings.pipeline.prefix).committed.items():
        try:
            one = from_position(position, f"{source.topic}[{source.partition}]")
        except RunError:
            return  # said beside
        if one.member:
            by_version.setdefault(one.program or "not told", set()).add(slot_of(one.member))
    if not by_version:
        return
    parts = [f"{version} by {', '.join(sorted(slots))}" for version, slots in sorted(by_version.items())]
    level: Level = "ok" if len(by_version) == 1 else "note"
    yield Finding("workers", level, f"commits of version {'; of version '.join(parts)}")


def _outputs(settings: Settings, bus: Bus) -> Iterator[Finding]:
    """Whether the last frames and the tasks' records are of versions that this program reads."""
    try:
        pipeline = pipeline_on(settings, bus)
    except (RunError, UsageError, BusError, ValueError, OSError):
        return  # what is wrong with the streams is said beside
    group = f"{settings.pipeline.prefix}-upgrade"
    try:
        frames = _frames(pipeline, group) if settings.worker.format == "frame" else 0
    except FrameError as foreign:
        advice = "upgrade readers first, and start no worker of this version before"
        yield Finding("frames", "problem", str(foreign), advice)
    else:
        yield Finding("frames", "ok", f"the last of {frames} partitions can be read")
    if TASKS not in settings.output_names:
        return
    try:
        records = [task_record(pipeline, number, group=group) for number in range(settings.bus.partitions)]
    except RunError as refused:
        what, _, advice = str(refused).rpartition("; ")
        yield Finding("task records", "problem", what, advice)
    else:
        yield Finding("task records", "ok", f"{sum(one is not None for one in records)} can be read")


def _frames(pipeline: Pipeline, group: str) -> int:
    """How many partitions of outputs have a last frame; raises FrameError naming one of another version."""
    count = 0
    for name in (ALIGNED, *pipeline.settings.node_outputs):
        for number in range(pipeline.settings.bus.partitions):
            source = TopicPartition(pipeline.settings.topic(name), number)
            message = last_message(pipeline.bus, source, group)
            if message is not None:
                try:
                    FrameHeaders.from_kafka(message.headers)
                except FrameError as foreign:
                    raise FrameError(f"{source.topic}[{number}]: {foreign}") from None
                count += 1
    return count
