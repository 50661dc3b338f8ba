"""Writing raw column segments: a file per partition, all of them or no file."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa

from gpu_sink.batches.batch import Batch
from gpu_sink.batches.batches import Batches
from gpu_sink.columns.columns import plan_columns, word_type
from gpu_sink.columns.layout import PAGE_SIZE
from gpu_sink.contract import layout_fingerprint
from gpu_sink.errors import SourceError
from gpu_sink.segments.file import (
    BLOCK_ROWS,
    Footer,
    Piece,
    Segment,
    StoredColumn,
    checksums,
    header_page,
    padded,
)
from gpu_sink.source import AlignedStream

SEGMENT_ROWS: Final = 262_144  # rows of a segment: 2 MiB of a column of 8 bytes


def write_segments(
    stream: AlignedStream,
    folder: str | Path,
    *,
    columns: Sequence[str] | None = None,
    dtypes: Mapping[str, str] | None = None,
    segment_rows: int = SEGMENT_ROWS,
) -> list[Path]:
    """Write a bounded stream as files of segments, one per partition, and return them.

    `columns` and `dtypes` are those of batches: what is stored is what they hold.  The folder
    must not exist or be empty; it is there when all files are whole and on disk, or not at all.  Raises what
    reading raises, and SourceError where the folder is taken or the stream has no rows.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SourceError(f"{target} is there already: name a new folder for the segments")
    if segment_rows < BLOCK_ROWS or segment_rows % BLOCK_ROWS:
        raise SourceError(f"segment_rows is {segment_rows}: say a multiple of {BLOCK_ROWS}")
    first = next(iter(stream), None)
    if first is None:
        raise SourceError(f"{stream.source.name} has no rows: there is nothing to write to {target}")
    schema = first.rows.schema
    stored = _stored(schema, columns, dtypes or {})
    partitions = stream.source.partitions()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        for number, partition in enumerate(partitions):
            batches = stream.batches(
                reader=number,
                readers=len(partitions),
                batch_rows=segment_rows,
                columns=[column.name for column in stored],
                dtypes=dict(dtypes or {}),
                dictionaries={column.name: None for column in stored if column.words},
                prefetch=0,
            )
            file = partial / f"partition-{partition:05}.segments"
            _write_file(file, partition, layout_fingerprint(schema), stored, batches)
        _sync(partial)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync(target.parent)
    return sorted(target.iterdir())


def _write_file(
    file: Path, partition: int, layout: str, stored: tuple[StoredColumn, ...], batches: Batches
) -> None:
    """Write all batches, a segment each, and have the file on disk."""
    with file.open("wb") as sink:
        sink.write(header_page())
        segments = tuple(_write_segment(sink, stored, batch) for batch in batches)
        dictionaries = batches.dictionaries
        words = {column.name: dictionaries.get(column.name, []) for column in stored if column.words}
        sink.write(Footer(layout, partition, stored, words, segments).to_bytes())
        sink.flush()
        os.fsync(sink.fileno())


def _stored(
    schema: pa.Schema, columns: Sequence[str] | None, dtypes: Mapping[str, str]
) -> tuple[StoredColumn, ...]:
    """The columns as they are stored; raises ColumnError as batches do."""
    stored = []
    for plan in plan_columns(schema, columns, dtypes):
        type_ = word_type(plan.type)
        is_text = type_ is not None and (pa.types.is_string(type_) or pa.types.is_large_string(type_))
        words = None if type_ is None else "text" if is_text else "bytes"
        stored.append(StoredColumn(plan.name, plan.dtype, plan.nullable, words, plan.label))
    return tuple(stored)


def _write_segment(sink: BinaryIO, stored: Sequence[StoredColumn], batch: Batch) -> Segment:
    pieces = {}
    for column in stored:
        for name, _ in column.parts():
            pieces[name] = _write_piece(sink, batch[name])
    return Segment(batch.rows, pieces)


def _write_piece(sink: BinaryIO, values: np.ndarray[Any, np.dtype[Any]]) -> Piece:
    """Write a column's values to the end of a page, and return where, with the checksums of its blocks."""
    offset = sink.tell()
    size = padded(values.nbytes)
    data = np.zeros(size, np.uint8)
    data[: values.nbytes] = values.view(np.uint8)
    sink.write(data.data)
    block_size = BLOCK_ROWS * values.itemsize
    whole = values.nbytes // block_size * block_size
    sums = checksums(data[:whole].view(np.int64).reshape(-1, block_size // 8))
    if whole < values.nbytes:
        rest = data[whole:].view(np.int64).reshape(1, -1)
        sums = np.append(sums, checksums(rest))
    assert offset % PAGE_SIZE == 0
    return Piece(offset, sums)


def _sync(folder: Path) -> None:
    """Have the names in a folder on disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
