"""Rows of a stream as the messages that carry them: values encoded all at once, each key made once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from replay.errors import PublishError
from replay.keys import key_codes
from replay.order import order_times
from replay.publish.blocks import gather_blocks, halved
from schemas.batch import Bools, Int32s, Int64s
from schemas.clocks import NS_PER_MS
from topics.bus import MessageLimit
from topics.message_size import AROUND_SIZE, largest_columns
from topics.outgoing import Outgoing
from topics.partitioner import partition_of
from topics.wire import Encoded

Shape = Literal["record", "block"]


class Encoder(Protocol):
    """The part of `topics.avro.encode.RowEncoder` that messages need."""

    def register(self, *, blocks: bool) -> None:
        """Register the schema of one shape of messages."""
        ...

    def records(self, rows: pa.RecordBatch) -> Encoded:
        """One message per row."""
        ...

    def blocks(self, rows: pa.RecordBatch, cuts: Int64s) -> Encoded:
        """One message per stretch of rows [cuts[i], cuts[i + 1])."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Composes the messages of one stream.

    In a block are at most `block_rows_max` rows of one key, and fewer where these would be more than `limit`,
    the one of `topic`.  Blocks add no more disorder to the `disorder_ns` of the stream than `grace_ns`
    covers.
    """

    encoder: Encoder
    key: tuple[str, ...]
    partitions: int
    shape: Shape
    block_rows_max: int
    grace_ns: int
    disorder_ns: int
    topic: str
    limit: MessageLimit

    def compose(self, rows: pa.RecordBatch, clock_ns: Int64s) -> Outgoing | None:
        """Return the messages of rows in publish order, or None; `clock_ns` is their pipeline clock.

        A record's time is that of its row, a block's that of its last row, `event_ns` where there is one.
        Raises PublishError naming a row that its topic does not take.
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
            cuts, encoded = blocks.cuts, self.encoder.blocks(rows, blocks.cuts)
            while (large := self._large(encoded, codes[cuts[:-1]], keys)).any():
                self._require_rows(rows, cuts, large, encoded)
                cuts = halved(cuts, large)
                encoded = self.encoder.blocks(rows, cuts)
            last = cuts[1:] - 1
        else:
            encoded = self.encoder.records(rows)
            last = np.arange(rows.num_rows)
            if (large := self._large(encoded, codes, keys)).any():
                self._require_rows(rows, np.arange(rows.num_rows + 1), large, encoded)
        partitions = np.array([partition_of(key, self.partitions) for key in keys], np.int32)
        key_code = codes[last].astype(np.int32)
        times_ms = order_times(rows, "event")[last] // NS_PER_MS
        return Outgoing(encoded, keys, key_code, partitions[key_code], times_ms)

    def _large(self, encoded: Encoded, codes: Int32s, keys: Sequence[bytes]) -> Bools:
        """Which messages their topic does not take."""
        size = np.diff(encoded.starts) + np.array([len(key) for key in keys])[codes]
        large: Bools = size + AROUND_SIZE > self.limit.size
        return large

    def _require_rows(self, rows: pa.RecordBatch, cuts: Int64s, large: Bools, encoded: Encoded) -> None:
        """Raise PublishError naming a message of one row that is too large."""
        single = np.flatnonzero(large & (np.diff(cuts) == 1))
        if not single.size:
            return
        message = int(single[0])
        row = rows.slice(int(cuts[message]), 1)
        size = int(np.diff(encoded.starts)[message])
        key = " ".join(f"{name} {row.column(name)[0]}" for name in self.key)
        raise PublishError(
            f"{self.topic}: the row of {key}, time {int(order_times(row, 'event')[0])}, makes a message of "
            f"{size:,} bytes, and {self.limit.size:,} are taken ({self.limit.setting}); its largest columns "
            f"are {largest_columns(row)} bytes: raise that setting, or import the day without such a column"
        )
