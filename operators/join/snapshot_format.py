"""How kept state looks as keys and values, so that a foreign, torn or damaged one is never taken for good.

`h`                      the header: layout, frontier, how far each input came, how many groups were written.
`l`                      the left rows that wait.
`r`, u8 stream, key      the rows of one group of one right stream that may still match.
`a`, u8 stream           the late rows of one input (0 is the left one) that have to stay out.

A value lies in an envelope (`schemas.envelope`).
"""

import json
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from operators.inputs.progress import InputProgress
from operators.join.settings import AsofSettings
from schemas.envelope import EnvelopeError, open_envelope, seal_envelope
from schemas.stream import Stream

VERSION: Final = 2
HEADER_KEY: Final = b"h"
LEFT_KEY: Final = b"l"
RIGHT_KEY: Final = b"r"
LATE_KEY: Final = b"a"

CONTROL: Final = pa.schema(
    [
        pa.field("control.time_ns", pa.int64()),
        pa.field("control.sequence", pa.int64()),
        pa.field("control.offset", pa.int64()),
        pa.field("control.index", pa.int32()),
    ]
)
CONTROL_KEY: Final = pa.field("control.key", pa.binary())


class SnapshotError(Exception):
    """Kept state cannot be used: of another version or layout, or damaged; rebuild it from the inputs."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the header entry says; the late rows of the inputs have an entry of their own."""

    layout: str
    frontier_ns: int
    inputs: dict[str, InputProgress]
    groups: list[int]


def right_key(right: int, key: bytes) -> bytes:
    """The entry key of one group of the right stream at place `right`."""
    return RIGHT_KEY + bytes([right]) + key


def late_key(stream: int) -> bytes:
    """The entry key of the late rows of the input at place `stream`, the left one first."""
    return LATE_KEY + bytes([stream])


def close_value(payload: bytes) -> bytes:
    """Put version and checksum in front."""
    return seal_envelope(VERSION, payload)


def open_value(key: bytes, value: bytes) -> bytes:
    """What is inside a value; raises SnapshotError where the version is foreign or the bytes are damaged."""
    try:
        return open_envelope(VERSION, value)
    except EnvelopeError as unusable:
        raise SnapshotError(f"state entry {key!r} {unusable}") from None


def encode_header(header: Header) -> bytes:
    """The header as a value."""
    inputs = {
        name: [p.needed_offset, p.next_offset, p.watermark_ns, p.final, p.late_from, p.sealed_through]
        for name, p in header.inputs.items()
    }
    told = {
        "layout": header.layout,
        "frontier_ns": header.frontier_ns,
        "inputs": inputs,
        "groups": header.groups,
    }
    return close_value(json.dumps(told).encode())


def decode_header(value: bytes, layout: str) -> Header:
    """Read the header; raises SnapshotError where it is of another layout than `layout`."""
    told = json.loads(open_value(HEADER_KEY, value))
    if told["layout"] != layout:
        raise SnapshotError(
            f"the state was kept for another join (layout {told['layout']}, this one is {layout}): "
            "streams, columns, keys, clock or matching rules have changed"
        )
    inputs = {
        name: InputProgress(
            needed,
            upto,
            watermark_ns,
            final=final,
            late_from=late_from,
            sealed_through=None if through is None else (through[0], through[1], through[2], through[3]),
        )
        for name, (needed, upto, watermark_ns, final, late_from, through) in told["inputs"].items()
    }
    return Header(told["layout"], told["frontier_ns"], inputs, told["groups"])


def left_schema(left: Stream) -> pa.Schema:
    """The columns of the entry of waiting left rows."""
    return pa.schema([*CONTROL, CONTROL_KEY, *left.schema])


def late_schema(settings: AsofSettings, stream: Stream) -> pa.Schema:
    """The columns of the entry of late rows of an input."""
    columns = [stream.schema.field(name) for name in settings.carried_by_column(stream)]
    return pa.schema([*CONTROL, CONTROL_KEY, *columns])


def right_schema(settings: AsofSettings, right: Stream) -> pa.Schema:
    """The columns of an entry of one group of a right stream."""
    return pa.schema([*CONTROL, *(right.schema.field(name) for name in settings.looked_up(right))])
