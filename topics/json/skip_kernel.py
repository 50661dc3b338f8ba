"""Any JSON value is walked past and checked, however it nests: without recursion, to a fixed depth."""

from numba import njit

from topics.json.text_kernel import (
    CLOSE_ARRAY,
    CLOSE_OBJECT,
    COMMA,
    NAME,
    NAME_OR_END,
    NEXT_IN_ARRAY,
    NEXT_IN_OBJECT,
    OPEN_ARRAY,
    OPEN_OBJECT,
    QUOTE,
    TOO_DEEP,
    VALUE,
    VALUE_OR_END,
    fault_at,
    skip_colon,
    skip_space,
    skip_text,
    skip_word,
)
from topics.raw_access import load_byte

DEPTH_MAX = 64  # objects and arrays within each other, the outermost included: bits of a word


@njit(nogil=True, cache=True)
def _skip_name(position: int, end: int, code: int) -> int:
    """Return the position of the value after a name, or a fault: `code` where there is no name."""
    position = skip_space(position, end)
    if position >= end or load_byte(position) != QUOTE:
        return fault_at(code, position)
    position = skip_text(position + 1, end)
    return position if position < 0 else skip_colon(position, end)


@njit(nogil=True, cache=True)
def _skip_ends(position: int, end: int, level: int, kinds: int) -> tuple[int, int, int]:
    """Go on after a value to where the next begins, or past the ends of what it is the last of.

    Returns the position, or a fault, and the level and kinds that are still open: level 0 is the end.
    """
    while level > 0:
        position = skip_space(position, end)
        byte = load_byte(position) if position < end else 0
        in_object = kinds & 1 != 0
        if byte == COMMA:
            return (_skip_name(position + 1, end, NAME) if in_object else position + 1), level, kinds
        if byte != (CLOSE_OBJECT if in_object else CLOSE_ARRAY):
            return fault_at(NEXT_IN_OBJECT if in_object else NEXT_IN_ARRAY, position), level, kinds
        position += 1
        level -= 1
        kinds >>= 1
    return position, level, kinds


@njit(nogil=True, cache=True)
def skip_value(position: int, end: int, depth: int) -> int:
    """Return the position after a value, or a fault; `depth` objects and arrays are open around it.

    `kinds` has a bit for each object (1) or array (0) that is open, the innermost the lowest.
    """
    level = 0
    kinds = 0
    expected = VALUE
    while True:
        position = skip_space(position, end)
        if position >= end:
            return fault_at(expected, position)
        byte = load_byte(position)
        if byte in (OPEN_OBJECT, OPEN_ARRAY):
            if depth + level >= DEPTH_MAX:
                return fault_at(TOO_DEEP, position)
            level += 1
            kinds = (kinds << 1) | (1 if byte == OPEN_OBJECT else 0)
            inside = skip_space(position + 1, end)
            if inside >= end or load_byte(inside) != byte + 2:  # the closing bracket of either
                expected = VALUE_OR_END
                position = inside
                if byte == OPEN_OBJECT:
                    position = _skip_name(inside, end, NAME_OR_END)
                    expected = VALUE
                    if position < 0:
                        return position
                continue
            level -= 1
            kinds >>= 1
            position = inside + 1
        elif byte == QUOTE:
            position = skip_text(position + 1, end)
        else:
            stop = skip_word(position, end)
            if stop == fault_at(VALUE, position):
                stop = fault_at(expected, position)
            position = stop
        if position < 0:
            return position
        expected = VALUE
        position, level, kinds = _skip_ends(position, end, level, kinds)
        if level == 0 or position < 0:
            return position
