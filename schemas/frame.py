"""A frame: the rows of one seal and partition as a self-contained Arrow IPC stream, described by its headers.

Any Arrow reader opens the value.  The headers are ASCII text, so that any Kafka client can read how far the
stream has come without opening it.

The law of completeness: every row of this output whose time lies below a frame's `complete_ns` is in that
frame or in an earlier one of its partition.  It is the task's frontier where all rows below that are out.  It
lies lower where a join that looks ahead still holds rows, and where a seal is cut into several frames: each
but the last then names the time of the first row of the next one.  From frame to frame it never falls.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

import pyarrow as pa

from schemas.batch import has_dictionary
from schemas.frame_error import FrameError as FrameError
from schemas.ipc import DECODED_SIZE_MAX, require_size
from schemas.reasons import Nulls, decode_nulls, encode_nulls

Compression = Literal["none", "lz4", "zstd"]

LAYOUT: Final = "tidemark-layout"
FRONTIER: Final = "tidemark-frontier-ns"  # holds `complete_ns`: the frontier, less what waits below it
ROWS: Final = "tidemark-rows"
RELEASED: Final = "tidemark-released-ns"
SEALED: Final = "tidemark-sealed-ns"
NEWEST: Final = "tidemark-newest-ns"
PARITY: Final = "tidemark-parity"
ASSUMED: Final = "tidemark-assumed-rows"
RULE: Final = "tidemark-rule"
NULLS: Final = "tidemark-nulls"
VERSION: Final = "tidemark-frame"

_OPTIONS: Final = {
    name: pa.ipc.IpcWriteOptions(compression=None if name == "none" else name, use_threads=False)
    for name in get_args(Compression)
}
# What bytes that are no frame make Arrow raise; memory runs out where a length is not one.
_BROKEN: Final = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)
_END: Final = b"\xff\xff\xff\xff" + bytes(4)  # of an Arrow IPC stream: no message follows
_NUMBER: Final = re.compile(rb"-?[0-9]{1,40}")  # int() would take `1_0` and ` 7` too
FRAME_VERSION: Final = 1  # raised when an older reader would misread what a newer worker writes
LEFT_OFFSET: Final = "left_offset"
LEFT_INDEX: Final = "left_index"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeaders:
    """What a frame says of itself.

    `layout`       fingerprint of its columns: names, types, nullability, order.
    `complete_ns`  every row of the output below it is in this frame or an earlier one (the law above).
    `rows`         the number of rows.
    `released_ns`  `now_ns` when the worker had read the message that let these rows be sealed.
    `sealed_ns`    `now_ns` when the frame was handed to the producer.
    `newest_ns`    newest time read on any input so far; less `complete_ns` it says how far sealing trails the
                   market.
    `parity`       the rolling hash of all rows of the partition up to and with this frame;
                   `operators.hashing.parity` says how; empty in frames from before there was one.
    `assumed_rows` how many of the rows, the last ones, are final only because an idle input was left out.
                   Frames from before there was such a header say 0.
    `rule`         the rule that the rows were matched by, as `schemas.rule` writes it; empty in frames from
                   before there was such a header.
    `nulls`        of rows with features: by feature that has a null among these rows, by reason, how many
                   rows (`schemas.reasons`).  None for other rows, and in frames from before there was such a
                   header.
    """

    layout: str
    complete_ns: int
    rows: int
    released_ns: int
    sealed_ns: int
    newest_ns: int
    parity: str = ""
    assumed_rows: int = 0
    rule: str = ""
    nulls: Nulls | None = None

    def to_kafka(self) -> list[tuple[str, bytes | None]]:
        """The headers as a Kafka client takes them."""
        return [
            (LAYOUT, self.layout.encode()),
            (FRONTIER, str(self.complete_ns).encode()),
            (ROWS, str(self.rows).encode()),
            (RELEASED, str(self.released_ns).encode()),
            (SEALED, str(self.sealed_ns).encode()),
            (NEWEST, str(self.newest_ns).encode()),
            *([(PARITY, self.parity.encode())] if self.parity else []),
            (ASSUMED, str(self.assumed_rows).encode()),
            *([(RULE, self.rule.encode())] if self.rule else []),
            *([] if self.nulls is None else [(NULLS, encode_nulls(self.nulls))]),
            (VERSION, str(FRAME_VERSION).encode()),
        ]

    @classmethod
    def from_kafka(cls, headers: list[tuple[str, bytes | None]]) -> "FrameHeaders":
        """Read the headers of a message; raises FrameError naming the one that is missing or malformed."""
        values = dict(headers)
        version = values.get(VERSION) or str(FRAME_VERSION).encode()
        if version != str(FRAME_VERSION).encode():
            raise FrameError(f"a frame of version {version!r}, this program reads version {FRAME_VERSION}")
        try:
            layout = (values[LAYOUT] or b"").decode()
            parity = (values.get(PARITY) or b"").decode()
            rule = (values.get(RULE) or b"").decode()
            complete, rows, released, sealed, newest = (
                _int64(values[name]) for name in (FRONTIER, ROWS, RELEASED, SEALED, NEWEST)
            )
            assumed = _int64(values.get(ASSUMED, b"0"))
            nulls = None if values.get(NULLS) is None else decode_nulls(values[NULLS] or b"")
        except KeyError as missing:
            raise FrameError(f"not a frame: header {missing.args[0]} is missing") from None
        except ValueError as malformed:
            raise FrameError(f"not a frame: a header is malformed: {malformed}") from None
        return cls(
            layout=layout,
            complete_ns=complete,
            rows=rows,
            released_ns=released,
            sealed_ns=sealed,
            newest_ns=newest,
            parity=parity,
            assumed_rows=assumed,
            rule=rule,
            nulls=nulls,
        )


def _int64(text: bytes | None) -> int:
    """The whole number of a header, in digits alone; raises ValueError for other text, and beyond 64 bits."""
    if not _NUMBER.fullmatch(text or b""):
        raise ValueError(f"{text!r} is no number")
    number = int(text or b"")
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} is beyond int64")
    return number


def layout_fingerprint(schema: pa.Schema) -> str:
    """Return 16 hex digits that are equal for equal columns: names, types, nullability and order."""
    lines = [f"{field.name}:{field.type}:{'null' if field.nullable else 'value'}" for field in schema]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class FrameEncoder:
    """Makes the values of frames of one layout; a compression makes their buffers smaller, and readers
    decompress them.
    """

    def __init__(self, schema: pa.Schema, compression: Compression = "none") -> None:
        self.compression: Final = compression
        self._schema = schema
        # A stream is its schema, its batch and an end: put together so it takes half of what a writer takes,
        # which alone writes dictionaries and compresses.
        is_plain = compression == "none" and not any(has_dictionary(field.type) for field in schema)
        self._head = schema.serialize().to_pybytes() if is_plain else None

    def encode(self, rows: pa.RecordBatch) -> bytes:
        """Return the value of the frame that holds these rows."""
        assert rows.schema.equals(self._schema, check_metadata=True), "rows of another layout"
        if self._head is not None:
            return b"".join((self._head, rows.serialize(), _END))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema, options=_OPTIONS[self.compression]) as writer:
            writer.write_batch(rows)
        return bytes(sink.getvalue())


def encode_frame(rows: pa.RecordBatch, compression: Compression = "none") -> bytes:
    """Return the value of one frame (see `FrameEncoder`)."""
    return FrameEncoder(rows.schema, compression).encode(rows)


def decode_frame(value: bytes | None, size_max: int = DECODED_SIZE_MAX) -> pa.RecordBatch:
    """Return the rows of a frame's value; raises FrameError for all but an Arrow IPC stream of one batch.

    One that would unpack to more than `size_max` bytes is refused before anything is unpacked.
    """
    if value is None:
        raise FrameError("not a frame: the value is null")
    source = pa.BufferReader(pa.py_buffer(value))
    try:
        require_size(pa.ipc.MessageReader.open_stream(source), size_max)
        source.seek(0)
        with pa.ipc.open_stream(source) as reader:
            batches = list(reader)
        for rows in batches:
            rows.validate(full=True)
    except _BROKEN as broken:
        raise FrameError(f"not a frame: {broken}") from None
    if len(batches) != 1:
        raise FrameError(f"not a frame: {len(batches)} batches of rows, expected one")
    return batches[0]
