"""The message keys that have passed, numbered in the order in which they came."""

import numpy as np
import pyarrow as pa

from replay.keys import NO_KEY, key_codes
from schemas.batch import Int64s


class Groups:
    """Numbers message keys; a row without one belongs to the group of the empty key."""

    def __init__(self, key: tuple[str, ...]) -> None:
        self._key = key
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        """How many keys have passed."""
        return len(self._numbers)

    def numbers(self, rows: pa.RecordBatch) -> Int64s:
        """Return the number of each row's group, int64."""
        codes, keys = key_codes(rows, self._key)
        numbers = [self._number(key) for key in keys]
        if (codes == NO_KEY).any():
            codes = np.where(codes == NO_KEY, len(keys), codes)
            numbers.append(self._number(b""))
        return np.array(numbers, np.int64)[codes]

    def names(self) -> list[str]:
        """The keys as text, by their numbers."""
        return [key.decode(errors="backslashreplace") for key in self._numbers]

    def _number(self, key: bytes) -> int:
        return self._numbers.setdefault(key, len(self._numbers))
