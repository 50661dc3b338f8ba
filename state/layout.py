"""The keys and values of a task's store as bytes: one checkpoint record, and entries under one prefix.

    b"c"            the checkpoint: version (1 byte), CRC-32 of the rest (4 bytes, big endian), UTF-8 JSON
    b"e" + key      an operator's entry; key and value are the operator's own bytes

JSON, because one record is read once per start and should be legible in any dump.
"""

import json
import struct
import zlib
from typing import Final

from state.checkpoint import Checkpoint

VERSION: Final = 1  # raise it whenever bytes written before could be read wrongly

CHECKPOINT_KEY: Final = b"c"
ENTRY_PREFIX: Final = b"e"
ENTRY_UPPER: Final = b"f"  # the first key above every entry

_HEAD = struct.Struct(">BI")
_FIELDS: Final = {"identity", "frontier_ns", "next_offsets", "watermarks_ns", "entries", "txn_count"}


class LayoutError(ValueError):
    """Bytes that are not a checkpoint; the message says what is wrong with them."""


class VersionError(LayoutError):
    """A checkpoint of another version; the message has both."""


def entry_key(key: bytes) -> bytes:
    """Return where an operator's entry lies in the store."""
    return ENTRY_PREFIX + key


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return the value of the checkpoint record."""
    fields = {
        "identity": checkpoint.identity,
        "frontier_ns": checkpoint.frontier_ns,
        "next_offsets": dict(checkpoint.next_offsets),
        "watermarks_ns": dict(checkpoint.watermarks_ns),
        "entries": checkpoint.entries,
        "txn_count": checkpoint.txn_count,
    }
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    return _HEAD.pack(VERSION, zlib.crc32(body)) + body


def decode_checkpoint(value: bytes) -> Checkpoint:
    """Read a checkpoint record; raises VersionError or LayoutError."""
    if len(value) < _HEAD.size:
        raise LayoutError(f"the checkpoint has {len(value)} bytes, fewer than its head of {_HEAD.size}")
    version, checksum = _HEAD.unpack_from(value)
    if version != VERSION:
        raise VersionError(f"the checkpoint has version {version}, this program writes {VERSION}")
    body = value[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise LayoutError(f"the checkpoint's checksum is {zlib.crc32(body):08x}, expected {checksum:08x}")
    fields = json.loads(body)
    if fields.keys() != _FIELDS:
        raise LayoutError(f"the checkpoint has the fields {', '.join(sorted(fields))}")
    return Checkpoint(**fields)
