"""JSON messages as Python values whose numbers remember how they are written."""

import json
from collections.abc import Sequence
from typing import Any, Final

Rows = Sequence[dict[str, Any]]

_INT64: Final = range(-(2**63), 2**63)
_DIGITS_MAX: Final = 20  # a longer whole number is beyond int64


class Fraction(str):
    """A number as it is written, which int64 does not hold: it has a fraction or an exponent, or is huge."""

    __slots__ = ()


def rows_of(value: bytes) -> Rows | None:
    """The objects of a message, which is one or an array of them; None where it is no such JSON."""
    try:
        whole = json.loads(value.decode(), parse_int=_whole, parse_float=Fraction, parse_constant=Fraction)
    except (ValueError, RecursionError):
        return None
    if isinstance(whole, dict):
        return [whole]
    if isinstance(whole, list) and all(isinstance(row, dict) for row in whole):
        return whole
    return None


def _whole(text: str) -> int | Fraction:
    if len(text) <= _DIGITS_MAX and (number := int(text)) in _INT64:
        return number
    return Fraction(text)
