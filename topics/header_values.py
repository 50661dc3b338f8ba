"""One header of many messages, looked up in lists of headers: what blocks do whose messages are Python's."""

from collections.abc import Iterable

import numpy as np

from topics.block import NO_HEADER, Headers, HeaderValues
from topics.joined import join


def header_values(headers: Iterable[Headers | None], name: str) -> HeaderValues:
    """Return the value of a header in each of these lists, of several the last one."""
    values: list[bytes | None] = []
    missing: list[int] = []
    for own in headers:
        for key, value in reversed(own or ()):
            if key == name:
                values.append(value)
                break
        else:
            missing.append(len(values))
            values.append(None)
    joined = join(values)
    joined.size[missing] = NO_HEADER
    return HeaderValues(joined.address.view(np.int64), joined.size, joined.data)
