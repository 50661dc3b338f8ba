"""A stream: named rows with a clock, an order and a key, the same on disk, on the wire and in the core."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.batch import Bools
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock, clock_column
from schemas.key_types import can_be_key, is_binary, is_text

SEPARATOR: Final = ":"  # of the parts of a message key
ESCAPE: Final = "\\"  # before a separator or an escape inside a part
_SIGNS: Final = np.frombuffer((SEPARATOR + ESCAPE).encode(), np.uint8)
_PART: Final = rb"(?:[^:\\]|\\[:\\])*"


class StreamError(ValueError):
    """A schema cannot be a stream; the message names the stream, the column and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What a stream is: its columns in order, which of them key it, and which one orders equal times.

    `name` prefixes a right stream's output columns (`quote` gives `quote_bid_price`).  `schema` holds every
    column; `event_ns` (and `known_ns` where the source has a receiver's clock) are int64 UTC nanoseconds.
    `key` names the columns whose values make the message key and the default group of a join: `("symbol",)`,
    or several, joined by ":" in the message key (`message_keys`).  `sequence` names an int64 column that
    orders rows of equal time, or is None.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...] = ("symbol",)
    sequence: str | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise StreamError(f"stream name {self.name!r} must be an identifier: it prefixes column names")
        if len(set(self.schema.names)) != len(self.schema.names):
            twice = sorted({n for n in self.schema.names if self.schema.names.count(n) > 1})
            raise StreamError(f"stream {self.name} has columns twice: {', '.join(twice)}")
        for column in (*self.key, *([self.sequence] if self.sequence else [])):
            if column not in self.schema.names:
                raise StreamError(
                    f"stream {self.name} has no column {column!r}; it has {', '.join(self.schema.names)}"
                )
        for column in self.key:
            kind = self.schema.field(column).type
            if not can_be_key(kind):
                raise StreamError(
                    f"stream {self.name}: column {column} of type {kind} cannot be a key: it has no text; "
                    "key columns are strings, binary, booleans, numbers, dates, times or durations"
                )
        if EVENT_NS not in self.schema.names and KNOWN_NS not in self.schema.names:
            raise StreamError(f"stream {self.name} needs {EVENT_NS} or {KNOWN_NS}, int64 UTC nanoseconds")
        for column in (EVENT_NS, KNOWN_NS, *([self.sequence] if self.sequence else [])):
            if column in self.schema.names and self.schema.field(column).type != pa.int64():
                raise StreamError(
                    f"stream {self.name}: {column} is {self.schema.field(column).type}, expected int64"
                )

    def require_clock(self, clock: Clock) -> str:
        """Return the time column of `clock`, or raise StreamError naming what the stream has instead."""
        column = clock_column(clock)
        if column not in self.schema.names:
            raise StreamError(
                f'stream {self.name} has no {column}, which clock = "{clock}" joins on; '
                f"it has {', '.join(self.schema.names)}"
            )
        return column


def message_keys(rows: pa.RecordBatch | pa.Table, key: tuple[str, ...]) -> pa.Array | pa.ChunkedArray:
    """Return the message key of each row as binary: its key columns as text, joined by ":" (`spot:BTCUSDT`).

    Producers, workers, Avro output and the audit all turn values into keys by this one rule.  Text is UTF-8,
    and binary is taken as it is; other types are written as Arrow casts them to text, so true is `true`
    and 1.0 is `1`.  Zero has one key, whatever its sign.  A row has no key (null) where a key column is null.
    Without key columns every row has the empty key.

    Of several columns, a ":" or a "\\" inside a part has a "\\" before it, so that no two rows with other
    parts have one key: ("OTC:US", "ABC") is `OTC\\:US:ABC`.  A single part is written as it is.
    """
    if not key:
        return pa.repeat(pa.scalar(b"", pa.binary()), rows.num_rows)
    parts = [_key_part(rows.column(name)) for name in key]
    if len(parts) == 1:
        return parts[0]
    separator = pa.scalar(SEPARATOR.encode(), pa.binary())
    return pc.binary_join_element_wise(*map(_escaped, parts), separator, null_handling="emit_null")


def plain_keys(keys: pa.BinaryArray, columns: int) -> Bools:
    """Which of these message keys are of so many columns, with no sign inside a part.

    Such a key can be read in one way, whoever wrote it: also by joining the parts without an escape.
    """
    _, ends, data = keys.buffers()
    if len(keys) == 0 or data is None:
        return np.full(len(keys), columns == 1)
    bounds = np.frombuffer(ends, np.int32)[keys.offset : keys.offset + len(keys) + 1]
    held = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    stops = bounds[1:] - bounds[0]
    escapes = np.searchsorted(stops, np.flatnonzero(held == ord(ESCAPE)), side="right")
    of_key = np.searchsorted(stops, np.flatnonzero(held == ord(SEPARATOR)), side="right")
    plain: Bools = np.bincount(of_key, minlength=len(keys)) == columns - 1
    plain[escapes] = False
    return plain


def is_key_of(key: bytes, columns: int) -> bool:
    """Whether `message_keys` writes such a key of so many columns."""
    return columns <= 1 or re.fullmatch(_PART + (b":" + _PART) * (columns - 1), key, re.DOTALL) is not None


def _key_part(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _key_part(column.cast(kind.storage_type))
    if pa.types.is_dictionary(kind):
        return _key_part(column.cast(kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        return _key_part(pc.run_end_decode(column))
    if is_text(kind) or is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.binary())
    text = column.cast(pa.string())
    if pa.types.is_floating(kind):  # -0.0 equals 0.0, so it may not be another key
        text = pc.if_else(pc.equal(text, "-0"), "0", text)
    return text.cast(pa.binary())


def _escaped(part: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A part of a key of several, a sign inside it with an escape before it."""
    pieces = part.chunks if isinstance(part, pa.ChunkedArray) else [part]
    held = [data for piece in pieces for data in piece.buffers()[2:] if data is not None]
    if not any(np.isin(np.frombuffer(data, np.uint8), _SIGNS).any() for data in held):
        return part
    for sign in (ESCAPE, SEPARATOR):
        part = pc.replace_substring(part, sign, ESCAPE + sign)
    return part
