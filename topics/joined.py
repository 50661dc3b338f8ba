"""Byte strings joined end to end, with the address and size of each: how a block holds keys and values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.batch import Int64s


@dataclass(frozen=True, slots=True)
class Joined:
    """`size` strings; one of size -1 is a null.  Addresses hold as long as `data` is referred to."""

    data: bytes
    address: npt.NDArray[np.uint64]
    size: Int64s


def join(strings: Sequence[bytes | None]) -> Joined:
    """Join `strings`, without a Python step per string unless there are nulls among them."""
    try:
        data = b"".join(strings)  # type: ignore[arg-type]
        size = np.fromiter(map(len, strings), np.int64, count=len(strings))  # type: ignore[arg-type]
        length = size
    except TypeError:
        data = b"".join([string for string in strings if string is not None])
        size = np.fromiter(
            (-1 if string is None else len(string) for string in strings), np.int64, count=len(strings)
        )
        length = np.maximum(size, 0)
    start = np.cumsum(length) - length
    return Joined(data, address_of(data) + start.astype(np.uint64), size)


def address_of(data: bytes) -> np.uint64:
    """Return where the bytes lie; an empty string has an address too, which must not be read."""
    if not data:
        return np.uint64(0)
    return np.uint64(np.frombuffer(data, np.uint8).__array_interface__["data"][0])
