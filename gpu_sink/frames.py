"""From a message's bytes to columns that lie where it lies: nothing is copied, nothing is trusted."""

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from gpu_sink.contract import FrameError, FrameHeaders, Headers, layout_fingerprint, read_headers


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

    rows: pa.RecordBatch
    headers: FrameHeaders | None
    place: Place


def decode_frame(value: bytes | None, headers: Headers, place: Place, layout: str | None = None) -> Frame:
    """Return the frame in a message; raises FrameError with its place for anything but one whole frame.

    `layout`, where given, is the fingerprint that the reader was made for; another is refused.  Checked:
    headers, fingerprint, row count, every buffer's bounds, and that nothing follows the rows.
    """
    return FrameDecoder(layout).decode(value, headers, place)


class FrameDecoder:
    """Decodes the frames of one stream, whose fingerprint it works out anew only for another schema."""

    def __init__(self, layout: str | None = None) -> None:
        self._layout = layout
        self._schema: pa.Schema | None = None
        self._fingerprint = ""

    def decode(self, value: bytes | None, headers: Headers, place: Place) -> Frame:
        """As `decode_frame`."""
        try:
            said = read_headers(headers)
            if self._layout is not None and said.layout != self._layout:
                raise FrameError(f"a frame of layout {said.layout}, expected {self._layout}")
            rows = _read_rows(value)
            found = self._fingerprint_of(rows.schema)
            if found != said.layout:
                raise FrameError(f"its header says layout {said.layout}, its columns are {found}")
            if rows.num_rows != said.rows:
                raise FrameError(f"its header says {said.rows} rows, it has {rows.num_rows}")
        except FrameError as broken:
            raise FrameError(f"{place}: {broken}") from None
        return Frame(rows, said, place)

    def _fingerprint_of(self, schema: pa.Schema) -> str:
        if self._schema is None or not schema.equals(self._schema):
            self._schema, self._fingerprint = schema, layout_fingerprint(schema)
        return self._fingerprint


def _read_rows(value: bytes | None) -> pa.RecordBatch:
    if value is None:
        raise FrameError("not a frame: the value is null")
    source = pa.BufferReader(pa.py_buffer(value))
    try:
        with pa.ipc.open_stream(source) as reader:
            batches = list(reader)
        for rows in batches:
            rows.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as broken:
        raise FrameError(f"not a frame: {broken}") from None
    if len(batches) != 1:
        raise FrameError(f"not a frame: {len(batches)} batches of rows, expected one")
    if source.tell() != len(value):
        raise FrameError(f"not a frame: {len(value) - source.tell()} bytes follow the rows")
    return batches[0]
