"""The verifier: what the aligned topic must hold, by what is committed on the inputs, joined by Polars.

It shares no code with the program or its audit: messages are read by a plain consumer and decoded by
fastavro, late rows and dead letters are held against the bytes they say they are.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import fastavro
import polars as pl
import pyarrow as pa
from confluent_kafka import Message

from app.config import Settings
from topics.wire import SchemaRegistry, UnknownSchemaError

ORIGIN: Final = ["partition", "left_offset", "left_index"]
MESSAGE_SIZE_MAX: Final = 8 << 20

Breaks = Callable[[str, Mapping[str, Any]], bool]
Log = Mapping[str, Sequence[Message]]
Letters = dict[tuple[str, int, int], bytes | None]


@dataclass(slots=True, kw_only=True)
class Figures:
    """What went wrong, in rows; all 0 is what is promised.  The rest says what there was."""

    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    out_of_order: int = 0
    aborted_seen: int = 0
    open_transactions: int = 0
    rows: int = 0
    node_rows: int = 0
    repeated: int = 0
    late: int = 0
    dead: int = 0
    waiting: int = 0

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        promised = fields(self)[:6]
        return not any(getattr(self, figure.name) for figure in promised)


@dataclass(slots=True)
class Inputs:
    """What is committed on the inputs: rows with their place, and the messages that are none."""

    rows: dict[str, pl.DataFrame]
    dead: Letters = field(default_factory=dict)
    originals: Letters = field(default_factory=dict)


class _Reader:
    """Decodes as the streams' newest schemas say; `breaks` says which rows break a rule."""

    def __init__(self, settings: Settings, registry: SchemaRegistry, breaks: Breaks) -> None:
        self._settings = settings
        self._registry = registry
        self._breaks = breaks
        self._schemas: dict[int, Any] = {}

    def rows(self, stream: str, value: bytes | None) -> list[dict[str, Any]] | None:
        """The rows of a message; None where it is unreadable or breaks a rule."""
        if value is None or len(value) < 5 or value[0] != 0 or len(value) > MESSAGE_SIZE_MAX:
            return None
        writer = self._schema(int.from_bytes(value[1:5], "big"))
        body = io.BytesIO(value[5:])
        try:
            found: Any = fastavro.schemaless_reader(body, writer, None)
        except (EOFError, IndexError, ValueError, TypeError, StopIteration):
            return None
        if writer is None or body.read(1):
            return None
        if isinstance(writer, dict) and writer.get("name") == "tidemark.Progress":
            return []
        rows = found if isinstance(found, list) else [found]
        return None if any(self._breaks(stream, row) for row in rows) else rows

    def _schema(self, number: int) -> Any:
        if number not in self._schemas:
            try:
                self._schemas[number] = fastavro.parse_schema(json.loads(self._registry.schema(number)))
            except UnknownSchemaError:
                self._schemas[number] = "null"  # leaves bytes behind, so nothing is read by it
        return self._schemas[number]


def read_inputs(
    log: Log, settings: Settings, registry: SchemaRegistry, schema: pa.Schema, breaks: Breaks
) -> Inputs:
    """The rows of the messages of the inputs; `schema` is that of the aligned rows."""
    reader = _Reader(settings, registry, breaks)
    inputs = Inputs({})
    for stream in settings.stream_names:
        topic = settings.topic(stream)
        rows: list[dict[str, Any]] = []
        for message in log[topic]:
            place = (topic, message.partition(), message.offset())
            inputs.originals[place] = message.value()
            found = reader.rows(stream, message.value())
            if found is None:
                inputs.dead[place] = message.value()
            for index, row in enumerate(found or []):
                rows.append(row | dict(zip(ORIGIN, (*place[1:], index), strict=True)))
        inputs.rows[stream] = _frame(rows, stream, settings, schema)
    return inputs


def verify(
    log: Log,
    settings: Settings,
    inputs: Inputs,
    schema: pa.Schema,
    seen: set[tuple[int, int]] | None,
    *,
    late_allowed: bool = False,
    complete: bool = True,
) -> Figures:
    """Hold the outputs against the inputs; without `complete` rows that are not there yet are no loss.

    `seen` are the messages (partition, offset) that a reader of the aligned topic has seen.
    """
    figures = Figures()
    inputs = Inputs(dict(inputs.rows), inputs.dead, inputs.originals)
    _take_letters_off(log, settings, inputs, figures, late_allowed=late_allowed, complete=complete)
    expected = joined(settings, inputs.rows)
    aligned, messages = _aligned(log[settings.topic("aligned")], schema)
    repeats = settings.worker.guarantee == "at_least_once"
    _compare(expected, aligned, figures, repeats=repeats, complete=complete)
    if seen is not None:
        figures.aborted_seen = len(seen - messages)
        figures.lost += len(messages - seen) if complete else 0
    return figures


def joined(settings: Settings, rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The aligned rows of one left and one right stream, by Polars' own join."""
    left_name, right_name = settings.stream_names
    left, right = rows[left_name], rows[right_name]
    key = list(settings.stream(left_name).key)
    order = ["event_ns"]
    if settings.stream(left_name).sequence is not None:
        order.append("sequence")
    right = right.sort([*order, *ORIGIN], nulls_last=False)
    right = right.with_columns(pl.col("event_ns").alias("matched_ns"))
    kept = [name for name in right.columns if name not in (*key, *ORIGIN, "event_ns", "matched_ns")]
    right = right.select(
        *key,
        "event_ns",
        *(pl.col(name).alias(f"{right_name}_{name}") for name in kept),
        pl.col("matched_ns").alias(f"{right_name}_event_ns"),
    )
    found = left.sort([*order, *ORIGIN]).join_asof(
        right, on="event_ns", by=key, strategy="backward", coalesce=True, check_sortedness=False
    )
    age = pl.col("event_ns") - pl.col(f"{right_name}_event_ns")
    return found.with_columns(age.alias(f"{right_name}_age_ns"))


def _take_letters_off(
    log: Log,
    settings: Settings,
    inputs: Inputs,
    figures: Figures,
    *,
    late_allowed: bool,
    complete: bool,
) -> None:
    """Check late rows and dead letters against the messages they are, and leave late rows out of the join."""
    late = _letters(log[settings.topic("late")], "tidemark-topic", "tidemark-partition", "tidemark-offset")
    connect = [f"__connect.errors.{part}" for part in ("topic", "partition", "offset")]
    dead = _letters(log[settings.topic("dead")], *connect)
    figures.late, figures.dead = len(late), len(dead)
    repeats = settings.worker.guarantee == "at_least_once"
    for place, values in (late | dead).items():
        figures.duplicated += 0 if repeats else len(values) - 1
        figures.changed += any(value != inputs.originals.get(place) for value in values)
    figures.changed += len(set(dead) - set(inputs.dead))
    figures.lost += len(set(inputs.dead) - set(dead)) if complete else 0
    figures.lost += 0 if late_allowed else len(late)
    for stream, rows in inputs.rows.items():
        gone = [place[1:] for place in late if place[0] == settings.topic(stream)]
        places = pl.DataFrame(gone, schema=dict.fromkeys(ORIGIN[:2], pl.Int64), orient="row")
        inputs.rows[stream] = rows.join(places, on=ORIGIN[:2], how="anti", maintain_order="left")


def _letters(messages: Sequence[Message], *names: str) -> dict[tuple[str, int, int], list[bytes | None]]:
    found: dict[tuple[str, int, int], list[bytes | None]] = {}
    for message in messages:
        headers = dict(message.headers())
        topic, partition, offset = (headers[name].decode() for name in names)
        found.setdefault((topic, int(partition), int(offset)), []).append(message.value())
    return found


def _aligned(log: Sequence[Message], schema: pa.Schema) -> tuple[pl.DataFrame, set[tuple[int, int]]]:
    batches = [_plain(schema.empty_table())]
    messages = set()
    for message in log:
        messages.add((message.partition(), message.offset()))
        with pa.ipc.open_stream(message.value()) as frame:
            rows = _plain(frame.read_all().select(schema.names))  # columns added since are the audit's
        batches.append(rows.with_columns(pl.lit(message.partition(), pl.Int64).alias("partition")))
    batches[0] = batches[0].with_columns(pl.lit(0, pl.Int64).alias("partition"))
    return pl.concat(batches), messages


def _compare(
    expected: pl.DataFrame, aligned: pl.DataFrame, figures: Figures, *, repeats: bool, complete: bool
) -> None:
    expected = expected.select(aligned.columns).cast(aligned.schema)
    once = aligned.unique(ORIGIN, keep="first", maintain_order=True)
    figures.repeated = aligned.height - once.height
    if repeats:  # a row may come again, and then it is equal
        figures.changed += aligned.unique(maintain_order=True).height - once.height
    else:
        figures.duplicated += figures.repeated
    figures.rows = expected.height
    missing = expected.join(once, on=ORIGIN, how="anti").height
    figures.lost += missing if complete else 0
    figures.waiting = 0 if complete else missing
    other = once.join(expected, on=aligned.columns, how="anti", nulls_equal=True)
    figures.changed += other.height
    order = ["event_ns", *(["sequence"] if "sequence" in aligned.columns else []), *ORIGIN[1:]]
    sorted_rows = once.sort(["partition", *order], nulls_last=False)
    by_place = once.sort("partition", maintain_order=True)
    moved = by_place.select(ORIGIN).hash_rows() != sorted_rows.select(ORIGIN).hash_rows()
    figures.out_of_order += int(moved.sum())


def _frame(rows: list[dict[str, Any]], stream: str, settings: Settings, schema: pa.Schema) -> pl.DataFrame:
    """Columns as they come out: those of the left stream by their names, of a right one with its prefix."""
    prefix = "" if stream == settings.pipeline.left else f"{stream}_"
    types = _plain(schema.empty_table()).schema
    columns: dict[str, Any] = dict.fromkeys(("event_ns", *ORIGIN), pl.Int64)
    columns |= dict.fromkeys(settings.stream(stream).key, pl.String)
    for name, kind in types.items():
        if name.startswith(prefix) and name not in ORIGIN and not name.endswith("_age_ns"):
            if prefix == "" and any(name.startswith(f"{right}_") for right in settings.pipeline.right):
                continue
            columns.setdefault(name.removeprefix(prefix), kind)
    return pl.DataFrame(
        {name: [row.get(name) for row in rows] for name in columns}, schema=columns, strict=False
    )


def _plain(rows: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(rows))
    return frame.cast({pl.Categorical: pl.String})
