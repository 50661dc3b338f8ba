"""A table of distinct keys: it numbers those that are new, or only looks up the ones it has."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.rows.buffers import bytes_array
from operators.rows.bytes_kernel import copy_spans
from operators.rows.key_kernel import number_codes, refill_slots, string_codes
from operators.rows.views import Array, frozen, offset_view, value_view, word_view

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]

SLOTS_MIN: Final = 8192  # 32 kB: a few thousand symbols seldom collide, and it stays in the cache
ARENA_MIN: Final = 4096


class KeyTable:
    """Codes 0, 1, 2, ... for keys in the order they are first met; `strings` or 64-bit numbers.

    Three of four slots are used at most, so a full table of numbers costs 16 bytes a distinct key; it doubles
    when full.  Strings are kept once, end to end, in an arena.
    """

    def __init__(self, *, strings: bool) -> None:
        self.count = 0
        self._strings = strings
        self._slots: Int32s = np.full(SLOTS_MIN, -1, np.int32)
        self._words = np.empty(SLOTS_MIN * 3 // 4, np.uint64)
        self._starts: Int64s = np.zeros(self._words.size + 1 if strings else 1, np.int64)
        self._arena = np.empty(ARENA_MIN if strings else 0, np.uint8)

    def codes(self, values: pa.Array, *, insert: bool, out: Int32s) -> None:
        """Write the code of each value into `out`; -1 for a new one unless `insert`.  Nulls get any code."""
        if self._strings:
            offsets, data = offset_view(values)
            data_words = word_view(data)
        else:
            words = frozen(value_view(values, np.int64).view(np.uint64))
        row = 0
        # The loops hash by wrapping multiplication, of which plain numpy would warn.
        with np.errstate(over="ignore"):
            while row < out.size:
                if self._strings:
                    row, self.count = string_codes(
                        offsets,
                        data,
                        data_words,
                        row,
                        insert,
                        self._slots,
                        self._words,
                        self._starts,
                        self._arena,
                        self.count,
                        out,
                    )
                else:
                    row, self.count = number_codes(
                        words, row, insert, self._slots, self._words, self.count, out
                    )
                if row < out.size:
                    self._grow(int(np.diff(offsets).max()) if self._strings else 0)

    def string(self, code: int) -> bytes:
        """The string with this code."""
        return self._arena[self._starts[code] : self._starts[code + 1]].tobytes()

    def strings(self, codes: Int32s) -> pa.BinaryArray:
        """The strings of many codes, null for -1."""
        rows = codes.astype(np.int64)
        valid = rows >= 0
        sizes = np.where(
            valid, self._starts.take(rows + 1, mode="clip") - self._starts.take(rows, mode="clip"), 0
        )
        bounds = np.zeros(rows.size + 1, np.int64)
        np.cumsum(sizes, out=bounds[1:])
        data = np.empty(int(bounds[-1]), np.uint8)
        copy_spans(self._arena, self._starts, rows, bounds, data)
        return bytes_array(pa.binary(), data, bounds, None if valid.all() else valid)

    def _grow(self, size_max: int) -> None:
        if self._strings and int(self._starts[self.count]) + size_max > self._arena.size:
            self._arena = extended(self._arena, max(2 * self._arena.size, self._arena.size + size_max))
        if self.count == self._words.size:
            self._slots = np.full(2 * self._slots.size, -1, np.int32)
            self._words = extended(self._words, self._slots.size * 3 // 4)
            if self._strings:
                self._starts = extended(self._starts, self._words.size + 1)
            refill_slots(self._words, self.count, self._slots)


def extended(array: Array, size: int) -> Array:
    """Return a longer copy whose new part is unspecified."""
    longer = np.empty(size, array.dtype)
    longer[: array.size] = array
    return longer
