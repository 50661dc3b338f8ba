"""Avro's variable-length integers in a handful of instructions, read and written eight bytes at a time.

An int or long is zigzag coded and cut into groups of seven bits, lowest first; a set top bit says that
another byte follows.  Nanoseconds since the epoch take nine bytes, so the long forms are the common ones.
"""

from numba import njit

from topics.raw_access import leading_zeros, load_byte, load_word, store_byte, store_word, trailing_zeros

CUT_SHORT = -1  # the message ends inside a value
TOO_LONG = -2  # a variable-length integer of more than 64 bits

VARINT_SIZE_MAX = 10
# What `write_varint` may store beyond the place it is given.
WRITE_AHEAD = 16

TOP_BITS = -0x7F7F7F7F7F7F7F80  # 0x80 in every byte
_POSITIVE = 0x7FFFFFFFFFFFFFFF


@njit(nogil=True, cache=True, forceinline=True)
def gather_groups(word: int) -> int:
    """Close up the low seven bits of eight bytes to 56 bits."""
    word = word & 0x7F7F7F7F7F7F7F7F
    word = (word & 0x007F007F007F007F) | ((word & 0x7F007F007F007F00) >> 1)
    word = (word & 0x00003FFF00003FFF) | ((word & 0x3FFF00003FFF0000) >> 2)
    return (word & 0x000000000FFFFFFF) | ((word & 0x0FFFFFFF00000000) >> 4)


@njit(nogil=True, cache=True, forceinline=True)
def _spread_groups(word: int) -> int:
    """Spread 56 bits over the low seven bits of eight bytes."""
    word = (word & 0x000000000FFFFFFF) | ((word & 0x00FFFFFFF0000000) << 4)
    word = (word & 0x00003FFF00003FFF) | ((word & 0x0FFFC0000FFFC000) << 2)
    return (word & 0x007F007F007F007F) | ((word & 0x3F803F803F803F80) << 1)


@njit(nogil=True, cache=True)
def _read_bytewise(position: int, end: int) -> tuple[int, int]:
    """Read a varint near the end of a message, where eight bytes can no longer be loaded at once."""
    value = 0
    for place in range(VARINT_SIZE_MAX):
        if position >= end:
            return 0, CUT_SHORT
        byte = load_byte(position)
        position += 1
        if place == VARINT_SIZE_MAX - 1 and byte > 1:
            return 0, TOO_LONG
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            break
    return ((value >> 1) & _POSITIVE) ^ -(value & 1), position


@njit(nogil=True, cache=True, forceinline=True)
def read_varint(position: int, end: int) -> tuple[int, int]:
    """Return a zigzag integer and the address after it, or 0 and CUT_SHORT or TOO_LONG.

    Never reads at or beyond `end`.
    """
    if end - position < VARINT_SIZE_MAX:
        return _read_bytewise(position, end)
    word = load_word(position)
    if word & 0x80 == 0:
        value = word & 0x7F
        return (value >> 1) ^ -(value & 1), position + 1
    stops = ~word & TOP_BITS
    if stops != 0:
        value = gather_groups(word & (stops ^ (stops - 1)))
        return (value >> 1) ^ -(value & 1), position + (trailing_zeros(stops) >> 3) + 1
    value = gather_groups(word)
    ninth = load_byte(position + 8)
    value |= (ninth & 0x7F) << 56
    position += 9
    if ninth >= 0x80:
        tenth = load_byte(position)
        if tenth > 1:
            return 0, TOO_LONG
        value |= tenth << 63
        position += 1
    return ((value >> 1) & _POSITIVE) ^ -(value & 1), position


@njit(nogil=True, cache=True, forceinline=True)
def write_varint(position: int, number: int) -> int:
    """Write a zigzag integer and return the address after it; may touch WRITE_AHEAD bytes from `position`."""
    value = (number << 1) ^ (number >> 63)
    if value >= 0 and value < 0x80:
        store_byte(position, value)
        return position + 1
    groups = _spread_groups(value & 0x00FFFFFFFFFFFFFF)
    above = (value >> 56) & 0xFF
    if above == 0:
        # A continuation bit in every byte below the last one that holds anything.
        last = _last_byte(groups)
        store_word(position, groups | (TOP_BITS & ((1 << (8 * last)) - 1)))
        return position + last + 1
    store_word(position, groups | TOP_BITS)
    if above < 0x80:
        store_byte(position + 8, above)
        return position + 9
    store_byte(position + 8, above)  # its top bit is set already: the tenth byte follows
    store_byte(position + 9, 1)
    return position + VARINT_SIZE_MAX


@njit(nogil=True, cache=True, forceinline=True)
def _last_byte(word: int) -> int:
    """Return the index of the highest byte that is not zero."""
    return (63 - leading_zeros(word)) >> 3
