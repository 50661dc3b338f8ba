"""The proposal for a topic: a table of settings, with what was seen and what is a guess in its comments."""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.config import Settings
from app.infer.check import Trial, try_out
from app.infer.clocks import TimeColumn, is_clock, time_columns
from app.infer.columns import Columns, read_columns
from app.infer.keys import DEFAULT, KeyChoice, choose_key
from app.infer.kinds import READABLE, Kind, Kinds, sort_out
from app.infer.reading import OTHER, Reading, reading_of
from app.infer.sample import Sample
from app.infer.table import Table
from app.infer.unreadable import explain
from app.process.logs import only_warnings
from schemas.clocks import EVENT_NS, KNOWN_NS
from schemas.stream import StreamError
from topics.catalogue import default_topic
from topics.wire import CodecError, RegistryUnavailableError, SchemaRegistry

_OTHERS_MAX: Final = 5  # more candidates for the time than are shown
_VERSION: Final = re.compile(r"v?\d+")


@dataclass(frozen=True, slots=True)
class _Clocks:
    """The columns of the times: `known` is None where the settings need none, `others` may be times too."""

    event: TimeColumn | None
    known: TimeColumn | None
    others: tuple[TimeColumn, ...]
    has_event: bool
    has_known: bool


def propose(sample: Sample, settings: Settings, registry: SchemaRegistry, name: str) -> str:
    """Return the table `[streams.<name>]` for a topic, as TOML that stands alone.

    A topic whose messages cannot be read gets comments only, which say why and what would help.
    """
    table = Table()
    kinds = sort_out(sample, registry)
    _say_what_was_seen(table, sample, kinds, settings)
    main = kinds.main
    if main is None:
        nothing = "nothing that a stream could be made of" if sample.messages else "empty"
        table.comment(f"The topic is {nothing}: run this again when there are messages in it.")
    elif main not in READABLE:
        explain(table, main, kinds, sample, settings, name)
    else:
        try:
            _propose(table, main, kinds, sample, settings, registry, name)
        except (CodecError, RegistryUnavailableError) as unread:
            table.comment(f"No settings are proposed: {unread}")
    return table.text()


def stream_name(topic: str, settings: Settings, taken: Collection[str]) -> str:
    """The name of the stream that reads a topic or whose plural it is called, or one made of its name."""
    for name in settings.stream_names:
        if settings.topic(name) == topic and name not in taken:
            return name
    parts = [part for part in topic.lower().split(".") if not _VERSION.fullmatch(part)]
    name = re.sub(r"[^a-z0-9]+", "_", parts[-1] if parts else topic.lower()).strip("_")
    name = name if re.match("[a-z]", name) else f"stream_{name}".strip("_")
    for own in settings.stream_names:
        # `md.quotes` is of the stream `quote`, where the settings have no topic for that one yet.
        if name == f"{own}s" and settings.stream(own).topic is None and own not in taken:
            return own
    number, free = 2, name
    while free in taken or free in settings.output_names:
        free, number = f"{name}_{number}", number + 1
    return free


def _say_what_was_seen(table: Table, sample: Sample, kinds: Kinds, settings: Settings) -> None:
    count = len(sample.messages)
    table.comment(
        f"Topic {sample.topic}, {_counted(sample.partitions, 'partition')}: the newest "
        f"{_counted(count, 'message')} {'was' if count == 1 else 'were'} looked at."
    )
    for kind in sorted(kinds.numbers, key=lambda kind: -kinds.count(kind)):
        ids = list(kinds.ids.get(kind, ()))[:_OTHERS_MAX]
        named = ", ".join(f"id {one}: {kinds.names[one]}" for one in ids if one in kinds.names)
        aside = ", left aside, since they say how far the topic has come" if kind is Kind.PROGRESS else ""
        shown = f" ({named})" if named and kind in READABLE else aside
        table.comment(f"{kind.value}: {kinds.count(kind):,}{shown}.")
    if len([kind for kind in kinds.numbers if kind is not Kind.PROGRESS]) > 1 and kinds.main in READABLE:
        table.comment("A stream has messages of one kind: those of the others become dead letters.")
    if sample.topic in [settings.topic(output) for output in settings.output_names]:
        table.comment(
            f"It is an output of the pipeline {settings.pipeline.prefix}: one that reads it needs another "
            "pipeline.prefix."
        )
    if sample.partitions != settings.bus.partitions:
        table.comment(
            f"All inputs of a pipeline have bus.partitions = {settings.bus.partitions} partitions, and this "
            f"topic has {sample.partitions}: change that setting, or copy topics to as many with `topics "
            "repartition`."
        )


def _propose(
    table: Table,
    main: Kind,
    kinds: Kinds,
    sample: Sample,
    settings: Settings,
    registry: SchemaRegistry,
    name: str,
) -> None:
    reading = reading_of(main, sample, kinds, registry)
    columns = read_columns(sample, reading.numbers, reading.source, reading.paths, registry)
    clocks = _clocks(columns, sample)
    times = {one.path for one in (clocks.event, clocks.known, *clocks.others) if one is not None}
    no_keys = {
        path.column.name
        for path in columns.paths
        if ".".join(path.path) in times or path.column.name.endswith(OTHER)
    }
    key = choose_key(columns, sample, reading.numbers, no_keys | {EVENT_NS, KNOWN_NS})
    own = Table()
    own.header("streams", name)
    if sample.topic != default_topic(settings.pipeline.prefix, name):
        own.key("topic", sample.topic)
    for each, value in reading.settings.items():
        own.key(each, value)
    for note in reading.notes:
        own.comment(f"{note[:1].upper()}{note[1:]}.")
    _write_key(own, key, main)
    _write_clocks(own, clocks, known=settings.pipeline.clock == "known")
    _write_columns(own, reading, columns, clocks, key, name)
    text = own.text()
    trial: Trial | str
    try:
        values = tomllib.loads(text)["streams"][name]
        numbers = reading.numbers
        with only_warnings():
            trial = try_out(values, name, reading.source, sample, numbers, registry, settings.pipeline.clock)
    except (CodecError, StreamError, RegistryUnavailableError) as unfit:
        trial = str(unfit)
    _say_what_comes_of_it(table, trial, sample, kinds, settings, main)
    table.gap()
    table.paste(text)


def _clocks(columns: Columns, sample: Sample) -> _Clocks:
    there = {
        path.column.name
        for number, path in enumerate(columns.paths)
        if is_clock(path.column.name, columns.rows.column(number))
    }
    candidates = time_columns(columns, sample)
    has_event, has_known = EVENT_NS in there, KNOWN_NS in there
    event = None
    if not has_event:
        event = next((one for one in candidates if not one.known), None) or next(iter(candidates), None)
    # Where the records' own times are near those of one field, a field far from them holds other numbers.
    far_too = event is None or not event.near
    rest = [one for one in candidates if one is not event and (far_too or one.near)]
    known = None
    if not has_known:
        known = next((one for one in rest if one.known), None)
        # Of two names that are usual, such as T and E, the second is the time at which it was sent.
        known = known or next((one for one in rest if one.sure and event is not None), None)
    others = tuple(one for one in rest if one is not known)[:_OTHERS_MAX]
    return _Clocks(event, known, others, has_event, has_known)


def _write_key(own: Table, key: KeyChoice, main: Kind) -> None:
    for note in key.notes:
        own.comment(f"Key: {note}.")
    if key.columns != DEFAULT:
        own.key("key", list(key.columns))
    if key.from_columns or main is Kind.FRAME:
        own.key("key_from", "columns")


def _write_clocks(own: Table, clocks: _Clocks, *, known: bool) -> None:
    if clocks.event is not None:
        own.comment(f"Time: {clocks.event.words()}.")
        own.key("event_time", clocks.event.setting())
    elif not clocks.has_event:
        own.comment(
            "Time: no field is a time between 1990 and 2100, so this is the record's own, which its producer "
            "or the broker gave it, to the millisecond."
        )
        own.key("event_time", {"record": True})
    if clocks.known is not None:
        if not known:
            own.comment(f'For pipeline.clock = "known": {clocks.known.words()}.')
        own.key("known_time", clocks.known.setting(), idle=not known)
    elif known and not clocks.has_known:
        own.comment("No field says when it was received: this is the record's own time.")
        own.key("known_time", {"record": True})
    for other in clocks.others:
        own.comment(f"{other.path} may be a time too:")
        own.key("event_time", other.setting(), idle=True)


def _write_columns(
    own: Table, reading: Reading, columns: Columns, clocks: _Clocks, key: KeyChoice, name: str
) -> None:
    # What has the name of a clock and holds other numbers would be read as its nanoseconds.
    only_times = {
        ".".join(path.path)
        for number, path in enumerate(columns.paths)
        if path.column.name in (EVENT_NS, KNOWN_NS)
        and not is_clock(path.column.name, columns.rows.column(number))
    }
    only_times |= set() if clocks.event is None else {clocks.event.path}
    paths = [".".join(path.path) for path in columns.paths]
    if reading.named:
        own.comment("Some fields lie within records: without this list only those outside are columns.")
        own.key("columns", [path for path in paths if path not in only_times])
    if reading.fields is None:
        for field, reason in reading.left_out.items():
            own.comment(f"Left out: {field}: {reason}.")
        return
    own.gap()
    if any(one.type == "int64" for one in reading.fields.columns):
        own.comment(
            "int64: every number seen was whole. One with a fraction is refused: write double for it."
        )
    own.header("streams", name, "fields")
    fields = [one for one in reading.fields.columns if one.name not in only_times]
    for one in fields or reading.fields.columns:
        # JSON needs a column; one that has the name of a clock and is none has to have another name.
        column = f"{one.column}_field" if one.column in (EVENT_NS, KNOWN_NS) and not fields else one.column
        if one.notes:
            own.comment(f"{column}: {'; '.join(one.notes)}.")
        renamed = one.path != (column,)
        own.key(column, {"path": one.name, "type": one.type} if renamed else one.type)
    for field, reason in reading.left_out.items():
        own.comment(f"Left out: {field}: {reason}.")


def _say_what_comes_of_it(
    table: Table, trial: Trial | str, sample: Sample, kinds: Kinds, settings: Settings, main: Kind
) -> None:
    if isinstance(trial, str):
        table.comment(f"These settings do not stand yet: {trial}.")
        return
    span = ""
    if trial.first_ns is not None and trial.last_ns is not None:
        span = f", with times from {_utc(trial.first_ns)} to {_utc(trial.last_ns)}"
    table.comment(
        f"Tried out: {trial.readable:,} of {_counted(trial.messages, 'message')} are "
        f"{_counted(trial.rows, 'row')}{span}."
    )
    if trial.dead:
        table.comment(f"{trial.dead:,} would be dead letters, the first of {trial.first_dead}.")
    if trial.readable and sample.partitions > 1:
        share = 100 * trial.at_home / trial.readable
        table.comment(
            f"{trial.at_home:,} of {_counted(trial.readable, 'message')} ({_percent(share)}) lie in the "
            "partition that murmur2 gives their key."
        )
        if trial.at_home < trial.readable:
            table.comment("All must. With this table in a file of settings, this makes a copy where they do:")
            table.quote(
                f"python -m app topics repartition --from {sample.topic} --to {sample.topic}-repartitioned "
                f"--partitions {settings.bus.partitions} --config FILE"
            )
    if not kinds.count(Kind.PROGRESS) and main is not Kind.FRAME:
        table.comment(
            "Nothing in the topic says how far it has come: with idle_after_ms a partition that is quiet "
            "for so long does not hold the others up."
        )


def _utc(at_ns: int) -> str:
    return f"{np.datetime64(at_ns, 'ns').astype('datetime64[ms]')}Z"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{share:.0f} %" if share in (0, 100) else f"{min(max(share, 0.1), 99.9):.1f} %"
