"""JSON messages to columns: each is walked once, and either gives all its rows or none.

What is not as it should be is not judged here: the message is walked again by `topics.json.skip_kernel`,
which says where it is no JSON, and if it is, `topics.json.exact` says what does not fit its column.
"""

from numba import njit

from schemas.batch import Int64s
from topics.avro.header import HEADER_SIZE
from topics.avro.utf8 import valid_utf8
from topics.json.row_kernel import read_row
from topics.json.skip_kernel import skip_value
from topics.json.text_kernel import (
    CLOSE_ARRAY,
    COMMA,
    EMPTY,
    MESSAGE_END,
    NEXT_IN_ARRAY,
    NO_HEADER,
    NOT_UTF8,
    NULL_MESSAGE,
    OPEN_ARRAY,
    OPEN_OBJECT,
    TOO_LARGE,
    TOO_MANY_ROWS,
    VALUE,
    VALUE_OR_END,
    fault_at,
    is_byte_order_mark,
    skip_space,
)
from topics.json.value_kernel import CAPACITY, INDEX, NOT_READ, SCRATCH
from topics.raw_access import load_byte, load_word, store_half, store_word

# Why `decode_messages` stopped.
DONE = 0
FULL = 1  # the next message may have more rows than there is room for
UNREAD = 2  # the next message is JSON, and has something that must be looked at more closely


@njit(nogil=True, cache=True, forceinline=True)
def body_of(address: int, size: int, size_max: int, prefixed: bool) -> int:
    """Return where the JSON of a message begins, after its header and byte order mark, or a fault."""
    if size < 0:
        return fault_at(NULL_MESSAGE, address)
    if size > size_max:
        return fault_at(TOO_LARGE, address)
    end = address + size
    position = address
    if prefixed:
        if size < HEADER_SIZE or load_byte(position) != 0:
            return fault_at(NO_HEADER, address)
        position += HEADER_SIZE
    if not valid_utf8(position, end - position):
        return fault_at(NOT_UTF8, address)
    if is_byte_order_mark(position, end):
        position += 3
    position = skip_space(position, end)
    return position if position < end else fault_at(EMPTY, address)


@njit(nogil=True, cache=True)
def _read_message(position: int, end: int, first: int, rows_max: int, state: int) -> tuple[int, int, int]:
    """Read a message's rows from row `first` on; `position` is that of its value.

    Returns the position after it, or a fault, the number of its rows, and DONE where they are read, else why
    not.  Where FULL it was not read to its end.
    """
    listed = load_byte(position) == OPEN_ARRAY
    depth = 1 if listed else 0
    expected = VALUE
    items = 0
    why = DONE
    left = True
    if listed:
        position = skip_space(position + 1, end)
        expected = VALUE_OR_END
        if position < end and load_byte(position) == CLOSE_ARRAY:
            position = skip_space(position + 1, end)
            left = False
    while left:
        if items >= rows_max:
            return fault_at(TOO_MANY_ROWS, position), items, why
        stop = NOT_READ
        if why == DONE and position < end and load_byte(position) == OPEN_OBJECT:
            if first + items >= load_word(state + 8 * CAPACITY):
                return position, items, FULL
            stop = read_row(position, end, depth, first + items, state)
        if stop >= 0:
            store_half(load_word(state + 8 * INDEX) + 4 * (first + items), items)
        else:
            why = UNREAD
            stop = skip_value(position, end, depth)
            if stop < 0:
                same = stop == fault_at(VALUE, position)
                return (fault_at(expected, position) if same else stop), items, why
        items += 1
        position = skip_space(stop, end)
        left = False
        if listed:
            byte = load_byte(position) if position < end else 0
            if byte != COMMA and byte != CLOSE_ARRAY:
                return fault_at(NEXT_IN_ARRAY, position), items, why
            position = skip_space(position + 1, end)
            expected = VALUE
            left = byte == COMMA
    return (position if position == end else fault_at(MESSAGE_END, position)), items, why


@njit(nogil=True, cache=True)
def decode_messages(
    message: int,
    row: int,
    address: Int64s,
    size: Int64s,
    size_max: int,
    rows_max: int,
    prefixed: bool,
    state: int,
    rows_of: Int64s,
    fault: Int64s,
) -> tuple[int, int, int]:
    """Decode messages from `message` on into rows from `row` on.

    Returns the first message and row that are not written, and why.

    Stops before a message that does not fit into the room (FULL), and before one that is to be looked at more
    closely (UNREAD), of which `rows_of` counts the rows.  A message either gives all its rows (`rows_of`
    counts them) or none, and then `fault` says why.

    `state` is the address of STATE_SIZE words, which say where all tables are.
    """
    while message < address.size:
        scratch = load_word(state + 8 * SCRATCH)
        position = body_of(address[message], size[message], size_max, prefixed)
        items = 0
        why = DONE
        if position >= 0:
            end = address[message] + size[message]
            position, items, why = _read_message(position, end, row, rows_max, state)
        if position < 0:
            fault[message], rows_of[message] = position, 0
            store_word(state + 8 * SCRATCH, scratch)
        else:
            rows_of[message] = items
            if why != DONE:
                store_word(state + 8 * SCRATCH, scratch)
                return message, row, why
            row += items
        message += 1
    return message, row, DONE
