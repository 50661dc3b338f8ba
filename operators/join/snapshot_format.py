"""How the kept state of a join looks as keys and values.

`h`                      the header: frontier, the place of the last row sealed, how many groups were written.
`l`                      the left rows that wait.
`r`, u8 stream, key      the rows of one group of one right stream that may still match.

Values lie in envelopes (`operators.rows.kept`); the store has the keys under the join's name and meaning.
"""

import json
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from operators.entries import SnapshotError
from operators.inputs.progress import RowPlace
from operators.join.settings import AsofSettings
from operators.rows.kept import CONTROL, close_value, keyed_schema, open_value
from schemas.stream import Stream

HEADER_KEY: Final = b"h"
LEFT_KEY: Final = b"l"
RIGHT_KEY: Final = b"r"


@dataclass(frozen=True, slots=True)
class Header:
    """What the header entry says."""

    frontier_ns: int
    through: RowPlace | None
    groups: list[int]


def right_key(right: int, key: bytes) -> bytes:
    """The entry key of one group of the right stream at place `right`."""
    return RIGHT_KEY + bytes([right]) + key


def encode_header(header: Header) -> bytes:
    """The header as a value."""
    fields = {"frontier_ns": header.frontier_ns, "through": header.through, "groups": header.groups}
    return close_value(json.dumps(fields).encode())


def decode_header(value: bytes) -> Header:
    """Read the header; keys it does not know are somebody's information and are passed over."""
    fields = json.loads(open_value(HEADER_KEY, value))
    try:
        through = fields["through"]
        if through is not None:
            time_ns, sequence, offset, index = map(int, through)
            through = (time_ns, sequence, offset, index)
        return Header(
            int(fields["frontier_ns"]),
            through,
            [int(count) for count in fields["groups"]],
        )
    except (KeyError, TypeError, ValueError) as malformed:
        raise SnapshotError(f"state entry {HEADER_KEY!r} cannot be read: {malformed!r}") from None


def left_schema(left: Stream) -> pa.Schema:
    """The columns of the entry of waiting left rows."""
    return keyed_schema(*left.schema)


def right_schema(settings: AsofSettings, right: Stream) -> pa.Schema:
    """The columns of an entry of one group of a right stream."""
    return pa.schema([*CONTROL, *(right.schema.field(name) for name in settings.looked_up(right))])
