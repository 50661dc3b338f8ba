"""Reads kept state back: entries to rows, checked, oldest offset first."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.join.settings import AsofSettings
from operators.join.snapshot_format import (
    CONTROL,
    CONTROL_KEY,
    HEADER_KEY,
    LEFT_KEY,
    RIGHT_KEY,
    Header,
    SnapshotError,
    decode_header,
    late_key,
    late_schema,
    left_schema,
    open_value,
    right_schema,
)
from operators.rows.packing import unpack_rows
from schemas.batch import Batch, Int32s
from schemas.stream import Stream


@dataclass(frozen=True, slots=True)
class KeptState:
    """All rows of a snapshot: waiting left rows, and per right stream those that may still match.

    `late` holds, per input, the left one first, the late rows that have to stay out.
    """

    header: Header
    left: Batch
    rights: list[Batch]
    late: list[Batch]


def read_state(settings: AsofSettings, entries: Iterable[tuple[bytes, bytes]]) -> KeptState | None:
    """Return the state the entries hold, None where there are none.

    Raises SnapshotError for another version or layout, a damaged entry, or entries that are missing.
    """
    held = dict(entries)
    if not held:
        return None
    late_keys = [late_key(place) for place in range(len(settings.streams))]
    for key in (HEADER_KEY, LEFT_KEY, *late_keys):
        if key not in held:
            raise SnapshotError(
                f"the state has {len(held)} entries but not {key!r}: it was not written whole"
            )
    header = decode_header(held.pop(HEADER_KEY), settings.fingerprint())
    left = _any_groups(LEFT_KEY, left_schema(settings.left), held.pop(LEFT_KEY))
    late = [
        _any_groups(key, late_schema(settings, stream), held.pop(key))
        for key, stream in zip(late_keys, settings.streams, strict=True)
    ]
    by_right: list[dict[bytes, bytes]] = [{} for _ in settings.rights]
    for key, value in held.items():
        if key[:1] != RIGHT_KEY or len(key) < 2 or key[1] >= len(by_right):
            raise SnapshotError(f"the state has an entry {key!r} that this join does not write")
        by_right[key[1]][key[2:]] = open_value(key, value)
    found = [len(values) for values in by_right]
    if found != header.groups:
        raise SnapshotError(f"the state should have {header.groups} groups and has {found}: entries are lost")
    rights = [right_rows(settings, settings.rights[place], values) for place, values in enumerate(by_right)]
    return KeptState(header, left, rights, late)


def _any_groups(key: bytes, schema: pa.Schema, value: bytes) -> Batch:
    rows, _ = _unpack(key, schema, [open_value(key, value)])
    keys = rows.column(CONTROL_KEY.name).dictionary_encode()
    key_code = keys.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return _by_offset(rows, len(CONTROL) + 1, key_code, keys.dictionary)


def right_rows(settings: AsofSettings, right: Stream, values: dict[bytes, bytes]) -> Batch:
    """The rows of many groups of a right stream, oldest offset first, from packed rows by group key.

    Raises SnapshotError where a value is not what was packed.
    """
    schema = right_schema(settings, right)
    rows, counts = _unpack(RIGHT_KEY, schema, list(values.values()))
    key_code = np.repeat(np.arange(len(values), dtype=np.int32), counts)
    return _by_offset(rows, len(CONTROL), key_code, pa.array(list(values), pa.binary()))


def _unpack(key: bytes, schema: pa.Schema, values: list[bytes]) -> tuple[pa.RecordBatch, Int32s]:
    try:
        rows, counts = unpack_rows(schema, values)
    except (ValueError, OSError, StopIteration) as malformed:
        raise SnapshotError(f"state entries {key!r} cannot be read: {malformed}") from None
    return rows, counts.astype(np.int32)


def _by_offset(rows: pa.RecordBatch, controls: int, key_code: Int32s, keys: pa.BinaryArray) -> Batch:
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
