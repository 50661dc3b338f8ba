"""Protobuf schemas as a registry sends them on request: a serialized FileDescriptorProto, in base64."""

import base64
import binascii
from typing import Final

from topics.wire import CodecError

FORMAT: Final = "serialized"  # what the registry is asked for

_NAME_TAG: Final = b"\x0a"  # FileDescriptorProto.name is the text with field number 1


def decoded_file(text: str, name: str = "") -> bytes:
    """Return the FileDescriptorProto, under another name where one is given: that by which it is imported.

    A name is written behind the others, of which Protobuf takes the last one.  Raises CodecError for text
    that is no base64, as a registry sends that does not know the format.
    """
    try:
        file = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CodecError(
            "the registry sends the schema as text, not as a descriptor: it does not know the format "
            f"{FORMAT!r}; name a descriptor file in streams.NAME.schema_file, or use a registry that does"
        ) from None
    raw = name.encode()
    return file + _NAME_TAG + _varint(len(raw)) + raw if raw else file


def _varint(number: int) -> bytes:
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)
