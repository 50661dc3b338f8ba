"""What stands before a message in Confluent's wire format: a schema's id, and which of its message types.

After the byte 0 and four bytes of the id, big endian, come the indexes of the message type: a count and that
many zigzag varints.  The single byte 0 stands for the first message type of the schema.
"""

from typing import Final

import numpy as np
from numba import njit

from schemas.batch import Int64s
from topics.avro.decode_kernel import NO_HEADER, NO_MAGIC, NULL, TOO_LARGE
from topics.avro.varint import read_varint
from topics.raw_access import load_byte

PREFIX_SIZE: Final = 5
BAD_INDEXES: Final = -5

INDEXES_MAX: Final = 64  # messages within each other that a header may name

HEADER_WORDS: Final = {
    NULL: "the message is null",
    NO_HEADER: "shorter than the 5 bytes that name its schema",
    NO_MAGIC: "does not begin with the byte 0 of the Confluent wire format",
    TOO_LARGE: "larger than message_size_max",
    BAD_INDEXES: "the indexes of its message type, from byte 5 on, cannot be read",
}


@njit(nogil=True, cache=True)
def read_prefix_sizes(address: Int64s, size: Int64s, ids: Int64s, prefix_size: Int64s) -> None:
    """For each value whose id is not below 0 write the bytes before its message, or BAD_INDEXES to `ids`."""
    for i in range(address.size):
        prefix_size[i] = 0
        if ids[i] < 0:
            continue
        position = address[i] + PREFIX_SIZE
        end = address[i] + size[i]
        if position < end and load_byte(position) == 0:
            prefix_size[i] = PREFIX_SIZE + 1
            continue
        count, position = read_varint(position, end)
        if position < 0 or count < 0 or count > INDEXES_MAX:
            ids[i] = BAD_INDEXES
            continue
        for _ in range(count):
            index, position = read_varint(position, end)
            if position < 0 or index < 0:
                position = -1
                break
        if position < 0:
            ids[i] = BAD_INDEXES
        else:
            prefix_size[i] = position - address[i]


def warm() -> None:
    """Compile or load the kernel, for no value."""
    none = np.empty(0, dtype=np.int64)
    read_prefix_sizes(none, none, none, none)


def parse_prefix(prefix: bytes) -> tuple[int, tuple[int, ...]]:
    """Return the schema id and the indexes of bytes that `read_prefix_sizes` has measured."""
    numbers = []
    number = shift = 0
    for byte in prefix[PREFIX_SIZE:]:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number >> 1)  # the bit that says a number is below 0 is not set
            number = shift = 0
    return int.from_bytes(prefix[1:PREFIX_SIZE], "big"), tuple(numbers[1:]) or (0,)


def parse_indexes(data: bytes) -> tuple[int, ...] | None:
    """Return the indexes that are all of these bytes, None where they are no such thing."""
    prefix = np.frombuffer(bytes(PREFIX_SIZE) + data, dtype=np.uint8)
    address, size = np.array([[prefix.ctypes.data], [prefix.size]], dtype=np.int64)
    ids, prefix_size = np.zeros((2, 1), dtype=np.int64)
    read_prefix_sizes(address, size, ids, prefix_size)
    if ids[0] < 0 or prefix_size[0] != prefix.size:
        return None
    return parse_prefix(prefix.tobytes())[1]


def message_prefix(schema_id: int, indexes: tuple[int, ...] = (0,)) -> bytes:
    """Return what stands before a message of a schema, in its shortest form."""
    assert 0 <= schema_id < 2**32, f"schema id {schema_id} does not fit 4 bytes"
    header = schema_id.to_bytes(PREFIX_SIZE, "big")
    if indexes == (0,):
        return header + b"\0"
    return header + b"".join(_varint(2 * number) for number in (len(indexes), *indexes))


def _varint(number: int) -> bytes:
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)
