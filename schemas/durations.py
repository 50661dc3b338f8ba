"""Durations as people write them, `2s` or `500ms`, in exact nanoseconds.

Numbers are read digit by digit: `0.1s` is 100,000,000 ns, and what is no whole nanosecond is refused.
"""

import re
from datetime import timedelta
from typing import Final

import numpy as np

from schemas.clocks import NS_PER_DAY, NS_PER_MS, NS_PER_S

UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign ...
    "\u03bcs": 1_000,  # ... and the Greek letter that some keyboards give for it
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "min": 60 * NS_PER_S,
    "h": 3_600 * NS_PER_S,
    "d": NS_PER_DAY,
}
NUMPY_UNITS: Final = {"ns": 1, "us": 1_000, "ms": NS_PER_MS, "s": NS_PER_S, "m": 60 * NS_PER_S} | {
    "h": 3_600 * NS_PER_S,
    "D": NS_PER_DAY,
    "W": 7 * NS_PER_DAY,
}
NS_MAX: Final = 2**63 - 1
EXPECTED: Final = 'expected a duration such as "2s", "500ms", "250us" or whole nanoseconds'

_WRITTEN: Final = re.compile(r"([+-]?)([0-9]+(?:_[0-9]+)*)(?:\.([0-9]+))?\s*([a-z\u00b5\u03bc]*)")
_DIGITS_MAX: Final = 40  # of a number in text; beyond it no unit makes it a duration


class DurationError(ValueError):
    """This is no duration; the message says what was expected, and the caller where it stands."""


def duration_ns(value: object) -> int:
    """Return a duration in nanoseconds, at least 0 and within int64.

    Text is a number with one of `UNITS`, without a unit whole nanoseconds; `m` is minutes.  Whole numbers are
    nanoseconds; `datetime.timedelta`, `pandas.Timedelta` and `numpy.timedelta64` are what they say.  Raises
    DurationError for everything else, so for floats, and for a fraction of a nanosecond.
    """
    if isinstance(value, str):
        ns = _text_ns(value)
    elif isinstance(value, timedelta):
        # A pandas.Timedelta is one, and keeps what is below a microsecond in an attribute of its own.
        micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
        ns = micros * 1_000 + int(getattr(value, "nanoseconds", 0))
    elif isinstance(value, np.timedelta64):
        ns = _numpy_ns(value)
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        ns = int(value)
    else:
        raise DurationError(EXPECTED)
    if ns < 0:
        raise DurationError('expected a duration of 0 or more, such as "2s" or "500ms"')
    if ns > NS_MAX:
        raise DurationError("expected at most 292 years, which int64 nanoseconds can hold")
    return ns


def duration_text(ns: int) -> str:
    """Return the shortest text that `duration_ns` reads as these nanoseconds: `2s`, `1500ms`, `0s`."""
    if ns == 0:
        return "0s"
    unit = next(unit for unit in ("d", "h", "min", "s", "ms", "us", "ns") if ns % UNITS[unit] == 0)
    return f"{ns // UNITS[unit]}{unit}"


def _text_ns(text: str) -> int:
    written = _WRITTEN.fullmatch(text.strip())
    if written is None or len(text) > _DIGITS_MAX:
        raise DurationError(EXPECTED)
    sign, whole, fraction, unit = written[1], written[2], written[3] or "", written[4]
    if unit not in UNITS and (unit or fraction):
        raise DurationError(EXPECTED)
    scale: int = 10 ** len(fraction)
    ns, rest = divmod(int(whole + fraction) * UNITS[unit or "ns"], scale)
    if rest:
        raise DurationError("expected whole nanoseconds: a fraction of one is no duration here")
    return -ns if sign == "-" else ns


def _numpy_ns(value: np.timedelta64) -> int:
    unit, count = np.datetime_data(value.dtype)
    if np.isnat(value) or unit not in NUMPY_UNITS:
        raise DurationError(EXPECTED)
    return int(value.astype(np.int64).item()) * int(count) * NUMPY_UNITS[unit]
