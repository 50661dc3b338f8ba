"""Rows of many groups to compact columnar bytes, one value per group, and back."""

import itertools
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.arrow_buffers import (
    byte_spans,
    bytes_array,
    fixed_array,
    fixed_dtype,
    fixed_values,
    is_bytes,
    is_fixed,
    valid_of,
)
from schemas.batch import Bools, Int64s

COUNT = struct.Struct("<I")


def pack_rows(rows: pa.RecordBatch, bounds: Int64s) -> list[bytes]:
    """One value per run `bounds[i]:bounds[i + 1]` of rows.

    A value is the row count, then per column three sections, each with its size in front: validity (a byte
    per row, empty where nothing is null), sizes of strings (int32, else empty), and data.
    """
    runs = list(itertools.pairwise(bounds.tolist()))
    sections: list[list[bytes]] = [[] for _ in runs]
    for column in rows.columns:
        for i, parts in enumerate(_column_sections(column, runs)):
            sections[i].extend(parts)
    return [
        b"".join(
            [COUNT.pack(stop - start), *(piece for part in parts for piece in (COUNT.pack(len(part)), part))]
        )
        for (start, stop), parts in zip(runs, sections, strict=True)
    ]


def unpack_rows(schema: pa.Schema, values: Sequence[bytes]) -> tuple[pa.RecordBatch, Int64s]:
    """The rows of all values, one value after the other, and how many each had.

    Raises ValueError where a value is not what `pack_rows` wrote for this schema.
    """
    counts = np.zeros(len(values), np.int64)
    parts: list[list[bytes]] = [[] for _ in range(3 * len(schema))]
    for i, value in enumerate(values):
        try:
            counts[i], sections = _sections(value, 3 * len(schema))
        except struct.error:
            raise ValueError(f"value {i} ends early after {len(value)} bytes") from None
        for part, section in zip(parts, sections, strict=True):
            part.append(section)
    columns = [_column(field.type, counts, *parts[3 * c : 3 * c + 3]) for c, field in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema), counts


def _column_sections(column: pa.Array, runs: list[tuple[int, int]]) -> list[tuple[bytes, bytes, bytes]]:
    if not is_fixed(column.type) and not is_bytes(column.type):
        return [(b"", b"", _ipc(column.slice(a, b - a))) for a, b in runs]
    valid = valid_of(column)
    masks = [b""] * len(runs) if valid is None else [valid[a:b].tobytes() for a, b in runs]
    if is_fixed(column.type):
        values = fixed_values(column)
        return [(mask, b"", values[a:b].tobytes()) for mask, (a, b) in zip(masks, runs, strict=True)]
    data, bounds = byte_spans(column)
    sizes = np.diff(bounds).astype(np.int32)
    return [
        (mask, sizes[a:b].tobytes(), data[bounds[a] : bounds[b]].tobytes())
        for mask, (a, b) in zip(masks, runs, strict=True)
    ]


def _sections(value: bytes, expected: int) -> tuple[int, list[bytes]]:
    (count,) = COUNT.unpack_from(value, 0)
    place = COUNT.size
    sections = []
    for _ in range(expected):
        (size,) = COUNT.unpack_from(value, place)
        place += COUNT.size
        sections.append(value[place : place + size])
        place += size
    if place != len(value):
        raise ValueError(f"a value of {len(value)} bytes should have {place}")
    return count, sections


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
