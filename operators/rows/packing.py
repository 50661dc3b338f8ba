"""Rows of many groups to compact columnar bytes, one value per group, and back."""

import itertools
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.rows.buffers import (
    byte_spans,
    bytes_array,
    fixed_array,
    fixed_dtype,
    fixed_values,
    is_bytes,
    is_fixed,
    valid_of,
)
from operators.rows.bytes_kernel import Bytes, interleave
from schemas.batch import Bools, Int64s

SECTIONS = 3  # per column


def pack_rows(rows: pa.RecordBatch, bounds: Int64s) -> list[bytes]:
    """One value per run `bounds[i]:bounds[i + 1]` of rows.

    A value is uint32 numbers, the row count and the size of every section, then the sections.  A column has
    three: validity (a byte per row, empty where nothing is null), sizes of strings (int32, else empty), data.
    """
    sections = [part for column in rows.columns for part in _column_sections(column, bounds)]
    sizes = [np.diff(bounds), *(np.diff(cuts) for _, cuts in sections)]
    front = np.column_stack(sizes).astype("<u4")
    width = front.shape[1] * front.itemsize
    sections.insert(0, (front.view(np.uint8).ravel(), width * np.arange(bounds.size, dtype=np.int64)))
    begin = np.cumsum([0, *(data.size for data, _ in sections)])
    cuts = np.stack([cuts + first for (_, cuts), first in zip(sections, begin, strict=False)])
    packed = np.empty(int(begin[-1]), np.uint8)
    interleave(np.concatenate([data for data, _ in sections]), cuts, packed)
    joined = packed.tobytes()
    ends = np.cumsum([0, *(np.diff(cuts).sum(axis=0))]).tolist()
    return [joined[lower:upper] for lower, upper in itertools.pairwise(ends)]


def unpack_rows(schema: pa.Schema, values: Sequence[bytes]) -> tuple[pa.RecordBatch, Int64s]:
    """The rows of all values, one value after the other, and how many each had.

    Raises ValueError where a value is not what `pack_rows` wrote for this schema.
    """
    front = _front(len(schema))
    counts = np.zeros(len(values), np.int64)
    parts: list[list[bytes]] = [[] for _ in range(SECTIONS * len(schema))]
    for i, value in enumerate(values):
        if len(value) < front.size:
            raise ValueError(f"value {i} ends after {len(value)} bytes")
        counts[i], *sizes = front.unpack_from(value)
        ends = list(itertools.accumulate(sizes, initial=front.size))
        if ends[-1] != len(value):
            raise ValueError(f"value {i} has {len(value)} bytes and should have {ends[-1]}")
        for part, (start, end) in zip(parts, itertools.pairwise(ends), strict=True):
            part.append(value[start:end])
    columns = [
        _column(field.type, counts, *parts[SECTIONS * c : SECTIONS * (c + 1)])
        for c, field in enumerate(schema)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema), counts


def _column_sections(column: pa.Array, bounds: Int64s) -> list[tuple[Bytes, Int64s]]:
    """The bytes of a column's sections, all runs end to end, and where each run's begin and end."""
    nothing = np.zeros(0, np.uint8), np.zeros(bounds.size, np.int64)
    if not is_fixed(column.type) and not is_bytes(column.type):
        pieces = [_ipc(column.slice(a, b - a)) for a, b in itertools.pairwise(bounds.tolist())]
        cuts = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
        return [nothing, nothing, (np.frombuffer(b"".join(pieces), np.uint8), cuts)]
    valid = valid_of(column)
    mask = nothing if valid is None else (valid.view(np.uint8), bounds)
    if is_fixed(column.type):
        values = fixed_values(column, fixed_dtype(column.type))
        return [mask, nothing, (values.view(np.uint8), bounds * values.itemsize)]
    data, spans = byte_spans(column)
    sizes = np.diff(spans).astype(np.int32)
    return [mask, (sizes.view(np.uint8), bounds * sizes.itemsize), (data, spans[bounds])]


def _front(columns: int) -> struct.Struct:
    return struct.Struct(f"<{1 + SECTIONS * columns}I")


def _column(
    kind: pa.DataType, counts: Int64s, masks: list[bytes], sizes: list[bytes], data: list[bytes]
) -> pa.Array:
    rows = int(counts.sum())
    if not is_fixed(kind) and not is_bytes(kind):
        return pa.concat_arrays([pa.array([], kind), *(_from_ipc(piece) for piece in data)])
    valid: Bools | None = None
    if any(masks):
        held = b"".join(m or b"\1" * int(n) for m, n in zip(masks, counts, strict=True))
        valid = np.frombuffer(held, np.bool_, rows)
    joined = b"".join(data)
    if is_fixed(kind):
        return fixed_array(kind, _read(joined, fixed_dtype(kind), rows), valid)
    bounds = np.zeros(rows + 1, np.int64)
    np.cumsum(_read(b"".join(sizes), np.dtype(np.int32), rows), out=bounds[1:])
    return bytes_array(kind, np.frombuffer(joined, np.uint8), bounds, valid)


def _read(held: bytes, dtype: np.dtype[np.generic], rows: int) -> npt.NDArray[np.generic]:
    if len(held) != rows * dtype.itemsize:
        raise ValueError(f"{len(held)} bytes for {rows} rows of {dtype.itemsize} bytes")
    return np.frombuffer(held, dtype)


def _ipc(column: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([column], names=["c"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _from_ipc(value: bytes) -> pa.Array:
    with pa.ipc.open_stream(value) as reader:
        return reader.read_next_batch().column(0)
