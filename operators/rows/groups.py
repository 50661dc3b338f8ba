"""Groups: the keys a task has seen, each with one number that stays the same while the task lives."""

import numpy as np
import pyarrow as pa

from operators.rows.key_table import KeyTable
from schemas.batch import Int32s

NO_GROUP = -1  # a null key: it matches nothing


class Groups:
    """Numbers keys from 0 in the order they are first seen.

    The table only grows: a join without a tolerance needs the last row of every key for ever.
    """

    def __init__(self) -> None:
        self._table = KeyTable(strings=True)

    def __len__(self) -> int:
        return self._table.count

    def codes(self, keys: pa.BinaryArray, key_code: Int32s) -> Int32s:
        """Turn a batch's own key codes into the task's; -1 stays -1.  Looks up each distinct key once."""
        table = np.empty(len(keys) + 1, np.int32)
        self._table.codes(keys, insert=True, out=table[:-1])
        table[-1] = NO_GROUP  # where a key code of -1 points
        return table[key_code]

    def key(self, code: int) -> bytes:
        """The key of one group."""
        return self._table.string(code)

    def keys(self, codes: Int32s) -> pa.BinaryArray:
        """The keys of many rows as a binary column, null for -1."""
        return self._table.strings(codes)
