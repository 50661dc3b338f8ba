"""Where many keys belong at once: the partitioner for the distinct keys of a block of messages."""

import numpy as np
import pyarrow as pa

from schemas.batch import Int32s
from topics.placement_kernel import find_homes


def home_partitions(keys: pa.BinaryArray, partitions: int) -> Int32s:
    """Return the partition of each key, int32, among `partitions`; no key is null."""
    assert partitions > 0
    assert keys.null_count == 0
    home = np.empty(len(keys), np.int32)
    if home.size == 0:
        return home
    _, offsets, data = keys.buffers()
    mine = np.frombuffer(offsets, np.int32)[keys.offset : keys.offset + home.size + 1]
    find_homes(0 if data is None else data.address, mine, partitions, home)
    return home
