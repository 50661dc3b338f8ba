"""The keys and values of a task's store as bytes: one checkpoint record, and entries under one prefix.

    b"c"            the checkpoint: UTF-8 JSON in an envelope (`schemas.envelope`)
    b"e" + key      an operator's entry; key and value are the operator's own bytes

JSON, because one record is read once per start and should be legible in any dump.
"""

import json
from typing import Final

from schemas.envelope import EnvelopeError, EnvelopeVersionError, open_envelope, seal_envelope
from state.checkpoint import Checkpoint

VERSION: Final = 2  # raise it whenever bytes written before could be read wrongly

CHECKPOINT_KEY: Final = b"c"
ENTRY_PREFIX: Final = b"e"
ENTRY_UPPER: Final = b"f"  # the first key above every entry

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
    return seal_envelope(VERSION, body)


def decode_checkpoint(value: bytes) -> Checkpoint:
    """Read a checkpoint record; raises VersionError or LayoutError."""
    try:
        body = open_envelope(VERSION, value)
    except EnvelopeVersionError as foreign:
        raise VersionError(f"the checkpoint {foreign}") from None
    except EnvelopeError as broken:
        raise LayoutError(f"the checkpoint {broken}") from None
    fields = json.loads(body)
    if fields.keys() != _FIELDS:
        raise LayoutError(f"the checkpoint has the fields {', '.join(sorted(fields))}")
    return Checkpoint(**fields)
