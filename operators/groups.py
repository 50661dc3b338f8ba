"""Groups: the keys a task has seen, each with one number that stays the same while the task lives."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from schemas.batch import Int32s

NO_GROUP = -1  # a null key: it matches nothing


class Groups:
    """Numbers keys from 0 in the order they are first seen.

    The table only grows: a join without a tolerance needs the last row of every key for ever.
    """

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._code = _Numbering(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def codes(self, keys: Sequence[bytes], key_code: Int32s) -> Int32s:
        """Turn a batch's own key codes into the task's; -1 stays -1.  Looks up each distinct key once."""
        table = np.empty(len(keys) + 1, np.int32)
        table[:-1] = [*map(self._code.__getitem__, keys)]
        table[-1] = NO_GROUP  # where a key code of -1 points
        return table[key_code]

    def key(self, code: int) -> bytes:
        """The key of one group."""
        return self._keys[code]

    def keys(self, codes: Int32s) -> pa.Array:
        """The keys of many rows as a binary column, null for -1."""
        used, place = np.unique(codes, return_inverse=True)
        distinct = pa.array([None if c < 0 else self._keys[c] for c in used], pa.binary())
        return distinct.take(pa.array(place))


class _Numbering(dict[bytes, int]):
    """Gives a key that is looked up for the first time the next number."""

    def __init__(self, keys: list[bytes]) -> None:
        super().__init__()
        self._keys = keys

    def __missing__(self, key: bytes) -> int:
        code = self[key] = len(self._keys)
        self._keys.append(key)
        return code
