"""Values as a browser can take them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

# A browser's numbers are doubles: whole ones beyond this are told apart no more.
EXACT_MAX: Final = 1 << 53


def browser_json(value: object) -> str:
    """The value as JSON; a whole number beyond 2**53 is its decimal text, and what is no number is null."""
    return json.dumps(_exact(value), separators=(",", ":"), allow_nan=False)


def _exact(value: object) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -EXACT_MAX <= value <= EXACT_MAX else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_exact(item) for item in value]
    return str(value)
