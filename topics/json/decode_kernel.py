"""JSON messages to columns: each is walked once, and the keys that columns want lead through a tree of nodes.

Senders write the keys of their objects in the same order over and over.  So a node remembers which key came
after its own, and the next key is compared with that one first.

What is not as it should be is not judged here: the message is walked again by `topics.json.skip_kernel`, which
says where it is no JSON, and if it is, `topics.json.exact` says what does not fit its column.
"""

from numba import njit

from schemas.batch import Int32s, Int64s
from topics.avro.utf8 import valid_utf8
from topics.json.skip_kernel import DEPTH_MAX, skip_value
from topics.json.text_kernel import (
    CLOSE_ARRAY,
    CLOSE_OBJECT,
    COMMA,
    EMPTY,
    MESSAGE_END,
    NEXT_IN_ARRAY,
    NO_HEADER,
    NOT_UTF8,
    NULL_MESSAGE,
    OPEN_ARRAY,
    OPEN_OBJECT,
    QUOTE,
    TOO_LARGE,
    TOO_MANY_ROWS,
    VALUE,
    VALUE_OR_END,
    fault_at,
    is_null,
    plain_end,
    skip_colon,
    skip_space,
)
from topics.json.value_kernel import COLUMN_WIDTH, NEXT, NOT_READ, SCRATCH, SERIAL, read_column, write_null
from topics.raw_access import load_byte, load_word, store_word

# The words of a node: a key on the way to a column, or the object outside all keys, which is node 0.
PARENT = 0
CHILD = 1  # the first node within the object of this one, or NONE
SIBLING = 2  # the next node within the same object, or NONE
KEY = 3  # the address of the key's UTF-8
KEY_SIZE = 4  # in bytes; UNWRITTEN for a key that is never written as it is
HEAD = 5  # its first 8 bytes
HEAD_MASK = 6  # the bits of `HEAD` that are the key's
COLUMN = 7  # the first column that wants the value of this key, or NONE where it is an object
INNER = 8  # the node of the key that came first in this object
AFTER = 9  # the node of the key that came after this one
SEEN = 10  # the row that last had this key
NODE_WIDTH = 11
NONE = -1
UNWRITTEN = -1

# Why `decode_messages` stopped.
DONE = 0
FULL = 1  # the next message may have more rows than there is room for
UNREAD = 2  # the next message is JSON, and has something that must be looked at more closely

_HEADER_SIZE = 5


@njit(nogil=True, cache=True, forceinline=True)
def _is_key(position: int, end: int, node: int) -> bool:
    """Whether the key of a node and then a quote stand at `position`."""
    size = load_word(node + 8 * KEY_SIZE)
    if size < 0 or end - position <= size or load_byte(position + size) != QUOTE:
        return False
    if end - position >= 8:
        if (load_word(position) ^ load_word(node + 8 * HEAD)) & load_word(node + 8 * HEAD_MASK) != 0:
            return False
        place = 8
    else:
        place = 0
    key = load_word(node + 8 * KEY)
    while place < size:
        if load_byte(position + place) != load_byte(key + place):
            return False
        place += 1
    return True


@njit(nogil=True, cache=True, forceinline=True)
def _find_key(position: int, end: int, nodes: int, parent: int, guess: int) -> tuple[int, int]:
    """Return which child of `parent` has the key at `position`, or NONE, and the position after its quote.

    The position is NOT_READ for a key with escapes, and for what is no key.  `guess` is where the child that
    was here last time is noted, and where the one that is here now will be.
    """
    child = load_word(guess)
    if child >= 0:
        node = nodes + 8 * NODE_WIDTH * child
        if _is_key(position, end, node):
            return child, position + load_word(node + 8 * KEY_SIZE) + 1
    stop = plain_end(position, end)
    if stop >= end or load_byte(stop) != QUOTE:
        return NONE, NOT_READ
    child = load_word(nodes + 8 * (NODE_WIDTH * parent + CHILD))
    while child >= 0:
        node = nodes + 8 * NODE_WIDTH * child
        if load_word(node + 8 * KEY_SIZE) == stop - position and _is_key(position, end, node):
            store_word(guess, child)
            return child, stop + 1
        child = load_word(node + 8 * SIBLING)
    return NONE, stop + 1


@njit(nogil=True, cache=True, forceinline=True)
def _read_leaf(
    position: int,
    end: int,
    row: int,
    column: int,
    columns: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
    state: int,
) -> int:
    """Read a value into all columns that want it; return the position after it, or NOT_READ."""
    null = is_null(position, end)
    stop = position + 4
    while column >= 0:
        entry = columns + 8 * COLUMN_WIDTH * column
        if null:
            write_null(row, entry, words, spans, valid, capacity)
        else:
            stop = read_column(position, end, row, entry, words, spans, valid, capacity, state)
            if stop < 0:
                return NOT_READ
        column = load_word(entry + 8 * NEXT)
    return stop


@njit(nogil=True, cache=True)
def fill_nulls(
    row: int,
    nodes: int,
    node_count: int,
    columns: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
    serial: int,
) -> None:
    """Write null to the columns of the nodes that row `serial` lacks."""
    for child in range(node_count):
        node = nodes + 8 * NODE_WIDTH * child
        if load_word(node + 8 * SEEN) == serial:
            continue
        column = load_word(node + 8 * COLUMN)
        while column >= 0:
            entry = columns + 8 * COLUMN_WIDTH * column
            write_null(row, entry, words, spans, valid, capacity)
            column = load_word(entry + 8 * NEXT)


@njit(nogil=True, cache=True)
def read_row(
    position: int,
    end: int,
    depth: int,
    row: int,
    nodes: int,
    node_count: int,
    leaf_count: int,
    columns: int,
    words: int,
    spans: int,
    valid: int,
    capacity: int,
    state: int,
) -> int:
    """Read an object, which opens at `position`, as a row; return the position after it, or below 0.

    `depth` objects and arrays are open around it.  Below 0 it is no JSON, or holds what is not read here: a
    key twice, a wanted object's key with escapes, a value that does not fit, or a number that is hard to round.
    """
    serial = load_word(state + 8 * SERIAL) + 1
    store_word(state + 8 * SERIAL, serial)
    left = leaf_count
    parent = 0
    depth += 1
    guess = nodes + 8 * INNER
    position = skip_space(position + 1, end)
    closing = position < end and load_byte(position) == CLOSE_OBJECT
    while True:
        if not closing:
            if position >= end or load_byte(position) != QUOTE:
                return NOT_READ
            child, position = _find_key(position + 1, end, nodes, parent, guess)
            if position < 0:
                return NOT_READ
            position = skip_colon(position, end)
            if position < 0 or position >= end:
                return NOT_READ
            if child < 0:
                position = skip_value(position, end, depth)
            else:
                node = nodes + 8 * NODE_WIDTH * child
                if load_word(node + 8 * SEEN) == serial:
                    return NOT_READ
                store_word(node + 8 * SEEN, serial)
                guess = node + 8 * AFTER
                column = load_word(node + 8 * COLUMN)
                if column >= 0:
                    left -= 1
                    position = _read_leaf(
                        position, end, row, column, columns, words, spans, valid, capacity, state
                    )
                elif load_byte(position) == OPEN_OBJECT:
                    if depth >= DEPTH_MAX:
                        return NOT_READ
                    depth += 1
                    parent = child
                    guess = node + 8 * INNER
                    position = skip_space(position + 1, end)
                    closing = position < end and load_byte(position) == CLOSE_OBJECT
                    continue
                elif is_null(position, end):
                    position += 4
                else:
                    return NOT_READ
            if position < 0:
                return NOT_READ
            position = skip_space(position, end)
            if position >= end:
                return NOT_READ
            if load_byte(position) == COMMA:
                position = skip_space(position + 1, end)
                continue
            if load_byte(position) != CLOSE_OBJECT:
                return NOT_READ
        position += 1
        if parent == 0:
            break
        # The object's own end is followed as a value is: by a comma or by the end of the object around it.
        depth -= 1
        guess = nodes + 8 * (NODE_WIDTH * parent + AFTER)
        parent = load_word(nodes + 8 * (NODE_WIDTH * parent + PARENT))
        position = skip_space(position, end)
        if position >= end:
            return NOT_READ
        closing = load_byte(position) == CLOSE_OBJECT
        if not closing:
            if load_byte(position) != COMMA:
                return NOT_READ
            position = skip_space(position + 1, end)
    if left > 0:
        fill_nulls(row, nodes, node_count, columns, words, spans, valid, capacity, serial)
    return position


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
        if size < _HEADER_SIZE or load_byte(position) != 0:
            return fault_at(NO_HEADER, address)
        position += _HEADER_SIZE
    if not valid_utf8(position, end - position):
        return fault_at(NOT_UTF8, address)
    if end - position >= 3 and load_byte(position) == 0xEF:
        if load_byte(position + 1) == 0xBB and load_byte(position + 2) == 0xBF:
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
    """Decode messages from `message` on into rows from `row` on; return the first of each not written, and why.

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
