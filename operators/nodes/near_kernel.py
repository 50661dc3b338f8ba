"""Exact sums of windows in a few words: whole numbers of two, or of four for squares, and all else far away.

An exact sum (`exact_kernel`, `digit_kernel`) has 72 digits, or 136, and the values of a symbol, which are of
about one size, use three or four of them.  Words of a state hold these as one whole number: `PLACE` says what
it counts and how much is in it, `LOW` and `HIGH` are the sum of values in units of 2**(base - UNIT), and
`SQUARES` four words of the sum of their squares in units of the square of that.  The base is the exponent of
the first value, and goes down to that of a smaller one.  A value whose exponent is not one of the `SPAN` from
the base on, and cannot be, for a larger one is there, is added to whole sums, `far`, which lie behind the
words of all steps; a sum is that of both.

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
)
from operators.nodes.places import TILE
from schemas.batch import Int64s

# Where a whole sum is put together, of values and of squares, where numbers are that a kernel computes with
# (`digit_kernel`), what is noted of a tile's rows (`round_kernel`), and where the words of symbols begin.
WHOLE: Final = 0
WHOLE_SQUARES: Final = EXACT_WORDS
NUMBERS: Final = EXACT_WORDS + PRODUCT_WORDS
TILES: Final = 8 * ((NUMBERS + 9 * ROOM + 7) // 8)
STATES: Final = TILES + 15 * TILE

PLACE: Final = 0
LOW: Final = 1
HIGH: Final = 2
SQUARES: Final = 3

# Of `PLACE`: the base, by how much the highest exponent so far is above it, how many values other than 0 are
# in what is near, and how many are far away.  A sum that nothing is taken away from counts neither above 1.
BASE: Final = 0x7FF
TOP: Final = 11  # bits below
TOP_MASK: Final = 0x3F
NEAR_ONE: Final = 1 << 17
NEAR_BITS: Final = 20
FAR_ONE: Final = NEAR_ONE << NEAR_BITS
NEARS: Final = FAR_ONE - NEAR_ONE

SPAN: Final = 54  # exponents: a value has 106 bits at most; two words hold 2**20, four that many squares
MARGIN: Final = 4  # exponents by which the base goes below a value, where it can
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
    shift = _count(words, o, exponent, sign, False)
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
    shift = _count(words, o, exponent, sign, True)
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
def _count(words: Int64s, o: int, exponent: int, sign: int, squares: bool) -> int:
    """Count a value that comes, or with `sign` -1 goes; returns its exponent from the base on.

    It is near where that is one of `SPAN`.
    """
    place = words[o + PLACE]
    if place < NEAR_ONE:
        place = words[o + PLACE] = exponent
    shift = exponent - (place & BASE)
    if sign > 0 and not 0 <= shift <= (place >> TOP) & TOP_MASK:
        shift = _make_near(words, o, exponent, squares)
        place = words[o + PLACE]
    words[o + PLACE] = place + sign * (NEAR_ONE if 0 <= shift < SPAN else FAR_ONE)
    return int(shift)


@njit(nogil=True, cache=True)
def _make_near(words: Int64s, o: int, exponent: int, squares: bool) -> int:
    """Make a value near if it can be, above the others or below; returns its exponent from the base on.

    What is near stays so, and what is far: the base goes down alone, and the highest exponent up.
    """
    place = words[o + PLACE]
    base, top = place & BASE, (place >> TOP) & TOP_MASK
    shift = exponent - base
    if shift >= 0:
        if shift < SPAN:
            words[o + PLACE] = place + ((shift - top) << TOP)
        return int(shift)
    down = min(MARGIN - shift, base, SPAN - 1 - top)
    limit = ALMOST_FULL >> max(down, 0)  # a sum that may never end may have no room
    if down < -shift or not -limit <= words[o + HIGH] < limit:
        return int(shift)
    _move_up(words, o + LOW, 2, down)
    if squares:
        for _ in range(2):
            _move_up(words, o + SQUARES, 4, down)
    words[o + PLACE] = place - down + (down << TOP)
    return int(shift + down)


@njit(nogil=True, cache=True)
def _move_up(words: Int64s, o: int, count: int, bits: int) -> None:
    """Multiply a number of `count` words by 2**bits, 0 < bits < 64."""
    for k in range(o + count - 1, o, -1):
        words[k] = (words[k] << bits) | ((words[k - 1] >> (64 - bits)) & ((1 << bits) - 1))
    words[o] <<= bits


@njit(nogil=True, cache=True, forceinline=True)
def _add_near(words: Int64s, o: int, x: int, x_high: int, bits: int, sign: int) -> None:
    signed = -sign if bits < 0 else sign
    words[o + LOW], words[o + HIGH] = wide.two_sum(words[o + LOW], words[o + HIGH], x, x_high, signed)


@njit(nogil=True, cache=True)
def count_one(words: Int64s, o: int) -> None:
    """Count of each kind no more than one value: of a sum that may never end."""
    place = words[o + PLACE]
    near_one = NEAR_ONE if place & NEARS != 0 else 0
    words[o + PLACE] = (place & (NEAR_ONE - 1)) | near_one | (FAR_ONE if place >= FAR_ONE else 0)


@njit(nogil=True, cache=True)
def settle(words: Int64s, o: int, far: int) -> None:
    """Make room for 2**20 values more in a sum that may never end: one almost full is far from here on."""
    if not -ALMOST_FULL <= words[o + HIGH] < ALMOST_FULL:
        _add_digits(words, o + LOW, 2, words[o + PLACE] & BASE, far)
        words[o + LOW] = words[o + HIGH] = 0
        words[o + PLACE] = (words[o + PLACE] & (NEAR_ONE - 1)) | FAR_ONE
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
def unit_of(base: int, power: int) -> int:
    """The power of 2 that the higher word of a sum counts once `wide_kernel.normal` has moved it."""
    return base + 64 - power - UNIT


@njit(nogil=True, cache=True, forceinline=True)
def nearest(words: Int64s, o: int, far: int) -> float:
    """A sum of values rounded, half to even; infinite where it is too large."""
    if words[o + PLACE] >= FAR_ONE:
        whole(words, o, far)
        return float(exact.nearest(words, WHOLE))
    low, high, power = wide.normal(words[o + LOW], words[o + HIGH])
    return exact.rounded_words(high, low, unit_of(words[o + PLACE] & BASE, power))


@njit(nogil=True, cache=True)
def far_sums(words: Int64s, o: int, far: int, n: int) -> tuple[float, float, float]:
    """A sum rounded by all digits, what is left of it, and the sum by n, rounded once; 0 where n is 0."""
    whole(words, o, far)
    total, rest = exact.rounded(words, WHOLE)
    if n == 0:
        return total, rest, 0.0
    return total, rest, exact.quotient(words, WHOLE, n, total, rest)


@njit(nogil=True, cache=True)
def divided(words: Int64s, low: int, high: int, base: int, n: int) -> float:
    """A sum of two words, not 0, by n, rounded once."""
    words[NUMBERS], words[NUMBERS + 1] = low, high
    exact.clear(words, WHOLE)
    _add_digits(words, NUMBERS, 2, base, WHOLE)
    return float(exact.divided(words, WHOLE, n))


@njit(nogil=True, cache=True, forceinline=True)
def spread(
    n: int, low: int, high: int, w0: int, w1: int, w2: int, w3: int, base: int
) -> tuple[int, int, int]:
    """n * Sxx - Sx * Sx of a sum of two words and of squares, four: its 127 highest bits in two words, and
    their unit.

    The first word counts units of 2**unit; 0 for a difference of 0.
    """
    w0, w1, w2, w3 = wide.spread(n, low, high, w0, w1, w2, w3)
    place = 3
    if w3 == 0:
        w3, w2, w1, w0, place = w2, w1, w0, 0, 2
        if w3 == 0:
            w3, w2, w1, place = w2, w1, 0, 1
            if w3 == 0:
                w3, w2, place = w2, 0, 0
                if w3 == 0:
                    return 0, 0, 0
    upper, lower, zeros = wide.top(w1, w2, w3)
    return upper, lower, 64 * place - zeros + 1 + 2 * base - PRODUCT_UNIT


@njit(nogil=True, cache=True, forceinline=True)
def is_near(base: int, bits: int) -> bool:
    """Whether the float with these bits is near, for sums with this base."""
    exponent, mantissa = parts_of(bits)
    return mantissa == 0 or 0 <= exponent - base < SPAN


@njit(nogil=True, cache=True, forceinline=True)
def distance(n: int, low: int, high: int, base: int, bits: int) -> tuple[int, int, int]:
    """n * x - Sx, of the float x with these bits, which is near, as `exact_kernel.split` takes it."""
    exponent, mantissa = parts_of(bits)
    shift = exponent - base if mantissa != 0 else 0
    x, x_high = wide.shifted(mantissa, shift)
    x, x_high = wide.two_sum(0, 0, x, x_high, -1 if bits < 0 else 1)
    low, high = wide.distance(n, x, x_high, low, high)
    low, high, power = wide.normal(low, high)
    return high, low, unit_of(base, power)
