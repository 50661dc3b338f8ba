"""Decimals of Arrow as integers: their digits without the point."""

from typing import Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s

WORDS: Final = 2  # of 64 bits in a decimal128, the low one first
TOO_LARGE: Final = np.iinfo(np.int64).min  # in place of what does not fit


def digits_of(column: pa.Array) -> Int64s:
    """The digits of a decimal128 column, `TOO_LARGE` where they do not fit int64; at a null anything."""
    words = np.frombuffer(column.buffers()[1], np.int64)
    words = words[WORDS * column.offset : WORDS * (column.offset + len(column))].reshape(-1, WORDS)
    low, high = words[:, 0], words[:, 1]
    return np.where(high == low >> 63, low, TOO_LARGE)
