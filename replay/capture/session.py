"""A capture as a command runs it: tables are made or opened, topics read until a signal or their end."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import typer

from replay.capture.capture import Capture, CaptureInput, CaptureLimits
from replay.capture.dead import DEAD_SCHEMA, dead_rules, dead_stream
from replay.capture.form import require_form
from replay.capture.writer import TableWriter
from replay.errors import HistoryError, StoreAwayError
from replay.store.days import require_stream_name
from replay.store.objects import Folder
from replay.store.places import BUCKETS, TableRules
from replay.store.table import HistoryTable, create_table, has_table
from replay.zones import require_zone
from schemas.clocks import KNOWN_NS, Clock
from schemas.stream import Stream
from topics.block import TopicPartition
from topics.bus import Bus
from topics.decoder import RowDecoder
from topics.wire import RegistryUnavailableError

_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedTopic:
    """A topic to capture, the stream of its rows, and what decodes it.

    `form` says what becomes of rows on the way, in words; empty where they are kept as they were sent.
    """

    topic: str
    partitions: int
    stream: Stream
    decoder: RowDecoder
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTarget:
    """Where rows go, and how: `zone` and `buckets` count for tables that are not there yet.

    `buckets` of None takes 16, or the next multiple of the topic's partitions.  `to_end` stops where the logs
    ended as the capture began.
    """

    bus: Bus
    store: Folder
    group: str
    zone: str
    buckets: int | None
    limits: CaptureLimits
    accepts_gaps: bool
    to_end: bool


def capture(topics: Sequence[CapturedTopic], target: CaptureTarget) -> int:
    """Capture until a signal comes, or to the end, and say what was; return 0.

    Raises HistoryError before anything is read where a table does not fit.
    """
    require_zone(target.zone)
    target.bus.admin().group(target.group)  # a consumer would wait where we lack the right
    sources = [_source(each, target) for each in topics]
    ends = _ends(topics, target.bus) if target.to_end else None
    for each in topics:
        typer.echo(f"{each.topic} -> {target.store}/stream={each.stream.name}")
    work = Capture(
        bus=target.bus,
        inputs=sources,
        group=target.group,
        limits=target.limits,
        accepts_gaps=target.accepts_gaps,
        now_ns=time.monotonic_ns(),
    )
    try:
        _run(work, ends, _stop_on_signals())
    finally:
        work.close()
    for topic, rows in work.counts.rows.items():
        typer.echo(f"{topic}: {rows:,} rows captured, {work.counts.dead.get(topic, 0):,} dead letters")
    if work.counts.fenced:
        typer.echo(f"another captured the same topics: {work.counts.fenced:,} commits were its, not ours")
    return 0


def table_rules(stream: Stream, partitions: int, zone: str, buckets: int | None) -> TableRules:
    """The rules of a new table; raises HistoryError where buckets are no multiple of the partitions.

    Rows without a key are all in one bucket, whatever number is wanted.
    """
    if not stream.key:
        buckets = partitions = 1  # rows without a key are all in one bucket
    elif buckets is None:
        buckets = partitions * -(-BUCKETS // partitions)
    _require_multiple(stream.name, buckets, partitions)
    order: Clock = "known" if KNOWN_NS in stream.schema.names else "event"
    return TableRules(
        stream=stream.name, key=stream.key, sequence=stream.sequence, order=order, zone=zone, buckets=buckets
    )


def _source(each: CapturedTopic, target: CaptureTarget) -> CaptureInput:
    stream = each.stream
    require_stream_name(stream.name)
    if has_table(target.store, stream.name):
        table = HistoryTable(target.store, stream.name)
        if stream.key:
            _require_multiple(stream.name, table.rules.buckets, each.partitions)
        if (table.rules.key, table.rules.sequence) != (stream.key, stream.sequence):
            raise HistoryError(
                f"the table {stream.name} in {target.store} is keyed by {', '.join(table.rules.key)}, and "
                f"{each.topic} by {', '.join(stream.key)}: capture it as another stream"
            )
        require_form(table, each.form)
        table.grow(stream.schema)
    else:
        rules = table_rules(stream, each.partitions, target.zone, target.buckets)
        require_form(create_table(target.store, rules, stream.schema), each.form)
    create_table(target.store, dead_rules(stream.name, target.zone), DEAD_SCHEMA)
    rows, dead = (
        TableWriter(target.store, name, each.topic, by=target.group, open_table=HistoryTable)
        for name in (stream.name, dead_stream(stream.name))
    )
    return CaptureInput(
        topic=each.topic, partitions=range(each.partitions), decoder=each.decoder, rows=rows, dead=dead
    )


def _require_multiple(stream: str, buckets: int, partitions: int) -> None:
    if buckets % partitions:
        raise HistoryError(
            f"table {stream} has {buckets} buckets, which is no multiple of the topic's {partitions} "
            "partitions: all rows of a bucket must be of one partition"
        )


def _ends(topics: Sequence[CapturedTopic], bus: Bus) -> dict[TopicPartition, int]:
    places = [TopicPartition(each.topic, number) for each in topics for number in range(each.partitions)]
    return {place: log.stable for place, log in bus.admin().ranges(places).items()}


def _run(work: Capture, ends: Mapping[TopicPartition, int] | None, stopped: Callable[[], bool]) -> None:
    """Take turns; while the registry or the object store is away, wait, and then begin from what is there."""
    interrupted = False
    while True:
        try:
            if interrupted:
                work.begin_again(time.monotonic_ns())
                interrupted = False
            if stopped() or (ends is not None and work.has_reached(ends)):
                work.commit(time.monotonic_ns())
                return
            work.turn(time.monotonic_ns())
        except (RegistryUnavailableError, StoreAwayError) as away:
            if stopped():
                raise
            typer.echo(f"waiting: {away}", err=True)
            time.sleep(_PAUSE_S)
            interrupted = True


def _stop_on_signals() -> Callable[[], bool]:
    """Return whether SIGTERM or SIGINT has come; what is held is committed first."""
    came: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: came.append(received))
    return lambda: bool(came)
