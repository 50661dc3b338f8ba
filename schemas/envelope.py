"""An envelope: the version and checksum in front of bytes that are kept, so that foreign or torn ones show.

One byte of version and the CRC-32 (4 bytes, little endian) of all that follows.
"""

import struct
import zlib
from typing import Final

_HEAD = struct.Struct("<BI")
ENVELOPE_SIZE: Final = _HEAD.size


class EnvelopeError(ValueError):
    """Bytes that are no whole envelope of the version expected; the message says what is wrong with them."""


class EnvelopeVersionError(EnvelopeError):
    """An envelope of another version; the message has both."""


def seal_envelope(version: int, payload: bytes) -> bytes:
    """Put version and checksum in front of a payload."""
    return _HEAD.pack(version, zlib.crc32(payload)) + payload


def open_envelope(version: int, value: bytes) -> bytes:
    """Return the payload; raises EnvelopeVersionError, and EnvelopeError where bytes lack or are damaged."""
    if len(value) < _HEAD.size:
        raise EnvelopeError(f"has {len(value)} bytes, fewer than the {_HEAD.size} of version and checksum")
    written, checksum = _HEAD.unpack_from(value)
    if written != version:
        raise EnvelopeVersionError(f"is of version {written}, this program reads {version}")
    payload = value[_HEAD.size :]
    if zlib.crc32(payload) != checksum:
        raise EnvelopeError("is damaged: its checksum does not fit")
    return payload
