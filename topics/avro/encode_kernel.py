"""Columns to Avro bodies, as one loop over rows into one buffer that is surely large enough.

There is no pass for sizes: the caller bounds what the rows can take (`topics.avro.encode`), and memory that
is never written costs nothing.  Columns are read where Arrow has them.
"""

from numba import njit

from schemas.batch import Int64s
from topics.avro.varint import write_varint
from topics.raw_access import (
    copy_bytes,
    leading_zeros,
    load_byte,
    load_half,
    load_word,
    store_byte,
    store_half,
    store_word,
)

# How a column's values lie in Arrow, and what is written for each.
NUMBER = 0  # int64 -> zigzag varint
FLAG = 1  # a byte, 0 or 1 -> the same
HALF = 2  # 4 bytes -> the same
WORD = 3  # 8 bytes -> the same
SPAN = 4  # bytes between int64 offsets -> length, bytes
FIXED = 5  # `size` bytes -> the same
DECIMAL = 6  # 16 bytes, little endian -> length, the fewest big-endian bytes
LIST = 7  # items between int64 offsets, by the instruction at `values` -> count, items, 0

# The columns of the instruction table; addresses are 0 where there is nothing to point at.
OPERATION, VALUES, OFFSETS, VALID, SIZE, NULL_BRANCH = range(6)
INSTRUCTION_WIDTH = 6
NO_UNION = -1


@njit(nogil=True, cache=True)
def _write_decimal(position: int, address: int) -> int:
    """Write a 16-byte little-endian integer as its fewest big-endian bytes, with their number before."""
    low = load_word(address)
    high = load_word(address + 8)
    # Bits that differ from the sign, plus the sign bit itself, tell how many bytes are needed.
    sign = high >> 63
    short = high == low >> 63
    bits = 65 - leading_zeros(low ^ sign) if short else 129 - leading_zeros(high ^ sign)
    size = (bits + 7) >> 3
    position = write_varint(position, size)
    for place in range(size):
        store_byte(position + place, load_byte(address + size - 1 - place))
    return position + size


@njit(nogil=True, cache=True, forceinline=True)
def _write_value(position: int, row: int, instruction: int) -> int:
    """Write one value that is neither null nor a list; return the address after it."""
    operation = load_word(instruction + 8 * OPERATION)
    values = load_word(instruction + 8 * VALUES)
    if operation == NUMBER:
        return write_varint(position, load_word(values + 8 * row))
    if operation == WORD:
        store_word(position, load_word(values + 8 * row))
        return position + 8
    if operation == SPAN:
        start = load_word(load_word(instruction + 8 * OFFSETS) + 8 * row)
        size = load_word(load_word(instruction + 8 * OFFSETS) + 8 * row + 8) - start
        position = write_varint(position, size)
        copy_bytes(position, values + start, size)
        return position + size
    if operation == HALF:
        store_half(position, load_half(values + 4 * row))
        return position + 4
    if operation == FLAG:
        store_byte(position, load_byte(values + row))
        return position + 1
    if operation == FIXED:
        fixed = load_word(instruction + 8 * SIZE)
        copy_bytes(position, values + fixed * row, fixed)
        return position + fixed
    return _write_decimal(position, values + 16 * row)


@njit(nogil=True, cache=True, forceinline=True)
def _write_branch(position: int, row: int, instruction: int) -> tuple[int, bool]:
    """Write the branch of a value in a union; return the address after it and whether a value follows."""
    branch = load_word(instruction + 8 * NULL_BRANCH)
    if branch == NO_UNION:
        return position, True
    valid = load_word(instruction + 8 * VALID)
    if valid != 0 and load_byte(valid + row) == 0:
        store_byte(position, 2 * branch)
        return position + 1, False
    store_byte(position, 2 - 2 * branch)
    return position + 1, True


@njit(nogil=True, cache=True)
def _write_list(position: int, row: int, instruction: int) -> int:
    """Write a list as one block of its items; return the address after it."""
    offset = load_word(instruction + 8 * OFFSETS) + 8 * row
    items = load_word(instruction + 8 * VALUES)
    first = load_word(offset)
    last = load_word(offset + 8)
    if last > first:
        position = write_varint(position, last - first)
    for item in range(first, last):
        position, present = _write_branch(position, item, items)
        if present:
            position = _write_value(position, item, items)
    store_byte(position, 0)
    return position + 1


@njit(nogil=True, cache=True)
def encode_messages(
    cuts: Int64s, program: int, fields: int, header: int, blocks: bool, data: int, starts: Int64s
) -> None:
    """Write message i from the rows [cuts[i], cuts[i + 1]) and where it starts to `starts[i]`.

    `program` is the address of `fields` instructions, `header` the five bytes before each body as they lie in
    memory, `data` the address of a buffer that holds all messages and WRITE_AHEAD bytes more.  With `blocks`
    a message is an array of its rows; without, every cut is one row long.
    """
    position = data
    for message in range(cuts.size - 1):
        starts[message] = position - data
        store_word(position, header)
        position += 5
        if blocks and cuts[message + 1] > cuts[message]:
            position = write_varint(position, cuts[message + 1] - cuts[message])
        for row in range(cuts[message], cuts[message + 1]):
            for field in range(fields):
                instruction = program + 8 * INSTRUCTION_WIDTH * field
                position, present = _write_branch(position, row, instruction)
                if not present:
                    continue
                if load_word(instruction + 8 * OPERATION) == LIST:
                    position = _write_list(position, row, instruction)
                else:
                    position = _write_value(position, row, instruction)
        if blocks:
            store_byte(position, 0)
            position += 1
    starts[cuts.size - 1] = position - data
