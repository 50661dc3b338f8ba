"""The aligned topic, read back as a model service would read it, and kept as Parquet."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from app.errors import UsageError
from app.process.threads import each
from app.reading.partition import at_once, read_partition
from app.reading.row_files import Metadata, as_in_files, file_schema, open_writer
from app.wiring.pipeline import Pipeline
from operators.sealed import ALIGNED
from schemas.batch import Batch
from schemas.clocks import NS_PER_MS
from schemas.frame import PARITY, RULE, FrameError, FrameHeaders, decode_frame
from schemas.reasons import REASONS, TRUNCATED, Nulls
from schemas.stream import Stream
from topics.avro.decode import Decoder
from topics.block import MessageBlock, TopicPartition


class FrameListener(Protocol):
    """Hears the headers of each frame before its rows are handed out."""

    def add(self, partition: int, headers: FrameHeaders) -> None:
        """Take the headers of one frame."""
        ...


class SealListener(Protocol):
    """Hears of rows before they are handed out, a message of frames or a seal of Avro rows at a time."""

    def add_seal(self, rows: int, parity: str, rule: str) -> None:
        """Take what a frame says of its `rows`; of Avro rows only their rule, and empty what is not said."""
        ...


@dataclass(slots=True)
class Frames:
    """The headers of frames, one element per frame."""

    partition: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    complete_ns: list[int] = field(default_factory=list)
    newest_ns: list[int] = field(default_factory=list)
    latency_ns: list[int] = field(default_factory=list)
    assumed_rows: list[int] = field(default_factory=list)
    nulls: list[Nulls] = field(default_factory=list)

    def add(self, partition: int, headers: FrameHeaders) -> None:
        """Take the headers of one frame."""
        self.partition.append(partition)
        self.rows.append(headers.rows)
        self.complete_ns.append(headers.complete_ns)
        self.newest_ns.append(headers.newest_ns)
        self.latency_ns.append(headers.sealed_ns - headers.released_ns)
        self.assumed_rows.append(headers.assumed_rows)
        self.nulls.append(headers.nulls or {})

    @classmethod
    def of(cls, parts: Sequence["Frames"]) -> "Frames":
        """All of these, one after the other."""
        names = [field.name for field in fields(cls)]
        return cls(*[[value for part in parts for value in getattr(part, name)] for name in names])

    def latency_ms(self, quantile: float) -> float | None:
        """Seal latency per row: from the message that released it being read to its frame being produced."""
        if not self.rows:
            return None
        latency = np.repeat(np.array(self.latency_ns), np.array(self.rows))
        return float(np.quantile(latency, quantile)) / NS_PER_MS if latency.size else None


def read_aligned(
    pipeline: Pipeline,
    partition: int,
    frames: FrameListener | None = None,
    seals: SealListener | None = None,
    *,
    wait: bool = True,
    begun: Callable[[int], None] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the aligned rows of one partition in their order, from frames or from Avro rows."""
    return read_output(pipeline, ALIGNED, partition, frames, seals, wait=wait, begun=begun)


def read_output(
    pipeline: Pipeline,
    name: str,
    partition: int,
    frames: FrameListener | None = None,
    seals: SealListener | None = None,
    *,
    wait: bool = True,
    begun: Callable[[int], None] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one output and partition in their order: of `aligned`, or of a node of the graph.

    `wait` and `begun` are those of `read_partition`.
    """
    settings = pipeline.settings
    sink = pipeline.sinks(partition)[name]
    source = TopicPartition(sink.topic, partition)
    decoder = None
    if sink.form == "avro":
        stream = Stream(name=name, schema=sink.schema, key=sink.key)
        decoder = Decoder(stream, settings.pipeline.clock, pipeline.registry)
    rest: pa.RecordBatch | None = None  # Avro rows whose seal goes on in the next block
    group = f"{settings.pipeline.prefix}-reader"
    for block in read_partition(pipeline.bus, source, group=group, wait=wait, begun=begun):
        if decoder is None:
            yield from _frames(block, source, frames, seals)
        else:
            batch = decoder.decode(block, np.arange(block.messages, dtype=np.int64)).batch
            if batch is not None and seals is None:
                yield batch.columns
            elif batch is not None and seals is not None:
                whole, rest = _sealed(block, batch, rest, seals)
                yield whole
        del block
    if rest is not None and rest.num_rows and seals is not None:
        seals.add_seal(rest.num_rows, "", "")
        yield rest


def _sealed(
    block: MessageBlock, batch: Batch, before: pa.RecordBatch | None, seals: SealListener
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The Avro rows up to the end of a seal, which its last row's headers mark, and those behind it."""
    rows = batch.columns if before is None else pa.concat_batches([before, batch.columns])
    more = rows.num_rows - batch.rows
    lower = 0
    for message in range(block.messages):
        headers = block.originals[message].headers
        marks = dict(headers) if headers else {}
        if PARITY in marks:
            upper = more + int(np.searchsorted(batch.offset, block.offset[message], "right"))
            seals.add_seal(upper - lower, "", (marks.get(RULE) or b"").decode())
            lower = upper
    return rows.slice(0, lower), rows.slice(lower)


def _frames(
    block: MessageBlock,
    source: TopicPartition,
    frames: FrameListener | None,
    seals: SealListener | None,
) -> Iterator[pa.RecordBatch]:
    for message in range(block.messages):
        original = block.originals[message]
        try:
            headers = FrameHeaders.from_kafka(original.headers)
            rows = decode_frame(original.value)
            if rows.num_rows != headers.rows:
                raise FrameError(f"its header says {headers.rows} rows, it has {rows.num_rows}")
            _require_nulls(headers.nulls or {}, rows)
        except FrameError as broken:
            offset = int(block.offset[message])
            raise FrameError(f"{source.topic}[{source.partition}]@{offset}: {broken}") from None
        if frames is not None:
            frames.add(source.partition, headers)
        if seals is not None:
            seals.add_seal(rows.num_rows, headers.parity, headers.rule)
        yield rows


def _require_nulls(nulls: Nulls, rows: pa.RecordBatch) -> None:
    """Raise FrameError where a frame has other nulls than it says; what was cut short may be one or not."""
    for feature, counts in nulls.items():
        cut_count = counts.get(REASONS[TRUNCATED], 0)
        null_count = sum(counts.values()) - cut_count
        there = rows.column(feature).null_count if feature in rows.schema.names else 0
        if not null_count <= there <= null_count + cut_count:
            raise FrameError(f"its header says {null_count} nulls of {feature}, it has {there}")


def fitted(rows: pa.RecordBatch, schema: pa.Schema) -> tuple[pa.RecordBatch, tuple[str, ...]]:
    """The rows under `schema`, null in columns that did not exist when they were sealed, and those columns.

    Raises UsageError where a row has a column that the schema does not have, or has in another type.
    """
    if rows.schema.equals(schema):
        return rows, ()
    types = {field.name: field.type for field in rows.schema}
    wanted = {field.name: field.type for field in schema}
    if other := [f"{name} ({kind})" for name, kind in types.items() if wanted.get(name) != kind]:
        raise UsageError(
            f"the aligned topic has rows with {', '.join(other)}, which these settings do not make: read it "
            "with the streams and columns that it was written with"
        )
    lacks = tuple(name for name in wanted if name not in types)
    columns = [
        pa.nulls(rows.num_rows, kind) if name in lacks else rows.column(name) for name, kind in wanted.items()
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema), lacks


def write_output(
    pipeline: Pipeline,
    name: str,
    folder: Path,
    sources: Mapping[str, Metadata] | None = None,
    *,
    scratch: Path | None = None,
) -> Frames:
    """Write an output as `folder/partition-00000.parquet` and so on, all or nothing.

    Until all is written it lies in `scratch`, beside the folder unless given: not among folders that are read
    as one, since Polars, DuckDB and others would read it, too.  Returns what its frames said.  Clocks are
    timestamps in these files (`app.reading.row_files`), `sources` what to say of columns beside.  Rows from
    before a column was added are null in it; raises UsageError where it must not be null.
    """
    unfinished = (scratch or folder.parent) / f"_{folder.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)

    def write(partition: int) -> Frames:
        frames = Frames()
        schema = pipeline.sinks(partition)[name].schema
        of_file = file_schema(schema, pipeline.settings.pipeline.right, sources)
        with open_writer(unfinished / f"partition-{partition:05d}.parquet", of_file) as writer:
            for rows in _row_groups(read_output(pipeline, name, partition, frames), schema):
                writer.write_table(as_in_files(rows, of_file))
        return frames

    written = each(write, range(pipeline.settings.bus.partitions), threads=at_once(pipeline.bus))
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished.rename(folder)
    return Frames.of(written)


def _row_groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Gather small frames into row groups of a size that Parquet readers like."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        batch, lacks = fitted(batch, schema)
        if never := [name for name in lacks if not schema.field(name).nullable]:
            raise UsageError(
                f"rows were sealed before there was a column {', '.join(never)}, which is never null now: "
                "they do not fit one file; read their frames, or begin under another pipeline.prefix"
            )
        held.append(batch)
        rows += batch.num_rows
        if rows >= 131_072:
            yield pa.Table.from_batches(held, schema)
            held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held, schema)
