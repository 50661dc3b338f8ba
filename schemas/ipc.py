"""How much a message of an Arrow IPC stream unpacks to, from its metadata and before anything is unpacked.

The metadata is a flatbuffers table (`Message.fbs` of the Arrow format).  A compressed buffer says in its
first eight bytes how long it will be, and Arrow allocates that much before it looks at the rest.
"""

import struct
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.frame_error import FrameError

DECODED_SIZE_MAX: Final = (
    256 << 20
)  # bytes of a frame once unpacked; workers cut frames to their topic's size

_VERSION, _HEADER = 0, 2  # fields of a message
_DICTIONARY_ROWS: Final = 1  # field of a dictionary batch: its values, a record batch
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3  # fields of a record batch
_V5: Final = 4  # of Arrow 1.0; before it a batch could be compressed without its table saying so
_PREFIX: Final = 8  # bytes that a compressed buffer begins with: its length once unpacked
_PLAIN: Final = -1  # ... or that it is not compressed

_SHORT, _INT, _LONG = (struct.Struct(code).unpack_from for code in ("<H", "<i", "<q"))


def require_size(messages: Iterable[pa.ipc.Message], size_max: int) -> None:
    """Raise FrameError where these messages of one stream unpack to more than `size_max` bytes, or to rows
    that have no bytes.
    """
    size = 0
    for message in messages:
        if message.type not in ("record batch", "dictionary"):
            continue
        try:
            rows, unpacked = _unpacked(message, size_max)
        except (struct.error, ValueError, IndexError) as broken:
            raise FrameError(f"not a frame: its metadata is damaged: {broken}") from None
        size += unpacked
        if size > size_max:
            raise FrameError(
                f"it would unpack to {size:,} bytes or more, and {size_max:,} are taken: no worker wrote it"
            )
        if not 0 <= rows <= 8 * unpacked:
            raise FrameError(f"not a frame: it says {rows:,} rows and has {unpacked:,} bytes")


def _unpacked(message: pa.ipc.Message, size_max: int) -> tuple[int, int]:
    """The rows of a batch, and the bytes of its buffers once unpacked; each counts `size_max` + 1 at most."""
    data, body = memoryview(message.metadata), message.body or pa.py_buffer(b"")
    table = _INT(data, 0)[0]
    version = _field(data, table, _VERSION)
    if not version or _SHORT(data, version)[0] < _V5:
        raise ValueError("of a version of Arrow before 1.0")
    batch = _table(data, table, _HEADER)
    if message.type == "dictionary":
        batch = _table(data, batch, _DICTIONARY_ROWS)
    length = _field(data, batch, _LENGTH)
    rows = _LONG(data, length)[0] if length else 0
    buffers = _field(data, batch, _BUFFERS)
    if not buffers:
        return rows, 0
    at = buffers + _INT(data, buffers)[0]
    count = _INT(data, at)[0]
    packed = _field(data, batch, _COMPRESSION) != 0
    if not packed and count * body.size <= size_max:
        return rows, body.size  # whatever part of the body each buffer is
    places = np.frombuffer(data, "<i8", 2 * count, at + 4).reshape(count, 2)
    places = places[places[:, 1] != 0]
    begin, stored = places[:, 0], places[:, 1]
    if np.any((begin < 0) | (stored < 0) | (begin > body.size) | (stored > body.size - begin)):
        raise ValueError("a buffer lies outside of the message")
    sizes = _claimed(body, begin, stored) if packed else stored
    return rows, int(np.minimum(sizes, size_max + 1).sum())


def _claimed(
    body: pa.Buffer, begin: npt.NDArray[np.int64], stored: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """What the compressed buffers say that they unpack to, int64 bytes."""
    if np.any(stored < _PREFIX):
        raise ValueError("a compressed buffer is shorter than its length")
    first = np.frombuffer(body, np.uint8)[begin[:, None] + np.arange(_PREFIX)]
    claimed: npt.NDArray[np.int64] = first.view("<i8")[:, 0]
    if np.any(claimed < _PLAIN):
        raise ValueError("a compressed buffer has a length below 0")
    return np.where(claimed == _PLAIN, stored - _PREFIX, claimed)


def _field(data: memoryview, table: int, number: int) -> int:
    """Where a field of a table lies, 0 where the table has none."""
    layout = table - _INT(data, table)[0]
    if 4 + 2 * number >= _SHORT(data, layout)[0]:
        return 0
    offset = _SHORT(data, layout + 4 + 2 * number)[0]
    return table + offset if offset else 0


def _table(data: memoryview, table: int, number: int) -> int:
    """Where the table lies that a field of a table points to."""
    field = _field(data, table, number)
    if not field:
        raise ValueError(f"field {number} is missing")
    offset: int = _INT(data, field)[0]
    return field + offset
