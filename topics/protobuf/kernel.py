"""Protobuf messages to rows: one walk over the bytes of each message, which gives one row or none.

The message types that a path leads through are nodes, each with a table that leads from a tag to an
instruction (`topics.protobuf.program`).  What no instruction wants is skipped by its wire type.
"""

import numpy as np
from numba import njit

from schemas.batch import Int64s
from topics.protobuf.value_kernel import CLEAR, CLEAR_COUNT, EXTRA, MESSAGE, OPERATION, SKIP, read_value
from topics.protobuf.varint import CUT_SHORT, read_length, read_tag, read_varint
from topics.raw_access import load_byte, load_word, store_byte, store_word

# The words of a node: a dense table of instructions by tag, sorted pairs of a tag and an instruction for the
# tags beyond, and the cells that are written where the message is there.
NODE_NUMBER, DENSE, DENSE_SIZE, SORTED, SORTED_SIZE, ENTER, ENTER_COUNT = range(7)
NODE_WIDTH = 7
# The words of a cell: what a column's row holds before its field comes.  A column of -1 has no validity.
CELL_COLUMN, CELL_IS_SPAN, CELL_SLOT, CELL_FIRST, CELL_SECOND, CELL_VALID = range(6)
CELL_WIDTH = 6
# The words for each time column: where its seconds (and then its time) and its nanoseconds are.
TIME_COLUMN, TIME_SECONDS, TIME_NANOS = range(3)
TIME_WIDTH = 3

# Faults go on from those of `topics.protobuf.value_kernel`.
BAD_NUMBER = -6
BAD_WIRE_TYPE = -7
END_GROUP = -8
TOO_DEEP = -9
BAD_TIME = -10

DEPTH_MAX = 100  # of messages and groups within each other, as parsers have it

# Words of scratch memory: where a fault is, then the frames of enclosing messages, then open groups.
FAULT_PLACE, FAULT_NUMBER, FAULT_NODE, FRAMES = range(4)
_GROUPS = FRAMES + 2 * (DEPTH_MAX + 1)
SCRATCH_SIZE = _GROUPS + DEPTH_MAX + 1

_NS_PER_S = 1_000_000_000
_SECONDS_MAX = 2**63 // _NS_PER_S  # in which int64 nanoseconds end
_NANOS_LAST = 2**63 % _NS_PER_S


@njit(nogil=True, cache=True)
def _skip_plain(position: int, limit: int, wire_type: int) -> int:
    """Return the address after a value that is no group, or a fault."""
    if wire_type == 0:
        _, position = read_varint(position, limit, limit)
        return position
    if wire_type == 1:
        return position + 8 if limit - position >= 8 else CUT_SHORT
    if wire_type == 2:
        length, position = read_length(position, limit)
        return position + length if position >= 0 else position
    if wire_type == 5:
        return position + 4 if limit - position >= 4 else CUT_SHORT
    return END_GROUP if wire_type == 4 else BAD_WIRE_TYPE


@njit(nogil=True, cache=True)
def skip_field(position: int, limit: int, tag: int, depth: int, scratch: int) -> int:
    """Return the address after the value of a tag, or a fault; groups count to the `depth` they stand in."""
    if tag < 8:
        return BAD_NUMBER
    if tag & 7 != 3:
        return _skip_plain(position, limit, tag & 7)
    groups = scratch + 8 * _GROUPS
    if depth >= DEPTH_MAX:
        return TOO_DEEP
    store_word(groups, tag >> 3)
    open_count = 1
    while open_count > 0:
        tag, position = read_tag(position, limit)
        if position < 0:
            return position
        if tag < 8:
            return BAD_NUMBER
        if tag & 7 == 3:
            if depth + open_count >= DEPTH_MAX:
                return TOO_DEEP
            store_word(groups + 8 * open_count, tag >> 3)
            open_count += 1
        elif tag & 7 == 4:
            open_count -= 1
            if load_word(groups + 8 * open_count) != tag >> 3:
                return END_GROUP
        else:
            position = _skip_plain(position, limit, tag & 7)
            if position < 0:
                return position
    return position


@njit(nogil=True, cache=True, forceinline=True)
def _find(node: int, tag: int) -> int:
    """Return the address of the instruction for a tag, or 0."""
    if tag < load_word(node + 8 * DENSE_SIZE):
        return load_word(load_word(node + 8 * DENSE) + 8 * tag)
    pairs = load_word(node + 8 * SORTED)
    lower = 0
    upper = load_word(node + 8 * SORTED_SIZE)
    while lower < upper:
        middle = (lower + upper) >> 1
        other = load_word(pairs + 16 * middle)
        if other == tag:
            return load_word(pairs + 16 * middle + 8)
        if other < tag:
            lower = middle + 1
        else:
            upper = middle
    return 0


@njit(nogil=True, cache=True)
def _write_cells(
    cells: int, count: int, row: int, words: int, spans: int, valid: int, capacity: int, only_absent: bool
) -> None:
    """Write what columns hold before their fields come; with `only_absent` where nothing is there yet."""
    for number in range(count):
        cell = cells + 8 * CELL_WIDTH * number
        column = load_word(cell + 8 * CELL_COLUMN)
        if only_absent and load_byte(valid + column * capacity + row) != 0:
            continue
        place = 8 * (load_word(cell + 8 * CELL_SLOT) * capacity + row)
        if load_word(cell + 8 * CELL_IS_SPAN) != 0:
            store_word(spans + place, load_word(cell + 8 * CELL_FIRST))
            store_word(spans + place + 8 * capacity, load_word(cell + 8 * CELL_SECOND))
        else:
            store_word(words + place, load_word(cell + 8 * CELL_FIRST))
        if column >= 0:
            store_byte(valid + column * capacity + row, load_word(cell + 8 * CELL_VALID))


@njit(nogil=True, cache=True, forceinline=True)
def _read_message(
    position: int,
    end: int,
    row: int,
    node: int,
    scratch: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
) -> int:
    """Read one message's fields into a row; return its end, or a fault with its place in `scratch`."""
    depth = 0
    limit = end
    while True:
        if position == limit:
            if depth == 0:
                return position
            depth -= 1
            frame = scratch + 8 * (FRAMES + 2 * depth)
            limit = load_word(frame)
            node = load_word(frame + 8)
            continue
        start = position
        tag = load_byte(position)
        position += 1
        if tag >= 0x80:
            tag, position = read_tag(start, limit)
        operation = SKIP
        instruction = 0
        if position >= 0:
            instruction = _find(node, tag)
            if instruction != 0:
                operation = load_word(instruction + 8 * OPERATION)
                clear_count = load_word(instruction + 8 * CLEAR_COUNT)
                if clear_count > 0:
                    clear = load_word(instruction + 8 * CLEAR)
                    _write_cells(clear, clear_count, row, words, spans, valid, capacity, False)
            if operation == MESSAGE:
                length, position = read_length(position, limit)
                if position >= 0:
                    frame = scratch + 8 * (FRAMES + 2 * depth)
                    store_word(frame, limit)
                    store_word(frame + 8, node)
                    depth += 1
                    limit = position + length
                    node = load_word(instruction + 8 * EXTRA)
                    enter, count = load_word(node + 8 * ENTER), load_word(node + 8 * ENTER_COUNT)
                    _write_cells(enter, count, row, words, spans, valid, capacity, True)
                    continue
            elif operation == SKIP:
                position = skip_field(position, limit, tag, depth, scratch)
            else:
                position = read_value(position, limit, end, row, instruction, words, spans, valid, capacity)
        if position < 0:
            store_word(scratch + 8 * FAULT_PLACE, start)
            store_word(scratch + 8 * FAULT_NUMBER, tag >> 3)
            store_word(scratch + 8 * FAULT_NODE, load_word(node + 8 * NODE_NUMBER))
            return position


@njit(nogil=True, cache=True)
def _join_times(times: int, count: int, row: int, words: int, capacity: int) -> int:
    """Put seconds and nanoseconds together; return -1, or the column whose time does not fit."""
    for number in range(count):
        entry = times + 8 * TIME_WIDTH * number
        place = words + 8 * (load_word(entry + 8 * TIME_SECONDS) * capacity + row)
        seconds = load_word(place)
        nanos = load_word(words + 8 * (load_word(entry + 8 * TIME_NANOS) * capacity + row))
        above = seconds > _SECONDS_MAX or (seconds == _SECONDS_MAX and nanos >= _NANOS_LAST)
        lowest = -_SECONDS_MAX - 1
        below = seconds < lowest or (seconds == lowest and nanos < _NS_PER_S - _NANOS_LAST)
        if nanos < 0 or nanos >= _NS_PER_S or above or below:
            return load_word(entry + 8 * TIME_COLUMN)
        store_word(place, seconds * _NS_PER_S + nanos)
    return -1


@njit(nogil=True, cache=True)
def read_messages(
    address: Int64s,
    size: Int64s,
    row: int,
    node: int,
    reset: int,
    reset_count: int,
    times: int,
    times_count: int,
    scratch: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
    rows_of: Int64s,
    faults: Int64s,
) -> int:
    """Read messages into rows from `row` on; return the row after the last.

    A message gives one row (`rows_of` says so), or none, and then `faults` (int64 [messages, 4]) has why, and
    at which byte, field number and node; of a time that does not fit the column instead of the number.

    `node` is the address of the outermost node, `reset` that of the cells each row begins with, `times` that
    of the time columns, `scratch` that of SCRATCH_SIZE words.  `words`, `spans` and `valid` are those of
    C-ordered tables of int64, int64 and uint8 with `capacity` columns, of which there are enough.
    """
    for message in range(address.size):
        _write_cells(reset, reset_count, row, words, spans, valid, capacity, False)
        position = address[message]
        end = position + size[message]
        position = _read_message(position, end, row, node, scratch, words, spans, valid, capacity)
        if position >= 0:
            column = _join_times(times, times_count, row, words, capacity)
            if column < 0:
                rows_of[message] = 1
                row += 1
                continue
            position = BAD_TIME
            store_word(scratch + 8 * FAULT_PLACE, address[message])
            store_word(scratch + 8 * FAULT_NUMBER, column)
        rows_of[message] = 0
        faults[message, 0] = position
        faults[message, 1] = load_word(scratch + 8 * FAULT_PLACE) - address[message]
        faults[message, 2] = load_word(scratch + 8 * FAULT_NUMBER)
        faults[message, 3] = load_word(scratch + 8 * FAULT_NODE)
    return row


def warm() -> None:
    """Compile or load the kernel, for no message."""
    none = np.empty(0, dtype=np.int64)
    read_messages(none, none, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, none, none.reshape(0, 4))
