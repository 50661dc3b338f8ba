"""The doctor: machine, broker, topics, registry and state folder checked, a finding for each check."""

import platform
import resource
import shutil
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from app.config import Settings
from app.errors import RunError, UsageError
from app.process.clock import monotonic_ns, now_ns
from app.watch.finding import Finding
from app.watch.samples import sample_findings
from app.watch.watermarks import look
from app.watch.words import size_words
from app.wiring.broker import open_kafka
from app.wiring.logs import read_positions, require_same_logs
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline, counted_topics, warm_up
from app.wiring.state_folder import ADVICE, try_to_write
from app.wiring.topics import missing_words, topic_plan
from app.words import duration
from schemas.clocks import NS_PER_S
from schemas.stream import StreamError
from state.limits import StateLimits
from topics.avro.encode import value_subjects
from topics.block import TopicPartition
from topics.bus import Admin, Bus, BusError
from topics.kafka.bundled import bundled_openssl
from topics.kafka.bus import client_version
from topics.kafka.reader import reading
from topics.memory.bus import MemoryBus
from topics.registry.open import open_registry
from topics.wire import CodecError, RegistryUnavailableError

FREE_SIZE_MIN: Final = 1 << 30  # bytes; local state, its compactions, and the log of an unlucky hour
FILES_BESIDE_TASKS: Final = 256  # sockets, libraries, logs
COMPILED_NS: Final = 5 * NS_PER_S  # to load every kernel takes less, to compile them takes more
GPU_PACKAGES: Final = ("torch", "cupy", "cudf")


def examine(settings: Settings, connect: Callable[[], Bus]) -> Iterator[Finding]:
    """Look at everything, what needs no broker first; nothing is made but the state folder."""
    machine = f"{platform.system()} {platform.machine()}"
    yield Finding("Python", "ok", f"{platform.python_version()} on {machine}")
    yield Finding("Kafka client", "ok", client_words())
    yield _reading(settings)
    yield _kernels(settings)
    yield state_folder_finding(settings)
    yield _open_files(settings)
    yield _memory(settings)
    yield _gpu()
    bus = yield from _broker(settings, connect)
    yield (registry := _registry(settings))
    if registry.level == "ok":
        yield from stream_findings(settings, bus or MemoryBus())


def connect_to(settings: Settings) -> Bus:
    """The broker of the settings; raises UsageError where it does not answer."""
    return open_kafka(settings.bus.bootstrap, settings.bus.client_settings())


def client_words() -> str:
    """The Kafka client, with the OpenSSL that its wheel brings along, which no package manager updates."""
    openssl = bundled_openssl()
    return f"{client_version()}{f', with OpenSSL {openssl}' if openssl else ''}"


def _reading(settings: Settings) -> Finding:
    asked = settings.bus.kafka_reading
    try:
        found = reading(asked)
    except BusError as refused:
        return Finding("reading", "problem", str(refused), 'set bus.kafka_reading = "auto"')
    slow = asked == "auto" and not found.startswith("native")
    return Finding("reading", "note" if slow else "ok", f"messages are read {found}")


def _kernels(settings: Settings) -> Finding:
    begun_ns = monotonic_ns()
    warm_up(settings)
    took_ns = monotonic_ns() - begun_ns
    compiled = took_ns > COMPILED_NS
    found = f"{'compiled' if compiled else 'warm, loaded'} in {duration(took_ns)}"
    return Finding("kernels", *(("note", f"{found}, kept for the next start") if compiled else ("ok", found)))


def state_folder_finding(settings: Settings) -> Finding:
    """Whether the folder of local state can be written, with room for it."""
    folder = settings.worker.state
    try:
        try_to_write(folder)
        free = shutil.disk_usage(folder).free
    except OSError as refused:
        return Finding("state folder", "problem", f"{folder}: {refused.strerror}", ADVICE)
    found = f"{folder}: writable, {size_words(free)} free"
    if free < FREE_SIZE_MIN:
        advice = f"free {size_words(FREE_SIZE_MIN)} there, or set worker.state to another folder"
        return Finding("state folder", "problem", found, advice)
    return Finding("state folder", "ok", found)


def _open_files(settings: Settings) -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_BESIDE_TASKS + StateLimits().open_files_max * settings.bus.partitions
    if limit == resource.RLIM_INFINITY:
        return Finding("open files", "ok", "no limit")
    found = f"limit {limit:,}, {wanted:,} wanted should one worker own all {settings.bus.partitions} tasks"
    if limit < wanted:
        return Finding("open files", "problem", found, f"raise it before starting: ulimit -n {wanted}")
    return Finding("open files", "ok", found)


def _memory(settings: Settings) -> Finding:
    most = settings.worker.buffer_size_max * len(settings.stream_names) * settings.bus.partitions
    found = f"{size_words(most)} in buffers at most, should one worker own all tasks and every one be full"
    return Finding("memory", "note", found)


def _gpu() -> Finding:
    there = []
    for package in GPU_PACKAGES:
        try:
            there.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    found = ", ".join(there) or "no package for tensors; only model services need one"
    return Finding("GPU packages", "ok" if there else "note", found)


def _broker(settings: Settings, connect: Callable[[], Bus]) -> Generator[Finding, None, Bus | None]:
    """Look at the broker and its topics; return the bus, None where it does not answer."""
    try:
        bus = connect()
        admin = bus.admin()
        planned = topic_plan(admin, settings)
    except (UsageError, BusError) as away:
        yield Finding(
            "broker", "problem", str(away), "correct bus.bootstrap or bus.kafka where it runs elsewhere"
        )
        return None
    yield Finding("broker", "ok", f"{bus.name} answers")
    if planned.mismatches:
        yield Finding("topics", "problem", "; ".join(map(str, planned.mismatches)), planned.advice)
    elif planned.create:
        names = [spec.name for spec in planned.create]
        advice = missing_words(admin, settings, names)
        yield Finding("topics", "problem", f"missing: {', '.join(names)}", advice)
    else:
        yield Finding("topics", "ok", f"{len(planned.fine)} topics of {settings.bus.partitions} partitions")
        yield from commit_findings(settings, admin)
    for topic in dict.fromkeys(note.topic for note in planned.notes):
        notes = [f"{n.what} {n.actual}: {n.consequence}" for n in planned.notes if n.topic == topic]
        yield Finding(topic, "note", "; ".join(notes))
    return bus


def commit_findings(settings: Settings, admin: Admin) -> Iterator[Finding]:
    """Whether the group's offsets count in the logs that are there."""
    group = settings.pipeline.prefix
    try:
        positions = admin.group(group).committed
        topics = [settings.topic(name) for name in settings.stream_names]
        logs = admin.log_ids(counted_topics(settings))
        for number in range(settings.bus.partitions):
            sources = [TopicPartition(topic, number) for topic in topics]
            require_same_logs(read_positions(sources, positions), logs, settings)
    except RunError as refused:
        what, _, advice = str(refused).rpartition(": ")
        yield Finding("commits", "problem", what, advice)
        return
    except BusError as refused:
        advice = "docker/kafka/acls.sh prints the rights that each role needs"
        yield Finding("commits", "problem", str(refused), advice)
        return
    known = [source for source in positions if source.topic in topics]
    if known:
        yield Finding("commits", "ok", f"group {group} has offsets of {len(known)} partitions, of these logs")


def stream_findings(settings: Settings, bus: Bus) -> Iterator[Finding]:
    """Whether the inputs bear the join, and what the newest messages of each say of its settings."""
    try:
        # Refuses a join or a rule that the columns cannot have.
        pipeline = pipeline_on(settings, bus)
    except (RunError, BusError) as nothing:
        yield Finding("streams", "note", str(nothing))
        return
    except (RegistryUnavailableError, OSError):
        return  # said beside
    except (CodecError, StreamError, UsageError, ValueError) as wrong:
        yield Finding("streams", "problem", str(wrong), "correct the settings of that stream, or its schema")
        return
    columns = ", ".join(f"{name}: {len(one.schema)} columns" for name, one in pipeline.streams.items())
    yield Finding("streams", "ok", columns)
    yield from _rules(pipeline)
    try:
        yield from sample_findings(pipeline)
    except (BusError, RegistryUnavailableError):
        return  # what is wrong with the broker, the topics or the registry is said beside
    except CodecError as wrong:
        yield Finding("rows", "problem", str(wrong), "correct the settings of that stream, or its schema")


def _rules(pipeline: Pipeline) -> Iterator[Finding]:
    """Whether the tasks of the group seal by one rule, and by that of the settings."""
    try:
        picture = look(pipeline.bus.admin(), pipeline.settings, now_ns())
    except (RunError, BusError):
        return  # what is wrong with the commits or the topics is said beside
    report = replace(picture, rule=pipeline.rule).rules
    if report is None:
        yield Finding("rule", "ok", pipeline.rule.describe())
    elif report.mixed:
        advice = "start the workers of all tasks again with the same settings"
        yield Finding("rule", "problem", report.words, advice)
    else:
        yield Finding("rule", "note", f"{report.words}: a worker started with them goes on by another rule")


def _registry(settings: Settings) -> Finding:
    where = settings.bus.schema_registry
    names = [name for name in settings.stream_names if settings.stream(name).prefixed]
    try:
        registry = open_registry(where, settings.bus.registry_settings())
        for name in names:
            for subject in value_subjects(settings.topic(name)):
                registry.ids(subject)
    except (RegistryUnavailableError, CodecError, OSError) as away:
        advice = "start it, or correct bus.schema_registry; a worker waits for it and loses nothing"
        return Finding("schema registry", "problem", str(away), advice)
    return Finding("schema registry", "ok", f"{where} answers" if names else "no stream needs one")
