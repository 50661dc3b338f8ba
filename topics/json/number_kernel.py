"""Decimal numbers as loops over digits: to float64 bits, rightly rounded, or to 128-bit integers, exactly.

Words hold numbers without a sign where said so; comparisons turn the sign bit then.
"""

from typing import Final

import numpy as np
from numba import njit

from schemas.batch import Int64s
from topics.json.text_kernel import is_digit
from topics.raw_access import double_bits, leading_zeros, load_byte, load_word, multiply_high

DIGITS_MAX = 19  # a word holds any number of so many digits
EXPONENT_MAX = 10**10  # beyond any number of digits a message has room for
_SIGN = -(2**63)
_MINUS = 0x2D
_ZEROS = 0x3030303030303030
_SIXES = 0x0606060606060606
_UPPER_HALVES = -0x0F0F0F0F0F0F0F10  # 0xF0 in every byte
_ALL_ONES = -1
_LOW_NINE = 0x1FF

_POWER_MIN: Final = -342
_POWER_MAX: Final = 308


def _power_of_five(exponent: int) -> int:
    """The first 128 bits of 5**exponent, rounded down; up where the inverse power fits a word."""
    if exponent >= 0:
        power: int = 5**exponent
        shift = 128 - power.bit_length()
        return power << shift if shift >= 0 else power >> -shift
    power = 5**-exponent
    return (1 << (power.bit_length() + 127)) // power + (1 if exponent >= -27 else 0)


def _powers_of_five() -> tuple[Int64s, Int64s]:
    powers = [_power_of_five(exponent) for exponent in range(_POWER_MIN, _POWER_MAX + 1)]
    high = np.array([power >> 64 for power in powers], dtype=np.uint64)
    low = np.array([power & (2**64 - 1) for power in powers], dtype=np.uint64)
    return high.view(np.int64), low.view(np.int64)


_FIVES_HIGH, _FIVES_LOW = _powers_of_five()
_TENS = np.array([10.0**exponent for exponent in range(23)], dtype=np.float64)
_WHOLE_TENS = np.array([10**exponent for exponent in range(19)], dtype=np.int64)


@njit(nogil=True, cache=True, forceinline=True)
def _eight_digits(word: int) -> int:
    """The number that eight digits are, the first in the lowest byte; -1 where one of them is no digit.

    Pairs are joined to numbers of two digits, these to four, these to eight: three multiplications.
    """
    if (word & _UPPER_HALVES) != _ZEROS or ((word + _SIXES) & _UPPER_HALVES) != _ZEROS:
        return -1
    word -= _ZEROS
    word = (word * 10 + (word >> 8)) & 0x00FF00FF00FF00FF
    word = (word * 100 + (word >> 16)) & 0x0000FFFF0000FFFF
    return (word * 10_000 + (word >> 32)) & 0xFFFFFFFF


@njit(nogil=True, cache=True, forceinline=True)
def _read_digits(position: int, end: int, mantissa: int) -> tuple[int, int]:
    """Append digits to `mantissa`, which wraps beyond a word; return the position after them, and it."""
    while end - position >= 8:
        eight = _eight_digits(load_word(position))
        if eight < 0:
            break
        mantissa = mantissa * 100_000_000 + eight
        position += 8
    while is_digit(position, end):
        mantissa = mantissa * 10 + (load_byte(position) - 0x30)
        position += 1
    return position, mantissa


@njit(nogil=True, cache=True)
def _first_digits(position: int, stop: int) -> tuple[int, int, bool]:
    """Read the first digits that count of those between two positions, as many as a word holds.

    Returns their number, how many more there are, and whether one of these is not 0.
    """
    mantissa = 0
    taken = 0
    dropped = 0
    cut = False
    while position < stop:
        byte = load_byte(position)
        position += 1
        if byte == 0x2E:
            continue
        if taken == DIGITS_MAX:
            dropped += 1
            cut = cut or byte != 0x30
            continue
        if taken or byte != 0x30:
            taken += 1
        mantissa = mantissa * 10 + (byte - 0x30)
    return mantissa, dropped, cut


@njit(nogil=True, cache=True, forceinline=True)
def read_number(position: int, end: int) -> tuple[int, int, int, bool]:
    """Read a number by JSON's grammar, after its minus: it is `mantissa` (no sign) times 10**`exponent`.

    Returns the position after it (-1 where there is no number), both, and whether digits had to be cut off.
    """
    start = position
    if not is_digit(position, end):
        return -1, 0, 0, False
    mantissa = 0
    if load_byte(position) == 0x30:
        position += 1
    else:
        position, mantissa = _read_digits(position, end, 0)
    digits = position - start
    exponent = 0
    cut = False
    if position < end and load_byte(position) == 0x2E:
        point = position + 1
        if not is_digit(point, end):
            return -1, 0, 0, False
        position, mantissa = _read_digits(point, end, mantissa)
        exponent = point - position
        digits += position - point
    if digits > DIGITS_MAX:
        mantissa, dropped, cut = _first_digits(start, position)
        exponent += dropped
    if position < end and load_byte(position) | 0x20 == 0x65:
        position, power = read_exponent(position + 1, end)
        if position < 0:
            return -1, 0, 0, False
        exponent += power
    return position, mantissa, exponent, cut


@njit(nogil=True, cache=True)
def read_exponent(position: int, end: int) -> tuple[int, int]:
    """Read what follows the letter E; return the position after it (-1 where it is none) and the exponent."""
    negative = position < end and load_byte(position) == _MINUS
    if negative or (position < end and load_byte(position) == 0x2B):
        position += 1
    if not is_digit(position, end):
        return -1, 0
    power = 0
    while is_digit(position, end):
        power = min(power * 10 + (load_byte(position) - 0x30), EXPONENT_MAX)
        position += 1
    return position, -power if negative else power


@njit(nogil=True, cache=True)
def _rounded_bits(mantissa: int, exponent: int) -> int:
    """Return the bits of the float64 nearest to `mantissa` (no sign, not 0) times 10**`exponent`.

    Returns -1 where this way cannot tell: near a tie, and for numbers below the normal or above the largest.
    Source: Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51(8), 2021.
    """
    if exponent < _POWER_MIN or exponent > _POWER_MAX:
        return -1
    zeros = leading_zeros(mantissa)
    mantissa <<= zeros
    place = exponent - _POWER_MIN
    low = mantissa * _FIVES_HIGH[place]
    high = multiply_high(mantissa, _FIVES_HIGH[place])
    if high & _LOW_NINE == _LOW_NINE:
        # What the power has beyond its first word may carry into the bits that are kept.
        more = multiply_high(mantissa, _FIVES_LOW[place])
        low += more
        if (low ^ _SIGN) < (more ^ _SIGN):
            high += 1
        if low == _ALL_ONES:
            return -1
    upper = 1 if high < 0 else 0
    bits = (high >> (upper + 9)) & ((1 << (55 - upper)) - 1)
    if (low == 0 or low == 1) and bits & 3 == 1 and bits << (upper + 9) == high:
        return -1  # just between two floats, or as good as that
    # 217706 / 2**16 is the binary logarithm of 10, near enough for these exponents.
    binary = ((217_706 * exponent) >> 16) + 63 + upper - zeros + 1023
    bits = (bits + (bits & 1)) >> 1
    if bits == 1 << 53:
        bits = 1 << 52
        binary += 1
    if binary <= 0 or binary >= 2047:
        return -1
    return (binary << 52) | (bits & ((1 << 52) - 1))


@njit(nogil=True, cache=True, forceinline=True)
def float_bits(mantissa: int, exponent: int, cut: bool) -> int:
    """Return the bits of the float64 nearest to a number without its sign, or -1 where that is hard to say.

    A float64 holds small mantissas and powers of ten exactly, so that one operation rounds once.
    Source: Clinger, "How to read floating point numbers accurately", PLDI 1990.
    """
    if not cut and 0 <= mantissa < 2**53 and -22 <= exponent <= 22:
        if exponent < 0:
            return double_bits(np.float64(mantissa) / _TENS[-exponent])
        return double_bits(np.float64(mantissa) * _TENS[exponent])
    if mantissa == 0:
        return 0
    bits = _rounded_bits(mantissa, exponent)
    # Digits that were cut off lie below one unit of the mantissa: where both ends agree, so does all between.
    if cut and _rounded_bits(mantissa + 1, exponent) != bits:
        return -1
    return bits


@njit(nogil=True, cache=True, forceinline=True)
def above(high: int, low: int, high_max: int, low_max: int) -> bool:
    """Whether a number of two words without sign, below 2**127, is above another."""
    return high > high_max or (high == high_max and (low ^ _SIGN) > (low_max ^ _SIGN))


@njit(nogil=True, cache=True)
def _scaled_digits(start: int, stop: int, scale: int) -> tuple[int, int, bool]:
    """Return the number between two positions times 10**`scale` as two words, and whether it is whole.

    `start` is after the minus, and it is a number.  A number of 2**127 or more counts as not whole.
    """
    point = start
    while is_digit(point, stop):
        point += 1
    last = point
    if last < stop and load_byte(last) == 0x2E:
        last += 1
        while is_digit(last, stop):
            last += 1
    power = 0
    if last < stop:
        _, power = read_exponent(last + 1, stop)
    kept = point - start + power + scale  # digits before the point, once it has moved
    high = 0
    low = 0
    position = start
    while position < last:
        byte = load_byte(position)
        position += 1
        if byte == 0x2E:
            continue
        if kept <= 0:
            if byte != 0x30:
                return 0, 0, False
            continue
        kept -= 1
        high, low = _ten_times(high, low, byte - 0x30)
        if high < 0:
            return 0, 0, False
    while kept > 0 and (high != 0 or low != 0):
        kept -= 1
        high, low = _ten_times(high, low, 0)
        if high < 0:
            return 0, 0, False
    return high, low, True


@njit(nogil=True, cache=True, forceinline=True)
def _ten_times(high: int, low: int, digit: int) -> tuple[int, int]:
    """Return ten times a number of two words and a digit; the high word is below 0 where that is too much."""
    if high >= 2**63 // 10:
        return -1, 0
    high = high * 10 + multiply_high(low, 10)
    low = low * 10
    if (low ^ _SIGN) > ((low + digit) ^ _SIGN):
        high += 1
    return high, low + digit


@njit(nogil=True, cache=True, forceinline=True)
def scaled(
    start: int, stop: int, mantissa: int, exponent: int, cut: bool, scale: int
) -> tuple[int, int, bool]:
    """Return a number, read between two positions, times 10**`scale`, as `_scaled_digits` does."""
    shift = exponent + scale
    if not cut and mantissa >= 0 and -18 <= shift <= 18:
        if shift >= 0:
            power = _WHOLE_TENS[shift]
            return multiply_high(mantissa, power), mantissa * power, True
        power = _WHOLE_TENS[-shift]
        whole = mantissa // power
        return 0, whole, whole * power == mantissa
    return _scaled_digits(start, stop, scale)
