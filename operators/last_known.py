"""Last-known entries: the last row per group, for a topic that keeps the newest value of each key.

A join without a tolerance may need a row that lies arbitrarily far back.  What these entries hold need not
be read again, so that a restart begins at the oldest row that waited when they were last written.

The key is the stream's name, a zero byte and the group's key.  The value is a version byte, a CRC-32 of what
follows, 8 bytes that name the layout, the frontier (int64, little endian) the entry was taken at, then the
rows: the last one, and with `carry = "column"` those whose values still stand.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from operators.context import RightContext
from operators.groups import Groups
from operators.restore import right_rows
from operators.row_bytes import pack_rows
from operators.settings import AsofSettings
from operators.snapshot import gathered
from operators.snapshot_format import SnapshotError, right_schema
from schemas.batch import Batch
from schemas.frame import layout_fingerprint
from schemas.stream import Stream

VERSION: Final = 1

_FRAME = struct.Struct("<BI")
_HEAD = struct.Struct("<8sq")


def last_known_entries(
    settings: AsofSettings, right: RightContext, groups: Groups, frontier_ns: int
) -> Iterator[tuple[bytes, bytes]]:
    """Yield an entry for each group whose last row may have changed since the last call."""
    rows = right.unknown_rows(frontier_ns)
    store = right.pending.store
    found, first = np.unique(store.group[rows], return_index=True)
    packed = pack_rows(
        gathered(store, rows, right_schema(settings, right.stream), []), np.append(first, rows.size)
    )
    head = _HEAD.pack(_layout(settings, right.stream), frontier_ns)
    for group, value in zip(found.tolist(), packed, strict=True):
        payload = head + value
        framed = _FRAME.pack(VERSION, zlib.crc32(payload)) + payload
        yield _prefix(right.stream) + groups.key(group), framed


def last_known_rows(
    settings: AsofSettings, entries: Iterable[tuple[bytes, bytes]], frontier_ns: int
) -> Mapping[str, Batch]:
    """The rows of the newest entry of each key, per right stream, oldest offset first.

    An entry taken beyond `frontier_ns` belongs to a life that was not committed, or to a group that was reset
    since, and does not count.  Raises SnapshotError where one is damaged or of another layout.
    """
    prefixes = {_prefix(right): right for right in settings.rights}
    values: dict[str, dict[bytes, bytes]] = {right.name: {} for right in settings.rights}
    for key, value in entries:
        stream, zero, group = key.partition(b"\0")
        right = prefixes.get(stream + zero)
        if right is None:
            continue  # a stream this join does not look up any more
        taken_ns, rows = _opened(settings, right, key, value)
        if taken_ns <= frontier_ns:
            values[right.name][group] = rows
    return {
        right.name: right_rows(settings, right, values[right.name])
        for right in settings.rights
        if values[right.name]
    }


def _opened(settings: AsofSettings, right: Stream, key: bytes, value: bytes) -> tuple[int, bytes]:
    if len(value) < _FRAME.size + _HEAD.size:
        raise SnapshotError(f"last-known entry {key!r} has {len(value)} bytes, too few for any")
    version, checksum = _FRAME.unpack_from(value)
    if version != VERSION:
        raise SnapshotError(f"last-known entry {key!r} is of version {version}, this program reads {VERSION}")
    payload = value[_FRAME.size :]
    if zlib.crc32(payload) != checksum:
        raise SnapshotError(f"last-known entry {key!r} is damaged: its checksum does not fit")
    layout, taken_ns = _HEAD.unpack_from(payload)
    if layout != _layout(settings, right):
        raise SnapshotError(
            f"last-known entry {key!r} was kept for another join: the columns, keys or clock of "
            f"{right.name}, or carry, have changed"
        )
    return taken_ns, payload[_HEAD.size :]


def _prefix(right: Stream) -> bytes:
    return right.name.encode() + b"\0"


def _layout(settings: AsofSettings, right: Stream) -> bytes:
    """What has to be equal for kept rows to mean the same; the matching rules need not."""
    told = [
        settings.clock,
        settings.carry,
        ",".join(right.key),
        str(right.sequence),
        layout_fingerprint(right_schema(settings, right)),
    ]
    return hashlib.sha256("\n".join(told).encode()).digest()[:8]
