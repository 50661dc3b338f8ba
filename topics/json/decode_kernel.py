"""JSON messages to columns: each is walked once, and either gives all its rows or none.

What is not as it should be is not judged here: the message is walked again by `topics.json.skip_kernel`,
which says where it is no JSON, and if it is, `topics.json.exact` says what does not fit its column.
"""

from numba import njit

from schemas.batch import Int32s, Int64s
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
from topics.json.value_kernel import NOT_READ, SCRATCH
from topics.raw_access import load_byte, load_word, store_word

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
def decode_messages(
    message: int,
    row: int,
    address: Int64s,
    size: Int64s,
    size_max: int,
    rows_max: int,
    prefixed: bool,
    nodes: int,
    node_count: int,
    leaf_count: int,
    columns: int,
    state: int,
    words: int,
    spans: int,
    valid: int,
    index: Int32s,
    rows_of: Int64s,
    fault: Int64s,
) -> tuple[int, int, int]:
    """Decode messages from `message` on into rows from `row` on.

    Returns the first message and row that are not written, and why.
    Stops before a message that does not fit below `index.size` (FULL), and before one that is to be looked at
    more closely (UNREAD), of which `rows_of` counts the rows.  A message either gives all its rows (`rows_of`
    counts them) or none, and then `fault` says why.

    `nodes` and `columns` are the addresses of tables of words, `state` that of STATE_SIZE words; `words`,
    `spans` and `valid` those of C-ordered tables of int64, int64 and uint8 with `index.size` columns.
    """
    capacity = index.size
    while message < address.size:
        end = address[message] + size[message]
        first = row
        items = 0
        unread = False
        scratch = load_word(state + 8 * SCRATCH)
        position = body_of(address[message], size[message], size_max, prefixed)
        listed = position >= 0 and load_byte(position) == OPEN_ARRAY
        expected = VALUE
        left = position >= 0
        if listed:
            position = skip_space(position + 1, end)
            left = position >= end or load_byte(position) != CLOSE_ARRAY
            expected = VALUE_OR_END
            if not left:
                position += 1
        while left:
            if items >= rows_max:
                position = fault_at(TOO_MANY_ROWS, position)
                break
            stop = NOT_READ
            if not unread and position < end and load_byte(position) == OPEN_OBJECT:
                if row >= capacity:
                    store_word(state + 8 * SCRATCH, scratch)
                    return message, first, FULL
                stop = read_row(
                    position,
                    end,
                    1 if listed else 0,
                    row,
                    nodes,
                    node_count,
                    leaf_count,
                    columns,
                    words,
                    spans,
                    valid,
                    capacity,
                    state,
                )
            if stop < 0:
                unread = True
                stop = skip_value(position, end, 1 if listed else 0)
                if stop == fault_at(VALUE, position):
                    stop = fault_at(expected, position)
            else:
                index[row] = items
                row += 1
            position = stop
            if position < 0:
                break
            items += 1
            left = False
            if listed:
                position = skip_space(position, end)
                byte = load_byte(position) if position < end else 0
                if byte == COMMA:
                    position = skip_space(position + 1, end)
                    expected = VALUE
                    left = True
                elif byte == CLOSE_ARRAY:
                    position += 1
                else:
                    position = fault_at(NEXT_IN_ARRAY, position)
                    break
        if position >= 0:
            position = skip_space(position, end)
            if position < end:
                position = fault_at(MESSAGE_END, position)
        rows_of[message], fault[message] = items, min(position, 0)
        if position < 0 or unread:
            row = first
            store_word(state + 8 * SCRATCH, scratch)
        if position < 0:
            rows_of[message] = 0
        elif unread:
            return message, first, UNREAD
        message += 1
    return message, row, DONE
