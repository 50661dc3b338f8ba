"""The tokens of JSON as loops over bytes: white space, texts, numbers and words, each checked by RFC 8259.

Positions are addresses.  A position below 0 is a fault, which holds what was wrong and where (`fault_at`).
Nothing at or beyond `end` is read.
"""

from numba import njit

from topics.raw_access import load_byte, load_half, load_word, store_byte, trailing_zeros

# What was not as it must be, at a byte.
VALUE = 1  # a value
VALUE_OR_END = 2  # a value or the array's end
NAME = 3  # a name of an object
NAME_OR_END = 4  # a name or the object's end
COLON = 5
NEXT_IN_OBJECT = 6  # ',' or '}'
NEXT_IN_ARRAY = 7  # ',' or ']'
DIGIT = 8
ESCAPE = 9  # what may follow a backslash
TEXT_END = 10  # '"'; the message ends
CONTROL = 11  # a control character within a text
MESSAGE_END = 12  # nothing more
TOO_DEEP = 13
NOT_UTF8 = 14
EMPTY = 15
NULL_MESSAGE = 16
TOO_LARGE = 17
NO_HEADER = 18
TOO_MANY_ROWS = 19
_CODES = 32

_TOP_BITS = -0x7F7F7F7F7F7F7F80  # 0x80 in every byte
_ONES = 0x0101010101010101
_SPACES = 0x2020202020202020
_QUOTES = 0x2222222222222222
_BACKSLASHES = 0x5C5C5C5C5C5C5C5C

QUOTE = 0x22
BACKSLASH = 0x5C
OPEN_OBJECT = 0x7B
CLOSE_OBJECT = 0x7D
OPEN_ARRAY = 0x5B
CLOSE_ARRAY = 0x5D
COMMA = 0x2C
_MINUS = 0x2D
_COLON = 0x3A
_TRUE = 0x65757274  # "true", the first letter in the lowest byte, and so on
_ALSE = 0x65736C61
_NULL = 0x6C6C756E
_INFINITY = 0x7974696E69666E49


@njit(nogil=True, cache=True, forceinline=True)
def fault_at(code: int, position: int) -> int:
    """Return a fault as one number below 0."""
    return -(position * _CODES + code)


@njit(nogil=True, cache=True)
def fault_parts(fault: int) -> tuple[int, int]:
    """Return the code and the position of a fault."""
    return -fault % _CODES, -fault // _CODES


@njit(nogil=True, cache=True, forceinline=True)
def skip_space(position: int, end: int) -> int:
    """Return the first position that is no white space, or `end`."""
    while position < end:
        byte = load_byte(position)
        if byte > 0x20 or (byte != 0x20 and byte != 0x0A and byte != 0x0D and byte != 0x09):
            return position
        position += 1
    return position


@njit(nogil=True, cache=True, forceinline=True)
def plain_end(position: int, end: int) -> int:
    """Return the first position of a quote, a backslash or a control character, or `end`."""
    while end - position >= 8:
        word = load_word(position)
        quote = word ^ _QUOTES
        backslash = word ^ _BACKSLASHES
        # A byte's top bit is set where the subtraction borrows: the lowest one that is set is right.
        stops = (
            ((word - _SPACES) & ~word) | ((quote - _ONES) & ~quote) | ((backslash - _ONES) & ~backslash)
        ) & _TOP_BITS
        if stops != 0:
            return position + (trailing_zeros(stops) >> 3)
        position += 8
    while position < end:
        byte = load_byte(position)
        if byte in (QUOTE, BACKSLASH) or byte < 0x20:
            return position
        position += 1
    return position


@njit(nogil=True, cache=True, forceinline=True)
def _hex_value(byte: int) -> int:
    """The value of a hexadecimal digit, or -1."""
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    byte |= 0x20
    return byte - 0x57 if 0x61 <= byte <= 0x66 else -1


@njit(nogil=True, cache=True)
def _code_unit(position: int, end: int) -> int:
    """The number of the four hexadecimal digits at `position`, or -1."""
    if end - position < 4:
        return -1
    unit = 0
    for place in range(4):
        digit = _hex_value(load_byte(position + place))
        if digit < 0:
            return -1
        unit = 16 * unit + digit
    return unit


@njit(nogil=True, cache=True, forceinline=True)
def _escaped(letter: int) -> int:
    """The byte that a backslash and a letter stand for, or -1; `u` is none of these letters."""
    if letter in (QUOTE, BACKSLASH, 0x2F):
        return letter
    if letter == 0x6E:
        return 0x0A
    if letter == 0x74:
        return 0x09
    if letter == 0x72:
        return 0x0D
    if letter == 0x62:
        return 0x08
    return 0x0C if letter == 0x66 else -1


@njit(nogil=True, cache=True)
def skip_escaped(position: int, end: int) -> int:
    """Return the position after a text's closing quote, or a fault; `position` is within the text."""
    while True:
        position = plain_end(position, end)
        if position >= end:
            return fault_at(TEXT_END, position)
        byte = load_byte(position)
        if byte == QUOTE:
            return position + 1
        if byte != BACKSLASH:
            return fault_at(CONTROL, position)
        if end - position < 2:
            return fault_at(ESCAPE, end)
        letter = load_byte(position + 1)
        if letter == 0x75:
            if _code_unit(position + 2, end) < 0:
                return fault_at(ESCAPE, position + 1)
            position += 6
        elif _escaped(letter) < 0:
            return fault_at(ESCAPE, position + 1)
        else:
            position += 2


@njit(nogil=True, cache=True, forceinline=True)
def skip_text(position: int, end: int) -> int:
    """Return the position after a text's closing quote, or a fault; `position` is after its opening one."""
    stop = plain_end(position, end)
    if stop < end and load_byte(stop) == QUOTE:
        return stop + 1
    return skip_escaped(stop, end)


@njit(nogil=True, cache=True)
def _write_character(character: int, to: int) -> int:
    """Write a Unicode character as UTF-8; return the address after it."""
    if character < 0x80:
        store_byte(to, character)
        return to + 1
    if character < 0x800:
        store_byte(to, 0xC0 | (character >> 6))
        store_byte(to + 1, 0x80 | (character & 0x3F))
        return to + 2
    if character < 0x10000:
        store_byte(to, 0xE0 | (character >> 12))
        store_byte(to + 1, 0x80 | ((character >> 6) & 0x3F))
        store_byte(to + 2, 0x80 | (character & 0x3F))
        return to + 3
    store_byte(to, 0xF0 | (character >> 18))
    store_byte(to + 1, 0x80 | ((character >> 12) & 0x3F))
    store_byte(to + 2, 0x80 | ((character >> 6) & 0x3F))
    store_byte(to + 3, 0x80 | (character & 0x3F))
    return to + 4


@njit(nogil=True, cache=True)
def unescape(position: int, end: int, to: int) -> tuple[int, int]:
    """Write a text without its escapes to `to`; return the positions after its quote and what is written.

    `position` is after the opening quote.  The text written is no longer than the text read.  The first
    position is -1 where the text is broken, or holds half a surrogate pair, which UTF-8 has no bytes for.
    """
    while True:
        stop = plain_end(position, end)
        while position < stop:
            store_byte(to, load_byte(position))
            position += 1
            to += 1
        if end - position < 2:
            return (position + 1 if position < end and load_byte(position) == QUOTE else -1), to
        byte = load_byte(position)
        if byte == QUOTE:
            return position + 1, to
        if byte != BACKSLASH:
            return -1, to
        letter = load_byte(position + 1)
        position += 2
        if letter != 0x75:
            byte = _escaped(letter)
            if byte < 0:
                return -1, to
            store_byte(to, byte)
            to += 1
            continue
        unit = _code_unit(position, end)
        position += 4
        if unit < 0 or 0xDC00 <= unit < 0xE000:
            return -1, to
        if 0xD800 <= unit < 0xDC00:
            if end - position < 6 or load_byte(position) != BACKSLASH or load_byte(position + 1) != 0x75:
                return -1, to
            low = _code_unit(position + 2, end)
            if low < 0xDC00 or low >= 0xE000:
                return -1, to
            position += 6
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
        to = _write_character(unit, to)


@njit(nogil=True, cache=True, forceinline=True)
def is_digit(position: int, end: int) -> bool:
    """Whether a digit stands at `position`."""
    return position < end and 0x30 <= load_byte(position) <= 0x39


@njit(nogil=True, cache=True, forceinline=True)
def is_infinity(position: int, end: int) -> bool:
    """Whether `Infinity` stands at `position`, which Python's json writes."""
    return end - position >= 8 and load_word(position) == _INFINITY


@njit(nogil=True, cache=True, forceinline=True)
def is_nan(position: int, end: int) -> bool:
    """Whether `NaN` stands at `position`, which Python's json writes."""
    return (
        end - position >= 3
        and load_byte(position) == 0x4E
        and load_byte(position + 1) == 0x61
        and load_byte(position + 2) == 0x4E
    )


@njit(nogil=True, cache=True, forceinline=True)
def is_null(position: int, end: int) -> bool:
    """Whether `null` stands at `position`."""
    return end - position >= 4 and load_half(position) == _NULL


@njit(nogil=True, cache=True, forceinline=True)
def is_true(position: int, end: int) -> bool:
    """Whether `true` stands at `position`."""
    return end - position >= 4 and load_half(position) == _TRUE


@njit(nogil=True, cache=True, forceinline=True)
def is_false(position: int, end: int) -> bool:
    """Whether `false` stands at `position`."""
    return end - position >= 5 and load_byte(position) == 0x66 and load_half(position + 1) == _ALSE


@njit(nogil=True, cache=True)
def is_byte_order_mark(position: int, end: int) -> bool:
    """Whether a byte order mark in UTF-8 stands at `position`."""
    return (
        end - position >= 3
        and load_byte(position) == 0xEF
        and load_byte(position + 1) == 0xBB
        and load_byte(position + 2) == 0xBF
    )


@njit(nogil=True, cache=True)
def skip_number(position: int, end: int) -> int:
    """Return the position after a number, or a fault; `position` is below `end`."""
    if load_byte(position) == _MINUS:
        position += 1
        if is_infinity(position, end):
            return position + 8
    elif is_infinity(position, end):
        return position + 8
    elif is_nan(position, end):
        return position + 3
    if not is_digit(position, end):
        return fault_at(DIGIT, position)
    if load_byte(position) == 0x30:
        position += 1
    else:
        while is_digit(position, end):
            position += 1
    if position < end and load_byte(position) == 0x2E:
        position += 1
        if not is_digit(position, end):
            return fault_at(DIGIT, position)
        while is_digit(position, end):
            position += 1
    if position < end and load_byte(position) | 0x20 == 0x65:
        position += 1
        if position < end and (load_byte(position) == 0x2B or load_byte(position) == _MINUS):
            position += 1
        if not is_digit(position, end):
            return fault_at(DIGIT, position)
        while is_digit(position, end):
            position += 1
    return position


@njit(nogil=True, cache=True)
def skip_word(position: int, end: int) -> int:
    """Return the position after a number, true, false or null, or a fault; `position` is below `end`."""
    byte = load_byte(position)
    if byte <= 0x39:
        return skip_number(position, end) if byte == _MINUS or byte >= 0x30 else fault_at(VALUE, position)
    if is_null(position, end) or is_true(position, end):
        return position + 4
    if is_false(position, end):
        return position + 5
    if is_nan(position, end) or is_infinity(position, end):
        return skip_number(position, end)
    return fault_at(VALUE, position)


@njit(nogil=True, cache=True, forceinline=True)
def skip_colon(position: int, end: int) -> int:
    """Return the position of the value after a name, whose colon comes next, or a fault."""
    position = skip_space(position, end)
    if position >= end or load_byte(position) != _COLON:
        return fault_at(COLON, position)
    return skip_space(position + 1, end)
