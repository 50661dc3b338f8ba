"""Last-known entries: the last row per group, for a topic that keeps the newest value of each key.

A join without a tolerance may need a row that lies arbitrarily far back.  Rows in these entries need not be
read again: a restart begins at the oldest row that waited when they were last written.

The key is the stream's name, a zero byte and the group's key.  The value is an envelope (`schemas.envelope`)
of 8 bytes that name the join and 8 that name the columns, the frontier the entry was taken at and the oldest
offset of its rows (int64, little endian), then the rows: the last one, and with `carry = "column"` those
whose values still stand.

Where only the columns have changed since, the rows are those that the inputs hold from that offset on.  So it
is where an entry would be too large for its topic: it names no columns (zero bytes) and has no rows.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from operators.entries import SnapshotError
from operators.join.context import RightContext
from operators.join.restore import right_rows
from operators.join.settings import AsofSettings
from operators.join.snapshot_format import right_schema
from operators.rows.groups import Groups
from operators.rows.kept import gathered
from operators.rows.packing import pack_rows
from schemas.batch import Batch
from schemas.envelope import EnvelopeError, open_envelope, seal_envelope
from schemas.frame import layout_fingerprint
from schemas.stream import Stream, is_key_of

VERSION: Final = 2

NO_COLUMNS: Final = bytes(8)

_HEAD = struct.Struct("<8s8sqq")


class Recalled(NamedTuple):
    """What entries say, per right stream: `rows`, oldest offset first, and those without rows of use.

    `older` is the oldest offset of the rows that were kept with other columns, or not at all: from there on
    they are to be read again.
    """

    rows: Mapping[str, Batch]
    older: Mapping[str, int]


def last_known_entries(
    settings: AsofSettings, right: RightContext, groups: Groups, frontier_ns: int, size_max: int | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """Yield an entry for each group whose last row may have changed since the last call.

    Without its rows, where key and value would have more than `size_max` bytes.
    """
    rows = right.unknown_rows(frontier_ns)
    store = right.pending.store
    changed, first = np.unique(store.group[rows], return_index=True)
    packed = pack_rows(
        gathered(store, rows, right_schema(settings, right.stream), []), np.append(first, rows.size)
    )
    oldest = np.minimum.reduceat(store.offset[rows], first) if rows.size else first
    layout = _layout(settings, right.stream)
    for group, value, offset in zip(changed.tolist(), packed, oldest.tolist(), strict=True):
        key = _prefix(right.stream) + groups.key(group)
        entry = seal_envelope(VERSION, _HEAD.pack(*layout, frontier_ns, offset) + value)
        if size_max is not None and len(key) + len(entry) > size_max:
            entry = seal_envelope(VERSION, _HEAD.pack(layout[0], NO_COLUMNS, frontier_ns, offset))
        yield key, entry


def last_known_rows(
    settings: AsofSettings, entries: Iterable[tuple[bytes, bytes]], frontier_ns: int
) -> Recalled:
    """The rows of the newest entry of each key, and from where on to read those that lack columns.

    An entry taken beyond `frontier_ns` belongs to a life that was not committed, or to a group that was reset
    since, and does not count.  Raises SnapshotError where one is damaged or of another join.
    """
    prefixes = {_prefix(right): right for right in settings.rights}
    layouts = {right.name: _layout(settings, right) for right in settings.rights}
    values: dict[str, dict[bytes, bytes]] = {right.name: {} for right in settings.rights}
    older: dict[str, int] = {}
    for key, value in entries:
        stream, zero, group = key.partition(b"\0")
        right = prefixes.get(stream + zero)
        if right is None:
            continue  # a stream this join does not look up any more
        if not is_key_of(group, len(right.key)):
            raise SnapshotError(
                f"last-known entry {key!r} is of a key that can be read in two ways, as an earlier version "
                "kept it: read the inputs from their beginning, under another pipeline.prefix"
            )
        entry = _opened(settings, right, layouts[right.name], key, value)
        if entry.taken_ns > frontier_ns:
            continue
        if entry.rows is None:
            older[right.name] = min(older.get(right.name, entry.offset), entry.offset)
        else:
            values[right.name][group] = entry.rows
    rows = {
        right.name: right_rows(settings, right, values[right.name])
        for right in settings.rights
        if values[right.name]
    }
    return Recalled(rows, older)


class _Entry(NamedTuple):
    taken_ns: int
    offset: int
    rows: bytes | None  # None where they have other columns than are looked up now, or were too large


def _opened(
    settings: AsofSettings, right: Stream, layout: tuple[bytes, bytes], key: bytes, value: bytes
) -> _Entry:
    try:
        payload = open_envelope(VERSION, value)
    except EnvelopeError as unusable:
        raise SnapshotError(f"last-known entry {key!r} {unusable}") from None
    if len(payload) < _HEAD.size:
        raise SnapshotError(f"last-known entry {key!r} has {len(value)} bytes, too few for any")
    join, columns, taken_ns, offset = _HEAD.unpack_from(payload)
    if join != layout[0]:
        raise SnapshotError(
            f"last-known entry {key!r} was kept for another join: the keys, clock or sequence of "
            f"{right.name}, or carry, have changed"
        )
    if columns == layout[1]:
        return _Entry(taken_ns, offset, payload[_HEAD.size :])
    if columns == NO_COLUMNS:
        return _Entry(taken_ns, offset, None)
    if settings.carry == "column":
        raise SnapshotError(
            f"last-known entry {key!r} was kept for other columns of {right.name}, and of one that was added "
            f"the last value may lie anywhere: streams.{right.name}.columns chooses those there were"
        )
    return _Entry(taken_ns, offset, None)


def _prefix(right: Stream) -> bytes:
    return right.name.encode() + b"\0"


def _layout(settings: AsofSettings, right: Stream) -> tuple[bytes, bytes]:
    """What names the join, equal where the same rows stand, whatever the matching rules; and the columns."""
    key = layout_fingerprint(pa.schema([right.schema.field(name) for name in right.key]))
    join = _digest(settings.clock, settings.carry, ",".join(right.key), key, str(right.sequence))
    return join, _digest(layout_fingerprint(right_schema(settings, right)))


def _digest(*lines: str) -> bytes:
    return hashlib.sha256("\n".join(lines).encode()).digest()[:8]
