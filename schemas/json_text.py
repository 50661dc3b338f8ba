"""JSON that others may have written, read with one kind of error: what is no number, or nested without end.

Python's own reader gives an infinity for `Infinity` and for `1e999`, which fails where it is made a whole
number, and runs out of depth for a few thousand brackets, each with an error that is no ValueError.
"""

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text, which is UTF-8 where it is bytes.

    Raises ValueError for anything else: also for numbers that are not finite, for whole ones beyond int64,
    and for what is nested deeper than Python can read.
    """
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _int64(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{text[:30]} is beyond int64")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(f"{text[:30]} is no finite number")
    return number


_DECODER = json.JSONDecoder(parse_int=_int64, parse_float=_finite, parse_constant=_finite)
