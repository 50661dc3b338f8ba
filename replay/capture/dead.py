"""What cannot be a row of a table is kept beside it, as it was sent, with the reason."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from replay.store.places import TableRules, with_places
from schemas.batch import Batch, Int64s
from schemas.clocks import NS_PER_MS
from topics.block import MessageBlock
from topics.wire import DeadRow

# `known_ns` is the time of the record: what cannot be read has no other.
DEAD_SCHEMA: Final = pa.schema(
    [
        ("known_ns", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("reason", pa.string()),
        ("rule", pa.string()),
    ]
)


def dead_stream(stream: str) -> str:
    """The name of the table of a stream's dead letters."""
    return f"{stream}_dead"


def dead_rules(stream: str, zone: str) -> TableRules:
    """How the table of a stream's dead letters is laid out: all in one bucket of each day."""
    return TableRules(stream=dead_stream(stream), key=(), sequence=None, order="known", zone=zone, buckets=1)


def dead_rows(block: MessageBlock, partition: int, dead: Sequence[DeadRow]) -> pa.RecordBatch:
    """Return dead rows of one partition as rows of that table, by offset; a whole message has index -1."""
    dead = sorted(dead, key=lambda one: (one.message, one.index))
    originals = [block.originals[one.message] for one in dead]
    columns = [
        pa.array([original.timestamp_ms * NS_PER_MS for original in originals], pa.int64()),
        pa.array([original.key for original in originals], pa.binary()),
        pa.array([original.value for original in originals], pa.binary()),
        pa.array([one.reason for one in dead], pa.string()),
        pa.array([one.rule for one in dead], pa.string()),
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=DEAD_SCHEMA)
    offsets = block.offset[[one.message for one in dead]] if dead else np.empty(0, np.int64)
    index = np.array([one.index for one in dead], np.int32)
    return with_places(rows, offsets, index, partition)


def part_without_key(
    block: MessageBlock, messages: Int64s, batch: Batch, key: Sequence[str]
) -> tuple[Batch, list[DeadRow]]:
    """Part rows whose key columns have a null from the others: a bucket is chosen by the key.

    `messages` are the indexes into the block of the partition's messages, in the order of their offsets.
    """
    lacks = np.zeros(batch.rows, np.bool_)
    for name in key:
        lacks |= batch.columns.column(name).is_null().to_numpy(zero_copy_only=False)
    if not lacks.any():
        return batch, []
    places = messages[np.searchsorted(block.offset[messages], batch.offset[lacks])]
    reason = f"no {', '.join(key)}: a row without key belongs to no bucket"
    dead = [
        DeadRow(message, index, reason)
        for message, index in zip(places.tolist(), batch.index[lacks].tolist(), strict=True)
    ]
    return batch.where(~lacks), dead
