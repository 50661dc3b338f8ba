"""The hash of aligned rows: equal for equal rows, however they were partitioned, framed or re-run."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.frame import LEFT_INDEX, LEFT_OFFSET


def content_hash(rows: pa.Table, *, order_by: Sequence[str]) -> str:
    """Return 32 hex digits over every column but the two that say where a left row stood in its topic.

    `rows` are the partitions one after the other, each in its own order.  They are sorted by `order_by` (the
    clock, then the key), stably, so rows of one key and time keep their order, and the order of partitions
    does not matter.  Columns enter one by one as name, type, validity and values; what lies under a null
    does not count, nor whether text has wide offsets or is a dictionary's: CSV and Parquet differ in that.
    """
    digest = hashlib.sha256()
    rows = rows.drop_columns([name for name in (LEFT_OFFSET, LEFT_INDEX) if name in rows.column_names])
    order = np.lexsort([_rank(rows.column(name)) for name in reversed(order_by)])
    rows = rows.take(pa.array(order))
    for field, column in zip(rows.schema, rows.columns, strict=True):
        digest.update(f"{field.name}:{_meaning(field.type)};".encode())
        values = column.combine_chunks()
        digest.update(np.packbits(values.is_valid().to_numpy(zero_copy_only=False)).tobytes())
        digest.update(_value_bytes(values))
    return digest.hexdigest()[:32]


def _meaning(kind: pa.DataType) -> str:
    """The type, without what is only a way to hold it."""
    if pa.types.is_dictionary(kind):
        return _meaning(kind.value_type)
    return str(kind).replace("large_", "")


def _rank(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    codes = pc.rank(column.combine_chunks(), tiebreaker="dense")
    return np.asarray(codes.to_numpy(), dtype=np.int64)


def _value_bytes(values: pa.Array) -> bytes:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_boolean(kind):
        return np.packbits(pc.fill_null(values, False).to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(pc.fill_null(values, pa.scalar(0, kind))).tobytes()
    if pa.types.is_temporal(kind):
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        return _value_bytes(values.view(width))
    lines = (b"" if value is None else repr(value).encode() for value in values.to_pylist())
    return b"\x00".join(lines)
