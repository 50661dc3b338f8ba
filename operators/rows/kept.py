"""Rows as values that are kept: control columns in front, packed, in an envelope, and read back checked."""

from typing import Final

import numpy as np
import pyarrow as pa

from operators.entries import SnapshotError
from operators.rows.packing import pack_rows, unpack_rows
from operators.rows.store import RowStore
from schemas.batch import Batch, Int32s, Int64s
from schemas.envelope import EnvelopeError, open_envelope, seal_envelope

VERSION: Final = 3

CONTROL: Final = pa.schema(
    [
        pa.field("control.time_ns", pa.int64()),
        pa.field("control.sequence", pa.int64()),
        pa.field("control.offset", pa.int64()),
        pa.field("control.index", pa.int32()),
    ]
)
CONTROL_KEY: Final = pa.field("control.key", pa.binary())


def close_value(payload: bytes) -> bytes:
    """Put version and checksum in front."""
    return seal_envelope(VERSION, payload)


def open_value(key: bytes, value: bytes) -> bytes:
    """The content of a value; raises SnapshotError where the version is foreign or the bytes are damaged."""
    try:
        return open_envelope(VERSION, value)
    except EnvelopeError as unusable:
        raise SnapshotError(f"state entry {key!r} {unusable}") from None


def keyed_schema(*fields: pa.Field) -> pa.Schema:
    """The columns of a value that holds rows of any groups: control columns, the key, then `fields`."""
    return pa.schema([*CONTROL, CONTROL_KEY, *fields])


def gathered(store: RowStore, rows: Int64s, schema: pa.Schema, keys: list[pa.Array]) -> pa.RecordBatch:
    """Rows of a store as a record batch of `schema`: control columns, `keys`, then the payload."""
    columns = [pa.array(values[rows]) for values in (store.time_ns, store.sequence, store.offset)]
    columns += [pa.array(store.index[rows]), *keys]
    columns += [store.gather(name, rows) for name in store.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class KeyedRows:
    """Rows of any groups as one value (`keyed_schema`); of none it is made once, since most have none."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._empty: bytes | None = None

    def value(self, store: RowStore, rows: Int64s, keys: pa.Array) -> bytes:
        """These rows of a store, with the key of each."""
        if rows.size == 0 and self._empty is not None:
            return self._empty
        table = gathered(store, rows, self._schema, [keys])
        value = close_value(pack_rows(table, np.array([0, rows.size]))[0])
        if rows.size == 0:
            self._empty = value
        return value

    def read(self, key: bytes, value: bytes) -> Batch:
        """The rows of the value under `key`, oldest offset first; raises SnapshotError."""
        rows, _ = unpacked(key, self._schema, [open_value(key, value)])
        keys = rows.column(CONTROL_KEY.name).dictionary_encode()
        key_code = keys.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        return by_offset(rows, len(CONTROL) + 1, key_code, keys.dictionary)


def unpacked(key: bytes, schema: pa.Schema, values: list[bytes]) -> tuple[pa.RecordBatch, Int32s]:
    """The rows of packed values, and how many each value held; raises SnapshotError."""
    try:
        rows, counts = unpack_rows(schema, values)
    except (ValueError, OSError, StopIteration) as malformed:
        raise SnapshotError(f"state entries {key!r} cannot be read: {malformed}") from None
    return rows, counts.astype(np.int32)


def by_offset(rows: pa.RecordBatch, controls: int, key_code: Int32s, keys: pa.BinaryArray) -> Batch:
    """Rows whose first `controls` columns are control columns as a batch, oldest offset first."""
    time_ns, sequence, offset, index = (rows.column(i).to_numpy() for i in range(len(CONTROL)))
    order = np.lexsort((index, offset))
    payload = rows.select(rows.schema.names[controls:]).take(pa.array(order))
    return Batch(
        columns=payload,
        time_ns=time_ns[order],
        sequence=sequence[order],
        offset=offset[order],
        index=index[order],
        key_code=key_code[order],
        keys=keys,
    )
