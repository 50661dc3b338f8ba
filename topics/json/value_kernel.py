"""One value into one column, as a table of words says; what does not fit its column is left to others."""

from numba import njit

from topics.json.number_kernel import above, float_bits, read_number, scaled
from topics.json.text_kernel import (
    QUOTE,
    is_false,
    is_infinity,
    is_nan,
    is_true,
    plain_end,
    skip_number,
    unescape,
)
from topics.raw_access import load_byte, load_word, single_bits, store_byte, store_word

# What a column takes.
BOOLEAN = 0
WHOLE = 1  # a whole number of at most 64 bits
DECIMAL = 2  # a number of at most 127 bits once it is times 10**SCALE; takes two words
DOUBLE = 3
SINGLE = 4
TEXT = 5
TOKEN = 6  # a number as it is written, or a text

# The words of a column in the table of columns.  The limits are of a number's size, without its sign: how
# large it may be above 0 and below 0, each in a high and a low word.
KIND, NUMBER, SLOT, NEXT, SCALE, ABOVE_HIGH, ABOVE_LOW, BELOW_HIGH, BELOW_LOW = range(9)
COLUMN_WIDTH = 9

# The words of a reader's state: where its tables are, and how far it is.
NODES = 0  # addresses of the tables of nodes and columns
COLUMNS = 1
NODE_COUNT = 2
LEAF_COUNT = 3  # nodes that a column wants
WORDS = 4  # addresses of the tables that rows are written to
SPANS = 5
VALID = 6
INDEX = 7
CAPACITY = 8  # rows that these have room for
SERIAL = 9  # of the row that is read
SCRATCH = 10  # where the next text without its escapes is written
STATE_SIZE = 11

NOT_READ = -1  # a value that must be looked at more closely: most do not fit their column

_MINUS = 0x2D
_SIGN = -(2**63)
_NAN = 0x7FF8000000000000
_INFINITY = 0x7FF0000000000000
_SINGLE_EXPONENT = 0x7F800000


@njit(nogil=True, cache=True, forceinline=True)
def _cell_of(row: int, column: int, state: int) -> int:
    """The address of a column's word in a row; of the first, where it has two."""
    slot = load_word(column + 8 * SLOT)
    table = load_word(state + 8 * (SPANS if load_word(column + 8 * KIND) >= TEXT else WORDS))
    return table + 8 * (slot * load_word(state + 8 * CAPACITY) + row)


@njit(nogil=True, cache=True, forceinline=True)
def _second_of(cell: int, state: int) -> int:
    """The address of the second word of a column that has two, by that of the first."""
    return cell + 8 * load_word(state + 8 * CAPACITY)


@njit(nogil=True, cache=True, forceinline=True)
def _set_valid(row: int, column: int, valid: int, state: int) -> None:
    """Note whether a column has a value in a row."""
    place = load_word(column + 8 * NUMBER) * load_word(state + 8 * CAPACITY) + row
    store_byte(load_word(state + 8 * VALID) + place, valid)


@njit(nogil=True, cache=True)
def write_null(row: int, column: int, state: int) -> None:
    """Leave zeros where a value would be, so that equal rows are equal bytes."""
    kind = load_word(column + 8 * KIND)
    cell = _cell_of(row, column, state)
    store_word(cell, 0)
    if kind >= TEXT or kind == DECIMAL:
        store_word(_second_of(cell, state), 0)
    _set_valid(row, column, 0, state)


@njit(nogil=True, cache=True, forceinline=True)
def _read_text(position: int, end: int, kind: int, cell: int, state: int) -> int:
    """Read a text, or a number as it is written; return the position after it, or NOT_READ."""
    first = load_byte(position)
    if first != QUOTE:
        numeric = 0x30 <= first <= 0x39 or first == _MINUS or first == 0x4E or first == 0x49
        stop = skip_number(position, end) if kind == TOKEN and numeric else NOT_READ
        if stop < 0:
            return NOT_READ
        store_word(cell, position)
        store_word(_second_of(cell, state), stop - position)
        return stop
    position += 1
    stop = plain_end(position, end)
    if stop >= end:
        return NOT_READ
    if load_byte(stop) == QUOTE:
        store_word(cell, position)
        store_word(_second_of(cell, state), stop - position)
        return stop + 1
    to = load_word(state + 8 * SCRATCH)
    stop, written = unescape(position, end, to)
    if stop < 0:
        return NOT_READ
    store_word(cell, to)
    store_word(_second_of(cell, state), written - to)
    store_word(state + 8 * SCRATCH, written)
    return stop


@njit(nogil=True, cache=True, forceinline=True)
def _whole_fits(high: int, low: int, negative: bool, column: int) -> bool:
    """Whether a number, in two words without its sign, is within its column's limits."""
    if negative:
        return not above(high, low, load_word(column + 8 * BELOW_HIGH), load_word(column + 8 * BELOW_LOW))
    return not above(high, low, load_word(column + 8 * ABOVE_HIGH), load_word(column + 8 * ABOVE_LOW))


@njit(nogil=True, cache=True, forceinline=True)
def _special_bits(position: int, end: int, negative: bool) -> tuple[int, int]:
    """Return the position after NaN or Infinity (-1 for neither), without its minus, and its bits."""
    if is_infinity(position, end):
        return position + 8, _INFINITY
    if is_nan(position, end) and not negative:
        return position + 3, _NAN
    return -1, 0


@njit(nogil=True, cache=True, forceinline=True)
def _write_float(kind: int, bits: int, negative: bool, cell: int) -> bool:
    """Write a float of these bits and sign; whether it is within the range of its type."""
    if negative:
        bits |= _SIGN
    if kind == DOUBLE:
        store_word(cell, bits)
        return True
    single = single_bits(bits)
    store_word(cell, single)
    infinite = single & 0x7FFFFFFF == _SINGLE_EXPONENT
    return not infinite or bits & ~_SIGN == _INFINITY


@njit(nogil=True, cache=True, forceinline=True)
def _read_number(position: int, end: int, kind: int, column: int, cell: int, state: int) -> int:
    """Read a number, or a text that is one; return the position after it, or NOT_READ."""
    quoted = load_byte(position) == QUOTE
    if quoted:
        position += 1
    negative = position < end and load_byte(position) == _MINUS
    if negative:
        position += 1
    stop, mantissa, exponent, cut = read_number(position, end)
    if kind >= DOUBLE:
        if stop < 0:
            stop, bits = _special_bits(position, end, negative)
        else:
            bits = float_bits(mantissa, exponent, cut)
        if stop < 0 or bits < 0 or not _write_float(kind, bits, negative, cell):
            return NOT_READ
    else:
        if stop < 0:
            return NOT_READ
        scale = load_word(column + 8 * SCALE)
        high, low, whole = scaled(position, stop, mantissa, exponent, cut, scale)
        if not whole or not _whole_fits(high, low, negative, column):
            return NOT_READ
        if negative:
            # Two's complement: the carry reaches the high word where the low one is 0.
            high = -high if low == 0 else ~high
            low = -low
        store_word(cell, low)
        if kind == DECIMAL:
            store_word(_second_of(cell, state), high)
    if not quoted:
        return stop
    return stop + 1 if stop < end and load_byte(stop) == QUOTE else NOT_READ


@njit(nogil=True, cache=True)
def read_column(position: int, end: int, row: int, column: int, state: int) -> int:
    """Read a value other than null; return the position after it, or NOT_READ.

    `position` is below `end`.  A text with escapes is written to the scratch memory of `state` without them.
    """
    kind = load_word(column + 8 * KIND)
    cell = _cell_of(row, column, state)
    if kind >= TEXT:
        position = _read_text(position, end, kind, cell, state)
    elif kind != BOOLEAN:
        position = _read_number(position, end, kind, column, cell, state)
    elif is_true(position, end):
        store_word(cell, 1)
        position += 4
    elif is_false(position, end):
        store_word(cell, 0)
        position += 5
    else:
        position = NOT_READ
    if position >= 0:
        _set_valid(row, column, 1, state)
    return position
