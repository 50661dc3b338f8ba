"""Avro bodies to columns: messages are walked row by row, and either give all their rows or none.

A writer's schema is a table of instructions (`topics.avro.plan`).  Where its record is flat there is one per
field in wire order, and a row is one walk over the table; else `topics.avro.nested_kernel` runs it.
"""

from numba import njit

from schemas.batch import Int32s, Int64s
from topics.avro.header import HEADER_SIZE
from topics.avro.nested_kernel import read_nested
from topics.avro.value_kernel import (
    BAD_BLOCK_SIZE,
    BAD_COUNT,
    FAULTS,
    INSTRUCTION_WIDTH,
    NO_COUNT,
    TOO_MANY_ROWS,
    TRAILING_BYTES,
    read_field,
)
from topics.avro.varint import read_varint
from topics.raw_access import load_byte

# What `read_ids` says of a value that names no schema.
NULL = -1
NO_HEADER = -2
NO_MAGIC = -3
TOO_LARGE = -4


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
def check_sizes(size: Int64s, size_max: int, ids: Int64s) -> None:
    """For each value without a header write 0, the id of its schema, or NULL or TOO_LARGE."""
    for i in range(size.size):
        ids[i] = NULL if size[i] < 0 else TOO_LARGE if size[i] > size_max else 0


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


@njit(nogil=True, cache=True, forceinline=True)
def _read_row(
    position: int,
    end: int,
    row: int,
    program: int,
    fields: int,
    stack: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
) -> int:
    """Read one record; return the address after it, or a fault less FAULTS for each field before."""
    if stack != 0:
        return read_nested(position, end, row, program, words, spans, valid, capacity, stack)
    for field in range(fields):
        instruction = program + 8 * INSTRUCTION_WIDTH * field
        position = read_field(position, end, row, instruction, words, spans, valid, capacity)
        if position < 0:
            return position - field * FAULTS
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
    stack: int,
    words: int,
    spans: int,
    valid: int,
    index: Int32s,
    rows_of: Int64s,
    fault: Int64s,
) -> tuple[int, int]:
    """Decode messages from `message` on into rows from `row` on; return the first of each not written.

    Stops before the message that does not fit below `index.size`.  A message either gives all its rows
    (`rows_of` counts them) or none, and then `fault` says why and `rows_of` at which row.

    `program` is the address of `fields` instructions, or of a nested program, which has a `stack` (else 0).
    `words`, `spans` and `valid` are the addresses of C-ordered tables of int64, int64 and uint8 with
    `index.size` columns.  Arrays, passed on, are reference counted: the loop took twice as long.
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
            position = _read_row(position, end, row, program, fields, stack, words, spans, valid, capacity)
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
