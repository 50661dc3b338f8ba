"""Times in text: ISO 8601 and decimal numbers, read exactly, byte by byte."""

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Int64s
from topics.raw_access import load_byte

# What became of a time.
READ: Final = 0
NO_TIME: Final = 1
BEYOND: Final = 2

_NS_PER_S: Final = 1_000_000_000
_MAX: Final = 9_223_372_036_854_775_807
_DIGITS_MAX: Final = 400  # of an exponent and of a number: float64's largest number has 309
_ZERO: Final = 0x30


@njit(nogil=True, cache=True, forceinline=True)
def _two_digits(at: int) -> int:
    """Two digits as a number, or -1."""
    high, low = load_byte(at) - _ZERO, load_byte(at + 1) - _ZERO
    if high < 0 or high > 9 or low < 0 or low > 9:
        return -1
    return high * 10 + low


@njit(nogil=True, cache=True, forceinline=True)
def _days_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date of the Gregorian calendar, or a number below all of them.

    The year is counted from March, so that the leap day comes last.
    """
    if month < 1 or month > 12 or day < 1:
        return -_MAX
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if month == 2:
        last = 29 if leap else 28
    elif month in (4, 6, 9, 11):
        last = 30
    else:
        last = 31
    if day > last:
        return -_MAX
    shifted = year - (1 if month <= 2 else 0)
    since_march = (month + 9) % 12
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400
    return days + (153 * since_march + 2) // 5 + day - 1 - 719_468


@njit(nogil=True, cache=True)
def _read_offset(at: int, end: int) -> int:
    """Seconds east of Greenwich of `Z`, `+hh`, `+hhmm` or `+hh:mm`, or -_MAX for anything else."""
    sign = load_byte(at)
    if sign == 0x5A or sign == 0x7A:
        return 0 if end - at == 1 else -_MAX
    if (sign != 0x2B and sign != 0x2D) or end - at < 3:
        return -_MAX
    hours, minutes = _two_digits(at + 1), 0
    rest = at + 3
    if rest < end:
        if load_byte(rest) == 0x3A:
            rest += 1
        if end - rest != 2:
            return -_MAX
        minutes = _two_digits(rest)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return -_MAX
    seconds = 3_600 * hours + 60 * minutes
    return -seconds if sign == 0x2D else seconds


@njit(nogil=True, cache=True)
def _read_fraction(at: int, end: int) -> tuple[int, int]:
    """Nanoseconds of the digits from `at` on, cut off after the ninth; and the address after the last."""
    nanos = 0
    unit = _NS_PER_S
    while at < end:
        digit = load_byte(at) - _ZERO
        if digit < 0 or digit > 9:
            break
        unit //= 10
        nanos += digit * unit
        at += 1
    return nanos, at


@njit(nogil=True, cache=True)
def _iso_time(at: int, end: int) -> tuple[int, int, int, int]:
    """Return seconds since the epoch, nanoseconds beyond, whether a zone is named, and what became of it."""
    if end - at < 16 or load_byte(at + 4) != 0x2D or load_byte(at + 7) != 0x2D:
        return 0, 0, 0, NO_TIME
    century, year = _two_digits(at), _two_digits(at + 2)
    month, day = _two_digits(at + 5), _two_digits(at + 8)
    between = load_byte(at + 10)
    hour, minute = _two_digits(at + 11), _two_digits(at + 14)
    if century < 0 or year < 0 or load_byte(at + 13) != 0x3A:
        return 0, 0, 0, NO_TIME
    if between != 0x54 and between != 0x74 and between != 0x20:
        return 0, 0, 0, NO_TIME
    days = _days_of(100 * century + year, month, day)
    second, nanos = 0, 0
    at += 16
    if at < end and load_byte(at) == 0x3A:
        if end - at < 3:
            return 0, 0, 0, NO_TIME
        second = _two_digits(at + 1)
        at += 3
        if at < end and (load_byte(at) == 0x2E or load_byte(at) == 0x2C):
            first = at + 1
            nanos, at = _read_fraction(first, end)
            if at == first:
                return 0, 0, 0, NO_TIME
    if days == -_MAX or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return 0, 0, 0, NO_TIME
    seconds = 86_400 * days + 3_600 * hour + 60 * minute + second
    if at == end:
        return seconds, nanos, 0, READ
    offset = _read_offset(at, end)
    if offset == -_MAX:
        return 0, 0, 0, NO_TIME
    return seconds - offset, nanos, 1, READ


@njit(nogil=True, cache=True)
def read_iso(data: int, bounds: Int64s, ns: Int64s, state: Int64s, local: npt.NDArray[np.bool_]) -> None:
    """Read texts of ISO 8601's extended form: `2024-01-15T09:30:00.123456789-05:00`.

    A space may stand for the T, a comma for the point; seconds, fraction and zone may be missing.  Text `i`
    lies from `bounds[i]` to `bounds[i + 1]` behind `data`.  Its UTC nanoseconds go to `ns`, or those of the
    wall clock where it names no zone, and then `local` is true.  Rows whose state is not READ are left out.
    """
    for row in range(ns.size):
        if state[row] != READ:
            continue
        seconds, nanos, zoned, state[row] = _iso_time(data + bounds[row], data + bounds[row + 1])
        local[row] = zoned == 0
        if seconds > _MAX // _NS_PER_S - 1 or seconds < -(_MAX // _NS_PER_S) + 1:
            state[row] = BEYOND
        elif state[row] == READ:
            ns[row] = seconds * _NS_PER_S + nanos


@njit(nogil=True, cache=True)
def _digits(first: int, end: int) -> tuple[int, int]:
    """Return where the digits of a number stop, and where its point stands among them, or after the last."""
    at = first
    point = -1
    while at < end:
        byte = load_byte(at)
        if byte == 0x2E and point < 0:
            point = at
        elif byte < _ZERO or byte > 0x39:
            break
        at += 1
    return at, at if point < 0 else point


@njit(nogil=True, cache=True)
def _exponent(at: int, end: int) -> int:
    """Read what stands after the digits, nothing or `e` and a whole number; _MAX for anything else.

    An exponent that moves the point beyond all digits there can be is cut to that.
    """
    if at == end:
        return 0
    if load_byte(at) | 0x20 != 0x65 or at + 1 == end:
        return _MAX
    at += 1
    below = load_byte(at) == 0x2D
    if below or load_byte(at) == 0x2B:
        at += 1
    if at == end:
        return _MAX
    exponent = 0
    while at < end:
        digit = load_byte(at) - _ZERO
        if digit < 0 or digit > 9:
            return _MAX
        exponent = min(10 * exponent + digit, _DIGITS_MAX)
        at += 1
    return -exponent if below else exponent


@njit(nogil=True, cache=True)
def _decimal_time(at: int, end: int, to_ns: int) -> tuple[int, int]:
    """Read a JSON number times 10 ** `to_ns`, down to a whole number; return it and what became of it."""
    negative = at < end and load_byte(at) == 0x2D
    first = at + 1 if negative else at
    digits_end, point = _digits(first, end)
    exponent = _exponent(digits_end, end)
    if first == point or point == digits_end - 1 or digits_end - first > _DIGITS_MAX or exponent == _MAX:
        return 0, NO_TIME
    if load_byte(first) == _ZERO and point - first > 1:
        return 0, NO_TIME
    # Digits that stand before the point once it has moved.
    value = 0
    places = point - first + exponent + to_ns
    at = first
    while places > 0:
        digit = 0
        if at < digits_end:
            if at == point:
                at += 1
            digit = load_byte(at) - _ZERO
            at += 1
        elif value == 0:
            break
        if value > (_MAX - digit) // 10:
            return 0, BEYOND
        value = 10 * value + digit
        places -= 1
    if not negative:
        return value, READ
    # Before 1970 too a time is cut off towards the past.
    while at < digits_end:
        if at != point and load_byte(at) != _ZERO:
            return -value - 1, READ
        at += 1
    return -value, READ


@njit(nogil=True, cache=True)
def read_numbers(data: int, bounds: Int64s, to_ns: int, ns: Int64s, state: Int64s) -> None:
    """Read texts that hold a number in JSON's form, in units of 10 ** -`to_ns` s of nanoseconds.

    Text `i` lies from `bounds[i]` to `bounds[i + 1]` behind `data`.  Rows whose state is not READ are left
    out.
    """
    for row in range(ns.size):
        if state[row] == READ:
            ns[row], state[row] = _decimal_time(data + bounds[row], data + bounds[row + 1], to_ns)
