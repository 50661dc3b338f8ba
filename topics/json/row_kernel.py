"""An object becomes a row: the keys that columns want lead through a tree of nodes.

Senders write the keys of their objects in the same order over and over.  So a node remembers which key came
after its own, and the next key is compared with that one first.
"""

from numba import njit

from topics.json.skip_kernel import DEPTH_MAX, skip_value
from topics.json.text_kernel import (
    CLOSE_OBJECT,
    COMMA,
    OPEN_OBJECT,
    QUOTE,
    is_null,
    plain_end,
    skip_colon,
    skip_space,
)
from topics.json.value_kernel import (
    COLUMN_WIDTH,
    COLUMNS,
    LEAF_COUNT,
    NEXT,
    NODE_COUNT,
    NODES,
    NOT_READ,
    SCRATCH,
    SERIAL,
    read_column,
    write_null,
)
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
    """Return which child of `parent` has the key at `position`, or NONE, and the position of its value.

    The position is NOT_READ for a key with escapes, and for what is no key.  `guess` is where the child that
    was here last time is noted, and where the one that is here now will be.
    """
    if position >= end or load_byte(position) != QUOTE:
        return NONE, NOT_READ
    position += 1
    child = load_word(guess)
    if child >= 0 and _is_key(position, end, nodes + 8 * NODE_WIDTH * child):
        stop = position + load_word(nodes + 8 * (NODE_WIDTH * child + KEY_SIZE))
    else:
        stop = plain_end(position, end)
        if stop >= end or load_byte(stop) != QUOTE:
            return NONE, NOT_READ
        child = load_word(nodes + 8 * (NODE_WIDTH * parent + CHILD))
        while child >= 0:
            node = nodes + 8 * NODE_WIDTH * child
            if load_word(node + 8 * KEY_SIZE) == stop - position and _is_key(position, end, node):
                store_word(guess, child)
                break
            child = load_word(node + 8 * SIBLING)
    position = skip_colon(stop + 1, end)
    return child, (position if position < end else NOT_READ)


@njit(nogil=True, cache=True, forceinline=True)
def _read_leaf(position: int, end: int, row: int, column: int, state: int) -> int:
    """Read a value into all columns that want it; return the position after it, or NOT_READ."""
    columns = load_word(state + 8 * COLUMNS)
    null = is_null(position, end)
    stop = position + 4
    while column >= 0:
        entry = columns + 8 * COLUMN_WIDTH * column
        if null:
            write_null(row, entry, state)
        else:
            stop = read_column(position, end, row, entry, state)
            if stop < 0:
                return NOT_READ
        column = load_word(entry + 8 * NEXT)
    return stop


@njit(nogil=True, cache=True)
def _fill_nulls(row: int, serial: int, state: int) -> None:
    """Write null to the columns of the nodes that row `serial` lacks."""
    columns = load_word(state + 8 * COLUMNS)
    node = load_word(state + 8 * NODES)
    for _ in range(load_word(state + 8 * NODE_COUNT)):
        if load_word(node + 8 * SEEN) != serial:
            column = load_word(node + 8 * COLUMN)
            while column >= 0:
                entry = columns + 8 * COLUMN_WIDTH * column
                write_null(row, entry, state)
                column = load_word(entry + 8 * NEXT)
        node += 8 * NODE_WIDTH


@njit(nogil=True, cache=True, forceinline=True)
def _go_in(position: int, end: int) -> tuple[int, bool]:
    """Go on after an object's opening brace: the position of what is next, and whether that closes it."""
    position = skip_space(position, end)
    return position, position < end and load_byte(position) == CLOSE_OBJECT


@njit(nogil=True, cache=True, forceinline=True)
def _go_on(position: int, end: int) -> tuple[int, bool]:
    """Go on after a value in an object: the position of the next key, or of the closing brace, and which.

    The position is NOT_READ where neither is there, or where there was no value.
    """
    if position < 0:
        return NOT_READ, False
    position = skip_space(position, end)
    if position >= end:
        return NOT_READ, False
    byte = load_byte(position)
    if byte == COMMA:
        return skip_space(position + 1, end), False
    return (position if byte == CLOSE_OBJECT else NOT_READ), True


@njit(nogil=True, cache=True)
def read_row(position: int, end: int, depth: int, row: int, state: int) -> int:
    """Read an object, which opens at `position`, as a row; return the position after it, or below 0.

    `depth` objects and arrays are open around it.  Below 0 it is no JSON, or holds what is not read here: a
    key twice, a key with escapes, a value that does not fit, or a number that is hard to round.
    """
    serial = load_word(state + 8 * SERIAL) + 1
    store_word(state + 8 * SERIAL, serial)
    nodes = load_word(state + 8 * NODES)
    left = load_word(state + 8 * LEAF_COUNT)
    parent = 0
    guess = nodes + 8 * INNER
    depth += 1
    position, closing = _go_in(position + 1, end)
    while position >= 0:
        if closing:
            position += 1
            if parent == 0:
                if left > 0:
                    _fill_nulls(row, serial, state)
                return position
            depth -= 1
            guess = nodes + 8 * (NODE_WIDTH * parent + AFTER)
            parent = load_word(nodes + 8 * (NODE_WIDTH * parent + PARENT))
            position, closing = _go_on(position, end)
            continue
        child, position = _find_key(position, end, nodes, parent, guess)
        if position < 0:
            break
        if child < 0:
            position, closing = _go_on(skip_value(position, end, depth), end)
            continue
        node = nodes + 8 * NODE_WIDTH * child
        if load_word(node + 8 * SEEN) == serial:
            break
        store_word(node + 8 * SEEN, serial)
        guess = node + 8 * AFTER
        column = load_word(node + 8 * COLUMN)
        if column >= 0:
            left -= 1
            position, closing = _go_on(_read_leaf(position, end, row, column, state), end)
        elif load_byte(position) == OPEN_OBJECT and depth < DEPTH_MAX:
            depth += 1
            parent = child
            guess = node + 8 * INNER
            position, closing = _go_in(position + 1, end)
        else:
            position, closing = _go_on(position + 4 if is_null(position, end) else NOT_READ, end)
    return NOT_READ


@njit(nogil=True, cache=True)
def read_items(position: int, end: int, row: int, state: int) -> tuple[int, int]:
    """Read the items of an array, which is JSON, as rows; `position` is that of an item.

    Returns the position of the first item that is not read, or of the array's end, and the row after the
    last.  Texts of a row that is not read to its end are dropped from the scratch memory.
    """
    while load_byte(position) == OPEN_OBJECT:
        scratch = load_word(state + 8 * SCRATCH)
        stop = read_row(position, end, 1, row, state)
        if stop < 0:
            store_word(state + 8 * SCRATCH, scratch)
            break
        row += 1
        position = skip_space(stop, end)
        if load_byte(position) == COMMA:
            position = skip_space(position + 1, end)
    return position, row
