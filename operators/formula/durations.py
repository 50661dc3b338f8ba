"""Lengths of time as formulas write them: a whole number and its unit, such as '250ms' or '5m'."""

import re
from typing import Final

UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3_600 * 1_000_000_000,
    "d": 24 * 3_600 * 1_000_000_000,
}
DURATION: Final = re.compile(r"([0-9]{1,19})(ns|us|ms|s|m|h|d)")
DURATION_NS_MAX: Final = 2**63 - 1

# Settings of functions that see other rows: how many rows, or how long.
OF_WINDOWS: Final = frozenset({"rows", "ns", "half_life", "half_life_ns", "min_count"})


def duration_ns(text: str) -> int | None:
    """Nanoseconds; None where the text is no duration, or one that does not fit in 64 bits."""
    match = DURATION.fullmatch(text)
    if match is None:
        return None
    length_ns = int(match[1]) * UNITS_NS[match[2]]
    return length_ns if length_ns <= DURATION_NS_MAX else None
