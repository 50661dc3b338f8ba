"""Exact sums of windows in a few words: whole numbers of two, or of four for squares, and all else far away.

An exact sum (`exact_kernel`, `digit_kernel`) has 72 digits, or 136, and the values of a symbol, which are of
about one size, use three or four of them.  Words of a state hold these as one whole number: `PLACE` says what
it counts and how much is in it, `LOW` and `HIGH` are the sum of values in units of 2**(base - UNIT), and
`SQUARES` four words of the sum of their squares in units of the square of that.  A value whose exponent is
not one of the `SPAN` from the base on is added to whole sums, `far`, which lie behind the words of all steps;
a sum is that of both.

What is computed hangs on the sum, not on where it lies.  Where something is far, the whole sum is put
together in the words before those of the first symbol.
"""

from typing import Final

from numba import njit

from operators.formula.history import EXACT_WORDS, NEAR_SQUARES_WORDS, PRODUCT_WORDS
from operators.nodes import exact_kernel as exact
from operators.nodes import wide_kernel as wide
from operators.nodes.digit_kernel import PRODUCT_UNIT, ROOM, add_product
from operators.nodes.exact_kernel import (
    DIGIT,
    DIGITS,
    HIDDEN,
    HIGHEST,
    LOWEST,
    MANTISSA,
    UNIT,
    Float64s,
)
from schemas.batch import Int64s

# Where a whole sum is put together, of values and of squares, where numbers are that a kernel computes with
# (`digit_kernel`), and where the words of symbols begin.
WHOLE: Final = 0
WHOLE_SQUARES: Final = EXACT_WORDS
NUMBERS: Final = EXACT_WORDS + PRODUCT_WORDS
STATES: Final = 8 * ((NUMBERS + 9 * ROOM + 7) // 8)

PLACE: Final = 0
LOW: Final = 1
HIGH: Final = 2
SQUARES: Final = 3

# Of `PLACE`: the base, how many values other than 0 are in what is near, and how many are far away.  A sum
# that nothing is taken away from counts neither above 1.
BASE: Final = 0x7FF
NEAR_ONE: Final = 1 << 11
NEAR_BITS: Final = 26
FAR_ONE: Final = NEAR_ONE << NEAR_BITS
NEARS: Final = FAR_ONE - NEAR_ONE

SPAN: Final = 48  # exponents: a value has 100 bits at most; two words hold 2**27, four that many squares
BELOW: Final = 24  # of these, below the first value
ALMOST_FULL: Final = 1 << 61  # of the higher word


@njit(nogil=True, cache=True, forceinline=True)
def parts_of(bits: int) -> tuple[int, int]:
    """The exponent and the mantissa of a float with these bits, of size mantissa * 2**(exponent - UNIT)."""
    exponent, mantissa = (bits >> 52) & 0x7FF, bits & MANTISSA
    if exponent == 0:
        return 1, mantissa
    return exponent, mantissa | HIDDEN


@njit(nogil=True, cache=True, forceinline=True)
def add(words: Int64s, o: int, far: int, bits: int, sign: int) -> None:
    """Add the float with these bits to a sum of a window, or with `sign` -1 take it away."""
    exponent, mantissa = parts_of(bits)
    if mantissa == 0:
        return
    shift = _count(words, o, exponent, sign)
    if 0 <= shift < SPAN:
        x, x_high = wide.shifted(mantissa, shift)
        _add_near(words, o, x, x_high, bits, sign)
    else:
        exact.add(words, far, bits, sign)


@njit(nogil=True, cache=True, forceinline=True)
def add_with_square(words: Int64s, o: int, far: int, bits: int, sign: int) -> None:
    """The same of a sum that has that of squares beside it, whose far digits lie behind those of values."""
    exponent, mantissa = parts_of(bits)
    if mantissa == 0:
        return
    shift = _count(words, o, exponent, sign)
    if 0 <= shift < SPAN:
        x, x_high = wide.shifted(mantissa, shift)
        _add_near(words, o, x, x_high, bits, sign)
        q = o + SQUARES
        words[q], words[q + 1], words[q + 2], words[q + 3] = wide.with_square(
            words[q], words[q + 1], words[q + 2], words[q + 3], x, x_high, sign
        )
    else:
        exact.add(words, far, bits, sign)
        add_product(words, far + EXACT_WORDS, bits, bits, sign)


@njit(nogil=True, cache=True, forceinline=True)
def _count(words: Int64s, o: int, exponent: int, sign: int) -> int:
    """Count a value that comes, or with `sign` -1 goes; returns its exponent from the base on.

    It is near where that is one of `SPAN`.  A sum that has nothing begins below its first value.
    """
    place = words[o + PLACE]
    if place < NEAR_ONE:
        place = max(exponent - BELOW, 0)
    shift = exponent - (place & BASE)
    words[o + PLACE] = place + sign * (NEAR_ONE if 0 <= shift < SPAN else FAR_ONE)
    return int(shift)


@njit(nogil=True, cache=True, forceinline=True)
def _add_near(words: Int64s, o: int, x: int, x_high: int, bits: int, sign: int) -> None:
    signed = -sign if bits < 0 else sign
    words[o + LOW], words[o + HIGH] = wide.two_sum(words[o + LOW], words[o + HIGH], x, x_high, signed)


@njit(nogil=True, cache=True)
def count_one(words: Int64s, o: int) -> None:
    """Count of each kind no more than one value: of a sum that may never end."""
    place = words[o + PLACE]
    words[o + PLACE] = (
        (place & BASE) | (NEAR_ONE if place & NEARS != 0 else 0) | (FAR_ONE if place >= FAR_ONE else 0)
    )


@njit(nogil=True, cache=True)
def settle(words: Int64s, o: int, far: int) -> None:
    """Make room for 2**26 values more in a sum that may never end: one almost full is far from here on."""
    if not -ALMOST_FULL <= words[o + HIGH] < ALMOST_FULL:
        _add_digits(words, o + LOW, 2, words[o + PLACE] & BASE, far)
        words[o + LOW] = words[o + HIGH] = 0
        words[o + PLACE] = (words[o + PLACE] & BASE) | FAR_ONE
    if words[o + PLACE] >= FAR_ONE and words[far + HIGHEST] != 0:
        exact.settle(words, far)


@njit(nogil=True, cache=True)
def clear(words: Int64s, o: int, far: int, count: int) -> None:
    """Make a sum of `NEAR_WORDS` words, or of `NEAR_SQUARES_WORDS`, that of nothing."""
    if words[o + PLACE] >= FAR_ONE:
        exact.clear(words, far)
        if count == NEAR_SQUARES_WORDS:
            exact.clear(words, far + EXACT_WORDS)
    for k in range(o, o + count):
        words[k] = 0


@njit(nogil=True, cache=True)
def _add_digits(words: Int64s, o: int, count: int, position: int, to: int) -> None:
    """Add a number of `count` words, in units of 2**position of digit 0, to the digits of a whole sum."""
    k, shift = position >> 5, position & 31
    d = to + DIGITS + k
    last = 2 * count - 1
    for j in range(last + 1):
        word = words[o + (j >> 1)]
        digit = word >> 32 if j == last else (word >> (32 * (j & 1))) & DIGIT
        words[d + j] += (digit << shift) & DIGIT
        words[d + j + 1] += digit >> (32 - shift)
    exact.widen(words, to, k, k + last - 1)


@njit(nogil=True, cache=True)
def _take_far(words: Int64s, far: int, to: int) -> None:
    """Make a whole sum that of what is far."""
    exact.clear(words, to)
    if words[far + HIGHEST] != 0:
        words[to + LOWEST], words[to + HIGHEST] = words[far + LOWEST], words[far + HIGHEST]
        for k in range(DIGITS + words[far + LOWEST], DIGITS + words[far + HIGHEST] + 1):
            words[to + k] = words[far + k]


@njit(nogil=True, cache=True)
def whole(words: Int64s, o: int, far: int) -> None:
    """Write a sum of values to `WHOLE`; what was there is forgotten."""
    _take_far(words, far, WHOLE)
    if words[o + PLACE] & NEARS != 0:
        _add_digits(words, o + LOW, 2, words[o + PLACE] & BASE, WHOLE)


@njit(nogil=True, cache=True)
def whole_squares(words: Int64s, o: int, far: int) -> None:
    """Write a sum of squares to `WHOLE_SQUARES`; what was there is forgotten."""
    _take_far(words, far + EXACT_WORDS, WHOLE_SQUARES)
    if words[o + PLACE] & NEARS != 0:
        _add_digits(words, o + SQUARES, 4, 2 * (words[o + PLACE] & BASE), WHOLE_SQUARES)


@njit(nogil=True, cache=True, forceinline=True)
def _highest(words: Int64s, o: int) -> tuple[int, int, int]:
    """What is near of a sum of values as `exact_kernel.split` takes it: two words, and a power of 2."""
    low, high, power = wide.normal(words[o + LOW], words[o + HIGH])
    return high, low, (words[o + PLACE] & BASE) + 64 - power - UNIT


@njit(nogil=True, cache=True, forceinline=True)
def nearest(words: Int64s, o: int, far: int) -> float:
    """A sum of values rounded, half to even; infinite where it is too large."""
    if words[o + PLACE] >= FAR_ONE:
        whole(words, o, far)
        return float(exact.nearest(words, WHOLE))
    high, low, unit = _highest(words, o)
    return exact.rounded_words(high, low, unit)


@njit(nogil=True, cache=True, forceinline=True)
def rounded(words: Int64s, floats: Float64s, o: int, far: int) -> tuple[float, float]:
    """A sum of values rounded, and what is left of it, rounded: `exact_kernel.rounded`."""
    if words[o + PLACE] < FAR_ONE:
        high, low, unit = _highest(words, o)
        total, rest = exact.split(high, low, unit, False)
        return total, rest
    whole(words, o, far)
    total, rest = exact.rounded(words, floats, WHOLE)
    return total, rest


@njit(nogil=True, cache=True)
def mean(words: Int64s, o: int, far: int, n: int, total: float, rest: float) -> float:
    """A sum of values by n, rounded once, given what `rounded` says of it."""
    value, sure = exact.quick_quotient(n, total, rest)
    if sure:
        return float(value)
    whole(words, o, far)
    return float(exact.divided(words, WHOLE, n))


@njit(nogil=True, cache=True, forceinline=True)
def spread(words: Int64s, o: int, n: int) -> tuple[int, int, int]:
    """n * Sxx - Sx * Sx of sums of which nothing is far: its 127 highest bits in two words, and their unit.

    The first word counts units of 2**unit; 0 for a difference of 0.
    """
    q = o + SQUARES
    w0, w1, w2, w3 = wide.spread(
        n, words[o + LOW], words[o + HIGH], words[q], words[q + 1], words[q + 2], words[q + 3]
    )
    place = 3
    if w3 == 0:
        w3, w2, w1, w0, place = w2, w1, w0, 0, 2
        if w3 == 0:
            w3, w2, w1, place = w2, w1, 0, 1
            if w3 == 0:
                w3, w2, place = w2, 0, 0
                if w3 == 0:
                    return 0, 0, 0
    high, low, zeros = wide.top(w1, w2, w3)
    return high, low, 64 * place - zeros + 1 + 2 * (words[o + PLACE] & BASE) - PRODUCT_UNIT


@njit(nogil=True, cache=True, forceinline=True)
def distance(words: Int64s, o: int, n: int, bits: int) -> tuple[int, int, int, bool]:
    """n * x - Sx of the float with these bits, as `exact_kernel.split` takes it, where nothing is far.

    And whether x, too, is near: else all digits are needed.
    """
    exponent, mantissa = parts_of(bits)
    base = words[o + PLACE] & BASE
    shift = exponent - base if mantissa != 0 else 0
    if not 0 <= shift < SPAN:
        return 0, 0, 0, False
    x, x_high = wide.shifted(mantissa, shift)
    x, x_high = wide.two_sum(0, 0, x, x_high, -1 if bits < 0 else 1)
    low, high = wide.distance(n, x, x_high, words[o + LOW], words[o + HIGH])
    low, high, power = wide.normal(low, high)
    return high, low, base + 64 - power - UNIT, True
