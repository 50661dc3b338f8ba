"""Avro values as loops over bytes: a value is read where it lies, once, never beyond its message's end.

What a value needs beyond eight bytes (text, fixed) is not copied here: it is noted where it lies, and
`topics.column_kernel` gathers it once the sizes are known.
"""

from numba import njit

from topics.avro.types import NO_UNION, NULL_FIRST, NULL_SECOND
from topics.avro.utf8 import valid_utf8
from topics.avro.varint import CUT_SHORT, read_varint
from topics.raw_access import load_byte, load_half, load_word, store_byte, store_word

# What a field's value looks like on the wire, and what becomes of it.
VARINT = 0  # a zigzag integer between `lower` and `upper`
BOOLEAN = 1  # one byte, 0 or 1
HALF = 2  # 4 bytes: a float
WORD = 3  # 8 bytes: a double, or a uint64 as fixed(8)
BYTES = 4  # a length and that many bytes
TEXT = 5  # the same, and valid UTF-8
FIXED = 6  # `size` bytes
SYMBOL = 7  # an enum's index, below `upper` + 1
DECIMAL = 8  # a length and a big-endian integer of at most 16 bytes, between the limits
FIXED_DECIMAL = 9  # the same in `size` bytes

# The columns of the instruction table.
OPERATION, SLOT, VALID, UNION, SIZE, LOWER, UPPER, LOWER_LOW, UPPER_LOW, PROMOTION = range(10)
INSTRUCTION_WIDTH = 10
NOWHERE = -1  # a slot or validity that does not exist: the value is read and dropped
REQUIRED = -2  # a validity that does not exist and must: null is a fault

# Faults go on from those of `topics.avro.varint`; a position below 0 is one of them, less FAULTS for each
# field before the one at fault.
BAD_BRANCH = -3
NULL_VALUE = -4
OUT_OF_RANGE = -5
BAD_BOOLEAN = -6
NEGATIVE_LENGTH = -7
BAD_TEXT = -8
BAD_DECIMAL = -9
TRAILING_BYTES = -10
BAD_COUNT = -11
TOO_MANY_ROWS = -12
BAD_BLOCK_SIZE = -13
NO_COUNT = -14
BAD_MATCH = -15
TOO_DEEP = -16
BAD_ITEMS = -17
BAD_ITEMS_SIZE = -18
BAD_ITEMS_END = -19
FAULTS = 32

_SIGN = -(2**63)


@njit(nogil=True, cache=True)
def _read_decimal(position: int, size: int, row: int, instruction: int, words: int, capacity: int) -> bool:
    """Write a big-endian integer of `size` bytes as two words; whether it lies between the limits."""
    if size < 1 or size > 16:
        return False
    low = 0
    high = 0
    if load_byte(position) >= 0x80:
        low = -1
        high = -1
    for place in range(size):
        high = (high << 8) | ((low >> 56) & 0xFF)
        low = (low << 8) | load_byte(position + place)
    lower = load_word(instruction + 8 * LOWER)
    upper = load_word(instruction + 8 * UPPER)
    if high < lower or high > upper:
        return False
    # The low words compare unsigned: turning the sign bit makes a signed comparison say the same.
    if high == lower and (low ^ _SIGN) < (load_word(instruction + 8 * LOWER_LOW) ^ _SIGN):
        return False
    if high == upper and (low ^ _SIGN) > (load_word(instruction + 8 * UPPER_LOW) ^ _SIGN):
        return False
    slot = load_word(instruction + 8 * SLOT)
    if slot >= 0:
        store_word(words + 8 * (slot * capacity + row), low)
        store_word(words + 8 * (slot * capacity + capacity + row), high)
    return True


@njit(nogil=True, cache=True)
def _write_null(row: int, instruction: int, words: int, spans: int, capacity: int) -> None:
    """Leave zeros where a value would be, so that equal rows are equal bytes."""
    slot = load_word(instruction + 8 * SLOT)
    operation = load_word(instruction + 8 * OPERATION)
    if slot < 0:
        return
    cell = 8 * (slot * capacity + row)
    if operation in (BYTES, TEXT, FIXED, SYMBOL):
        store_word(spans + cell, 0)
        store_word(spans + cell + 8 * capacity, 0)
        return
    store_word(words + cell, 0)
    if operation in (DECIMAL, FIXED_DECIMAL):
        store_word(words + cell + 8 * capacity, 0)


@njit(nogil=True, cache=True, forceinline=True)
def _read_sized(
    position: int, end: int, row: int, instruction: int, words: int, spans: int, capacity: int
) -> int:
    """Read a value that has a size, its own or its schema's; return the address after it, or a fault."""
    operation = load_word(instruction + 8 * OPERATION)
    size = load_word(instruction + 8 * SIZE)
    if operation in (BYTES, TEXT, DECIMAL):
        size, position = read_varint(position, end)
        if position < 0:
            return position
        if size < 0:
            return NEGATIVE_LENGTH
    if size > end - position:
        return CUT_SHORT
    if operation in (DECIMAL, FIXED_DECIMAL):
        fits = _read_decimal(position, size, row, instruction, words, capacity)
        return position + size if fits else BAD_DECIMAL
    if operation == TEXT and not valid_utf8(position, size):
        return BAD_TEXT
    slot = load_word(instruction + 8 * SLOT)
    if slot >= 0:
        store_word(spans + 8 * (slot * capacity + row), position)
        store_word(spans + 8 * (slot * capacity + capacity + row), size)
    return position + size


@njit(nogil=True, cache=True, forceinline=True)
def _read_value(
    position: int, end: int, row: int, instruction: int, words: int, spans: int, capacity: int
) -> int:
    """Read one value; return the address after it, or a fault."""
    operation = load_word(instruction + 8 * OPERATION)
    slot = load_word(instruction + 8 * SLOT)
    cell = 8 * (slot * capacity + row)
    if operation in (VARINT, SYMBOL):
        value, position = read_varint(position, end)
        if position < 0:
            return position
        if value < load_word(instruction + 8 * LOWER) or value > load_word(instruction + 8 * UPPER):
            return OUT_OF_RANGE
        if slot >= 0 and operation == VARINT:
            store_word(words + cell, value)
        elif slot >= 0:
            store_word(spans + cell, value)
            store_word(spans + cell + 8 * capacity, 1)
        return position
    if operation == WORD:
        if end - position < 8:
            return CUT_SHORT
        if slot >= 0:
            store_word(words + cell, load_word(position))
        return position + 8
    if operation == HALF:
        if end - position < 4:
            return CUT_SHORT
        if slot >= 0:
            store_word(words + cell, load_half(position))
        return position + 4
    if operation == BOOLEAN:
        if position >= end:
            return CUT_SHORT
        byte = load_byte(position)
        if byte > 1:
            return BAD_BOOLEAN
        if slot >= 0:
            store_word(words + cell, byte)
        return position + 1
    return _read_sized(position, end, row, instruction, words, spans, capacity)


@njit(nogil=True, cache=True, forceinline=True)
def read_field(
    position: int, end: int, row: int, instruction: int, words: int, spans: int, valid: int, capacity: int
) -> int:
    """Read a value, or the null that its union says it is; return the address after it, or a fault."""
    union = load_word(instruction + 8 * UNION)
    validity = load_word(instruction + 8 * VALID)
    if union != NO_UNION:
        branch, position = read_varint(position, end)
        if position < 0:
            return position
        if (branch != 0 and branch != 1) or (branch == 1 and union > NULL_SECOND):
            return BAD_BRANCH
        if (branch == 0 and union == NULL_FIRST) or (branch == 1 and union == NULL_SECOND):
            if validity == REQUIRED:
                return NULL_VALUE
            if validity >= 0:
                store_byte(valid + validity * capacity + row, 0)
            _write_null(row, instruction, words, spans, capacity)
            return position
    position = _read_value(position, end, row, instruction, words, spans, capacity)
    if position >= 0 and validity >= 0:
        store_byte(valid + validity * capacity + row, 1)
    return position
