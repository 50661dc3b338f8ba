"""Protobuf values as loops over bytes: a value is read where it lies, never beyond its message's end.

Text and bytes are not copied here: it is noted where they lie, and `topics.column_kernel` gathers them.
"""

from numba import njit

from topics.avro.utf8 import valid_utf8
from topics.protobuf.varint import CUT_SHORT, read_length, read_varint
from topics.raw_access import load_half, load_word, store_byte, store_word

# What becomes of a field's value.  All up to ENUM are varints.
VARINT = 0  # all 64 bits
INT32 = 1  # the low 32 bits, signed
UINT32 = 2  # the low 32 bits
ZIGZAG32 = 3
ZIGZAG64 = 4
BOOLEAN = 5  # whether any bit is set
ENUM = 6  # the text of a number, from a table
WORD = 7  # 8 bytes: a double or a whole number
HALF = 8  # 4 bytes: a float or an unsigned number
SIGNED_HALF = 9  # 4 bytes, signed
BYTES = 10  # a length and that many bytes
TEXT = 11  # the same, and valid UTF-8
MESSAGE = 12  # a length and the bytes of a message, whose node is the instruction's EXTRA
SKIP = 13  # nothing, save that it clears its oneof
WIDE_HALF = 14  # 4 bytes: a float, as the double that is equal to it

# The words of an instruction.  EXTRA is the address of a node or of an enum's table, NEXT that of another
# instruction for the same value, or 0.
OPERATION, SLOT, COLUMN, EXTRA, CLEAR, CLEAR_COUNT, NEXT = range(7)
INSTRUCTION_WIDTH = 7
# The words of an enum's table: a dense one of addresses and sizes from LOWER on, or sorted triples with the
# number before them.
ENUM_IS_DENSE, ENUM_LOWER, ENUM_COUNT, ENUM_ENTRIES = range(4)
ENUM_WIDTH = 4
UNNAMED = -1  # the size of an enum's text that is not in its table; the number stands where its address would

# Faults go on from those of `topics.protobuf.varint`.
BAD_TEXT = -5


@njit(nogil=True, cache=True)
def _write_symbol(table: int, number: int, place: int, capacity: int) -> None:
    """Write the address and size of an enum's text, or the number and UNNAMED."""
    count = load_word(table + 8 * ENUM_COUNT)
    entries = load_word(table + 8 * ENUM_ENTRIES)
    store_word(place, number)
    store_word(place + 8 * capacity, UNNAMED)
    if load_word(table + 8 * ENUM_IS_DENSE) != 0:
        index = number - load_word(table + 8 * ENUM_LOWER)
        if index >= 0 and index < count and load_word(entries + 16 * index + 8) != UNNAMED:
            store_word(place, load_word(entries + 16 * index))
            store_word(place + 8 * capacity, load_word(entries + 16 * index + 8))
        return
    lower = 0
    while lower < count:
        middle = (lower + count) >> 1
        other = load_word(entries + 24 * middle)
        if other == number:
            store_word(place, load_word(entries + 24 * middle + 8))
            store_word(place + 8 * capacity, load_word(entries + 24 * middle + 16))
            return
        if other < number:
            lower = middle + 1
        else:
            count = middle


@njit(nogil=True, cache=True, forceinline=True)
def _signed(word: int) -> int:
    """Return the low 32 bits as a signed number."""
    word = word & 0xFFFFFFFF
    return (word ^ 0x80000000) - 0x80000000


@njit(nogil=True, cache=True, forceinline=True)
def _widened(half: int) -> int:
    """Return the bits of the double that is equal to a float, given as its bits."""
    sign = (half >> 31) << 63
    exponent = (half >> 23) & 0xFF
    fraction = half & 0x7FFFFF
    if exponent == 0xFF:  # infinite, or not a number, of which a parser keeps the sign and the payload
        return sign | (0x7FF << 52) | (fraction << 29)
    if exponent == 0:
        if fraction == 0:
            return sign
        exponent = 1
        while fraction & 0x800000 == 0:  # below the smallest normal float, and yet a normal double
            fraction = fraction << 1
            exponent -= 1
        fraction = fraction & 0x7FFFFF
    return sign | ((exponent + 896) << 52) | (fraction << 29)


@njit(nogil=True, cache=True, forceinline=True)
def _read_number(
    position: int,
    limit: int,
    end: int,
    operation: int,
    instruction: int,
    place: int,
    span: int,
    capacity: int,
) -> int:
    """Read a varint; return the address after it, or a fault."""
    value, position = read_varint(position, limit, end)
    if position < 0:
        return position
    if operation == ENUM:
        _write_symbol(load_word(instruction + 8 * EXTRA), _signed(value), span, capacity)
        return position
    if operation == INT32:
        value = _signed(value)
    elif operation == UINT32:
        value = value & 0xFFFFFFFF
    elif operation == ZIGZAG32:
        value = _signed(((value >> 1) & 0x7FFFFFFF) ^ -(value & 1))
    elif operation == ZIGZAG64:
        value = ((value >> 1) & 0x7FFFFFFFFFFFFFFF) ^ -(value & 1)
    elif operation == BOOLEAN:
        value = 1 if value != 0 else 0
    store_word(place, value)
    return position


@njit(nogil=True, cache=True, forceinline=True)
def _read_one(
    position: int, limit: int, end: int, row: int, instruction: int, words: int, spans: int, capacity: int
) -> int:
    """Read a value to where one instruction says; return the address after it, or a fault."""
    operation = load_word(instruction + 8 * OPERATION)
    place = 8 * (load_word(instruction + 8 * SLOT) * capacity + row)
    if operation <= ENUM:
        return _read_number(
            position, limit, end, operation, instruction, words + place, spans + place, capacity
        )
    if operation == WORD:
        if limit - position < 8:
            return CUT_SHORT
        store_word(words + place, load_word(position))
        return position + 8
    if operation in (BYTES, TEXT):
        length, position = read_length(position, limit)
        if position < 0:
            return position
        if operation == TEXT and not valid_utf8(position, length):
            return BAD_TEXT
        store_word(spans + place, position)
        store_word(spans + place + 8 * capacity, length)
        return position + length
    if limit - position < 4:
        return CUT_SHORT
    half = load_half(position)
    if operation == SIGNED_HALF:
        half = _signed(half)
    elif operation == WIDE_HALF:
        half = _widened(half)
    store_word(words + place, half)
    return position + 4


@njit(nogil=True, cache=True, forceinline=True)
def read_value(
    position: int,
    limit: int,
    end: int,
    row: int,
    instruction: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
) -> int:
    """Read a value to all columns that want it; return the address after it, or a fault."""
    first = position
    while True:
        position = _read_one(first, limit, end, row, instruction, words, spans, capacity)
        column = load_word(instruction + 8 * COLUMN)
        if column >= 0:
            store_byte(valid + column * capacity + row, 1)
        instruction = load_word(instruction + 8 * NEXT)
        if instruction == 0 or position < 0:
            return position
