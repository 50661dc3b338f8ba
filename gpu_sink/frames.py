"""From a message's bytes to columns that lie where it lies: nothing is copied, nothing is trusted."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import pyarrow as pa

from gpu_sink.contract import FrameError, FrameHeaders, Headers, layout_fingerprint, read_headers
from gpu_sink.ipc import DECODED_SIZE_MAX, PlainShape, require_size

# Of the Arrow IPC stream format: what each message begins with, and the one that says that none follows.
CONTINUES: Final = b"\xff\xff\xff\xff"
END: Final = CONTINUES + b"\0\0\0\0"

# What bytes that are no frame make Arrow raise; memory runs out where a length is not one.
BROKEN: Final = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)


class Place(NamedTuple):
    """Where a frame was read: in a topic, or in a folder of files.

    In a folder, `topic` is the file, `partition` its number in the order of names, `offset` the row group.
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic} [{self.partition}] offset {self.offset}"


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows of one seal and partition.

    `rows` views the message's memory and keeps it alive.  `headers` is None for rows read from a file.
    """

    rows: pa.RecordBatch  # or SegmentRows, which stay in their file until they are wanted
    headers: FrameHeaders | None
    place: Place


def decode_frame(
    value: bytes | None,
    headers: Headers,
    place: Place,
    layout: str | None = None,
    decoded_size_max: int = DECODED_SIZE_MAX,
) -> Frame:
    """Return the frame in a message; raises FrameError with its place for anything but one whole frame.

    `layout`, where given, is the fingerprint that the reader was made for; another is refused.  Checked:
    headers, fingerprint, row count, every buffer's bounds, that nothing follows the rows, and before anything
    is unpacked that this makes `decoded_size_max` bytes at most.
    """
    return FrameDecoder(layout, decoded_size_max).decode(value, headers, place)


class FrameDecoder:
    """Decodes the frames of one stream, whose schema it reads anew only where its bytes are others.

    A frame begins with its schema, and the frames of a stream with the same bytes.  Reading those once made a
    small frame of 16 columns cost 8 us instead of 85.
    """

    def __init__(self, layout: str | None = None, decoded_size_max: int = DECODED_SIZE_MAX) -> None:
        self._layout = layout
        self._decoded_size_max = decoded_size_max
        self._shape = PlainShape()
        self._begins: bytes | None = None  # the schema as a message, with which frames begin
        self._schema: pa.Schema | None = None
        self._fingerprint = ""

    def decode(self, value: bytes | None, headers: Headers, place: Place) -> Frame:
        """As `decode_frame`."""
        try:
            header = read_headers(headers)
            if self._layout is not None and header.layout != self._layout:
                raise FrameError(f"a frame of layout {header.layout}, expected {self._layout}")
            rows, fingerprint = self._read_alike(value), self._fingerprint
            if rows is None:
                rows = _read_rows(value, self._decoded_size_max)
                fingerprint = self._learn(value, rows.schema)
            if fingerprint != header.layout:
                raise FrameError(f"its header says layout {header.layout}, its columns are {fingerprint}")
            if rows.num_rows != header.rows:
                raise FrameError(f"its header says {header.rows} rows, it has {rows.num_rows}")
        except FrameError as broken:
            raise FrameError(f"{place}: {broken}") from None
        return Frame(rows, header, place)

    def _read_alike(self, value: bytes | None) -> pa.RecordBatch | None:
        """The rows of a frame that begins as the one before and is whole; None leaves it to `_read_rows`."""
        if self._begins is None or value is None or not value.startswith(self._begins):
            return None
        source = pa.BufferReader(value)
        begin = len(self._begins)
        source.seek(begin)
        try:
            message = pa.ipc.read_message(source)
            if message.type != "record batch" or value[source.tell() :] not in (b"", END):
                return None
            if not self._shape.fits(value, begin, self._decoded_size_max):
                require_size((message,), self._decoded_size_max)
                if value.startswith(CONTINUES, begin):
                    self._shape.learn(value, begin)
            rows = pa.ipc.read_record_batch(message, self._schema)
            rows.validate(full=True)
        except BROKEN:
            return None
        return rows if rows.num_rows <= 8 * len(value) else None

    def _learn(self, value: bytes | None, schema: pa.Schema) -> str:
        """Remember how a frame begins that was read; return its fingerprint."""
        assert value is not None
        if self._begins is None or not value.startswith(self._begins):
            try:
                fingerprint = layout_fingerprint(schema)
            except BROKEN as broken:
                raise FrameError(f"not a frame: {broken}") from None
            self._schema, self._fingerprint = schema, fingerprint
            size = 8 + int.from_bytes(value[4:8], "little")
            self._begins = value[:size] if value[:4] == CONTINUES else None
        return self._fingerprint


def _read_rows(value: bytes | None, size_max: int) -> pa.RecordBatch:
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
    except BROKEN as broken:
        raise FrameError(f"not a frame: {broken}") from None
    if len(batches) != 1:
        raise FrameError(f"not a frame: {len(batches)} batches of rows, expected one")
    if source.tell() != len(value):
        raise FrameError(f"not a frame: {len(value) - source.tell()} bytes follow the rows")
    return batches[0]
