"""Avro bodies to columns, as loops over bytes: a message is read where it lies, once, never beyond its end.

A writer's schema is a table of instructions, one per field in wire order (`topics.avro.plan`); a row is one
walk over that table.  What a value needs beyond eight bytes (text, fixed) is not copied here: the walk notes
where it lies, and `topics.avro.column_kernel` gathers it once the sizes are known.
"""

from numba import njit

from schemas.batch import Int32s, Int64s
from topics.avro.header import HEADER_SIZE
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
OPERATION, SLOT, VALID, UNION, SIZE, LOWER, UPPER, LOWER_LOW, UPPER_LOW = range(9)
INSTRUCTION_WIDTH = 9
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
FAULTS = 32

# What `read_ids` says of a value that names no schema.
NULL = -1
NO_HEADER = -2
NO_MAGIC = -3
TOO_LARGE = -4

_SIGN = -(2**63)


@njit(nogil=True, cache=True)
def read_ids(address: Int64s, size: Int64s, size_max: int, ids: Int64s) -> None:
    """For each value write the schema id of its header, or NULL, NO_HEADER, NO_MAGIC or TOO_LARGE."""
    for i in range(address.size):
        if size[i] < 0:
            ids[i] = NULL
        elif size[i] > size_max:
            ids[i] = TOO_LARGE
        elif size[i] < HEADER_SIZE:
            ids[i] = NO_HEADER
        elif load_byte(address[i]) != 0:
            ids[i] = NO_MAGIC
        else:
            ids[i] = (
                (load_byte(address[i] + 1) << 24)
                | (load_byte(address[i] + 2) << 16)
                | (load_byte(address[i] + 3) << 8)
                | load_byte(address[i] + 4)
            )


@njit(nogil=True, cache=True)
def distinct_ids(ids: Int64s, distinct: Int64s) -> int:
    """Write the distinct `ids` in order of appearance; return their number, or -1 where room is short.

    Messages of one schema come in stretches, so the search is for the first of each.
    """
    count = 0
    last = 0
    for i in range(ids.size):
        if count and distinct[last] == ids[i]:
            continue
        last = 0
        while last < count and distinct[last] != ids[i]:
            last += 1
        if last == count:
            if count == distinct.size:
                return -1
            distinct[count] = ids[i]
            count += 1
    return count


@njit(nogil=True, cache=True)
def estimate_rows(address: Int64s, size: Int64s, row_size_min: int, rows_max: int) -> int:
    """Return how many rows block messages promise in their first count, capped by what can fit."""
    rows = 0
    for i in range(address.size):
        end = address[i] + size[i]
        count, position = read_varint(address[i] + HEADER_SIZE, end)
        if position > 0:
            fits = min((end - position) // row_size_min, rows_max)
            rows += fits if count < 0 else min(count, fits)
    return rows


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
def _read_row(
    position: int,
    end: int,
    row: int,
    program: int,
    fields: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
) -> int:
    """Read one record; return the address after it, or a fault less FAULTS for each field before."""
    for field in range(fields):
        instruction = program + 8 * INSTRUCTION_WIDTH * field
        union = load_word(instruction + 8 * UNION)
        validity = load_word(instruction + 8 * VALID)
        if union != NO_UNION:
            branch, position = read_varint(position, end)
            if position < 0:
                return position - field * FAULTS
            if (branch != 0 and branch != 1) or (branch == 1 and union > NULL_SECOND):
                return BAD_BRANCH - field * FAULTS
            if (branch == 0 and union == NULL_FIRST) or (branch == 1 and union == NULL_SECOND):
                if validity == REQUIRED:
                    return NULL_VALUE - field * FAULTS
                if validity >= 0:
                    store_byte(valid + validity * capacity + row, 0)
                _write_null(row, instruction, words, spans, capacity)
                continue
        position = _read_value(position, end, row, instruction, words, spans, capacity)
        if position < 0:
            return position - field * FAULTS
        if validity >= 0:
            store_byte(valid + validity * capacity + row, 1)
    return position


@njit(nogil=True, cache=True)
def _read_count(position: int, end: int, row_size_min: int) -> tuple[int, int, int]:
    """Return the next array block's rows, the address of the first, and the block's end where it says so."""
    count, position = read_varint(position, end)
    if position < 0:
        return 0, NO_COUNT, 0
    block_end = 0
    if count < 0:
        size, position = read_varint(position, end)
        if position < 0:
            return 0, NO_COUNT, 0
        if size < 0 or size > end - position:
            return 0, BAD_BLOCK_SIZE, 0
        block_end = position + size
        count = -count
    # The second comparison also catches the one count whose negative does not exist.
    if count > (end - position) // row_size_min or count < 0:
        return 0, BAD_COUNT, 0
    return count, position, block_end


@njit(nogil=True, cache=True)
def decode_messages(
    message: int,
    row: int,
    address: Int64s,
    size: Int64s,
    blocks: bool,
    row_size_min: int,
    rows_max: int,
    program: int,
    fields: int,
    words: int,
    spans: int,
    valid: int,
    index: Int32s,
    rows_of: Int64s,
    fault: Int64s,
) -> tuple[int, int]:
    """Decode messages from `message` on into rows from `row` on; return the first of each not written.

    Stops before the message that does not fit below `index.size`; otherwise all are done.  A message either
    gives all its rows (`rows_of` counts them) or none, and then `fault` says why and `rows_of` at which row.

    `program` is the address of `fields` instructions; `words`, `spans` and `valid` are the addresses of
    C-ordered tables of int64, int64 and uint8 with `index.size` columns, and the program names rows that they
    have.  They are no arrays because those, passed on, are reference counted: the loop took twice as long.
    """
    capacity = index.size
    while message < address.size:
        position = address[message] + HEADER_SIZE
        end = address[message] + size[message]
        first = row
        left = 1
        block_end = 0
        if blocks:
            left, position, block_end = _read_count(position, end, row_size_min)
        while left > 0 and position > 0:
            if row - first >= rows_max:
                position = TOO_MANY_ROWS
                break
            if row >= capacity:
                return message, first
            position = _read_row(position, end, row, program, fields, words, spans, valid, capacity)
            if position < 0:
                break
            index[row] = row - first
            row += 1
            left -= 1
            if blocks and left == 0:
                if block_end > 0 and position != block_end:
                    position = BAD_BLOCK_SIZE
                else:
                    left, position, block_end = _read_count(position, end, row_size_min)
        if position > 0 and position != end:
            position = TRAILING_BYTES
        rows_of[message], fault[message] = row - first, min(position, 0)
        row = first if position < 0 else row
        message += 1
    return message, row
