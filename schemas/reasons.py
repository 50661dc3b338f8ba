"""Why a feature of a row has no value, or a lesser one: reasons by number, and a frame's header of counts."""

import json
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from schemas.json_text import read_json

# The number of a reason is its place, in status columns too.  Where the last one stands there may be a value.
REASONS: Final = ("ok", "null_in", "warming", "domain", "failed", "off", "truncated")
OK: Final = REASONS.index("ok")
NULL_IN: Final = REASONS.index("null_in")
WARMING: Final = REASONS.index("warming")
DOMAIN: Final = REASONS.index("domain")
FAILED: Final = REASONS.index("failed")  # the function raised on the tile
OFF: Final = REASONS.index("off")  # it had failed too often in a row

TRUNCATED: Final = REASONS.index("truncated")  # `max_rows` cut a window short

STATUS: Final = "_status"  # ends the name of a column that has the reason of another one
COUNT_MAX: Final = 2**31  # more rows than a frame has

# By feature that has a null, or a value that was cut, by reason: how many rows.  Reasons and features without
# a row are left out.
Nulls: TypeAlias = Mapping[str, Mapping[str, int]]


def encode_nulls(nulls: Nulls) -> bytes:
    """The counts as a header, JSON in ASCII."""
    return json.dumps(nulls, separators=(",", ":")).encode()


def decode_nulls(text: bytes) -> Nulls:
    """Read what `encode_nulls` wrote; raises ValueError for anything else.

    A reason that is not known here counts all the same: a newer worker may have more of them.
    """
    nulls = read_json(text)
    if not isinstance(nulls, dict) or not all(map(_are_counts, nulls.values())):
        raise ValueError(f"no counts of nulls: {text!r}")
    return nulls


def nulls_size_max(features: Iterable[str]) -> int:
    """How many bytes the header of a frame with these features has at most."""
    return len(encode_nulls({name: dict.fromkeys(REASONS[1:], COUNT_MAX) for name in features}))


def summed_nulls(parts: Iterable[Nulls]) -> dict[str, dict[str, int]]:
    """The counts of all these frames together."""
    total: dict[str, dict[str, int]] = {}
    for part in parts:
        for feature, counts in part.items():
            of_feature = total.setdefault(feature, {})
            for reason, count in counts.items():
                of_feature[reason] = of_feature.get(reason, 0) + count
    return total


def _are_counts(counts: object) -> bool:
    return isinstance(counts, dict) and all(type(count) is int and count > 0 for count in counts.values())
