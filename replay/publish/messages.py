"""Rows of a stream as the messages that carry them: values encoded all at once, each key made once."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from replay.keys import key_codes
from replay.order import order_times
from replay.publish.blocks import gather_blocks
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS
from topics.outgoing import Outgoing
from topics.partitioner import partition_of
from topics.wire import Encoded

Shape = Literal["record", "block"]


class Encoder(Protocol):
    """The part of `topics.avro.encode.RowEncoder` that messages need."""

    def records(self, rows: pa.RecordBatch) -> Encoded:
        """One message per row."""
        ...

    def blocks(self, rows: pa.RecordBatch, cuts: Int64s) -> Encoded:
        """One message per stretch of rows [cuts[i], cuts[i + 1])."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Composes the messages of one stream.

    In a block are at most `block_rows_max` rows of one key, and blocks add no more disorder to the
    `disorder_ns` of the stream than `grace_ns` covers.
    """

    encoder: Encoder
    key: tuple[str, ...]
    partitions: int
    shape: Shape
    block_rows_max: int
    grace_ns: int
    disorder_ns: int

    def compose(self, rows: pa.RecordBatch, clock_ns: Int64s) -> Outgoing | None:
        """Return the messages of rows in publish order, or None; `clock_ns` is their pipeline clock.

        A record's time is that of its row, a block's that of its last row, `event_ns` where there is one.
        """
        if rows.num_rows == 0:
            return None
        codes, keys = key_codes(rows, self.key)
        assert codes.min() >= 0, "a row without a key is never stored"
        if self.shape == "block":
            blocks = gather_blocks(
                clock_ns,
                codes,
                rows_max=self.block_rows_max,
                grace_ns=self.grace_ns,
                disorder_ns=self.disorder_ns,
            )
            rows, codes = rows.take(pa.array(blocks.order)), codes[blocks.order]
            encoded = self.encoder.blocks(rows, blocks.cuts)
            last = blocks.cuts[1:] - 1
        else:
            encoded = self.encoder.records(rows)
            last = np.arange(rows.num_rows)
        partitions = np.array([partition_of(key, self.partitions) for key in keys], np.int32)
        key_code = codes[last].astype(np.int32)
        times_ms = order_times(rows, "event")[last] // NS_PER_MS
        return Outgoing(encoded, keys, key_code, partitions[key_code], times_ms)
