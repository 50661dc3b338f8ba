"""Protobuf's variable-length integers, tags and lengths, read eight bytes at a time where they may be long.

An integer is cut into groups of seven bits, lowest first; a set top bit says that another byte follows.
"""

from numba import njit

from topics.avro.varint import TOP_BITS, gather_groups
from topics.raw_access import load_byte, load_word, trailing_zeros

# Faults, as what is returned instead of an address.
CUT_SHORT = -1  # the message, or what encloses the value, ends inside it
TOO_LONG = -2  # a varint of more than 10 bytes
BAD_TAG = -3  # a tag of more than 32 bits or 5 bytes
BAD_LENGTH = -4  # a length of more than 31 bits or 5 bytes

_SIZE_MAX = 10
_SHORT_SIZE_MAX = 5
_LENGTH_MAX = 2**31 - 1
_TAG_MAX = 2**32 - 1


@njit(nogil=True, cache=True)
def _read_bytewise(position: int, limit: int) -> tuple[int, int]:
    value = 0
    for place in range(_SIZE_MAX):
        if position >= limit:
            return 0, CUT_SHORT
        byte = load_byte(position)
        position += 1
        value |= (byte & 0x7F) << (7 * place)  # of the tenth byte one bit counts
        if byte < 0x80:
            return value, position
    return 0, TOO_LONG


@njit(nogil=True, cache=True, forceinline=True)
def read_varint(position: int, limit: int, end: int) -> tuple[int, int]:
    """Return the low 64 bits of an integer that ends before `limit`, and the address after it, or a fault.

    Bytes below `end` may be read, where `limit` is at most `end`; none at or beyond it is.
    """
    if position < limit:
        byte = load_byte(position)
        if byte < 0x80:
            return byte, position + 1
    if end - position < _SIZE_MAX:
        return _read_bytewise(position, limit)
    word = load_word(position)
    stops = ~word & TOP_BITS
    if stops != 0:
        value = gather_groups(word & (stops ^ (stops - 1)))
        position += (trailing_zeros(stops) >> 3) + 1
        return value, position if position <= limit else CUT_SHORT
    value = gather_groups(word)
    ninth = load_byte(position + 8)
    value |= (ninth & 0x7F) << 56
    position += 9
    if ninth >= 0x80:
        tenth = load_byte(position)
        if tenth >= 0x80:
            return 0, TOO_LONG if position < limit else CUT_SHORT
        value |= (tenth & 1) << 63
        position += 1
    return value, position if position <= limit else CUT_SHORT


@njit(nogil=True, cache=True, forceinline=True)
def _read_short(position: int, limit: int, value_max: int, fault: int) -> tuple[int, int]:
    """Read an unsigned integer of at most five bytes."""
    value = 0
    for place in range(_SHORT_SIZE_MAX):
        if position >= limit:
            return 0, CUT_SHORT
        byte = load_byte(position)
        position += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return (value, position) if value <= value_max else (0, fault)
    return 0, fault


@njit(nogil=True, cache=True)
def read_tag(position: int, limit: int) -> tuple[int, int]:
    """Return a field number times eight plus a wire type, and the address after it, or a fault."""
    return _read_short(position, limit, _TAG_MAX, BAD_TAG)


@njit(nogil=True, cache=True)
def read_length(position: int, limit: int) -> tuple[int, int]:
    """Return a length that fits below `limit`, and the address after it, or a fault."""
    length, position = _read_short(position, limit, _LENGTH_MAX, BAD_LENGTH)
    if position >= 0 and length > limit - position:
        return 0, CUT_SHORT
    return length, position
