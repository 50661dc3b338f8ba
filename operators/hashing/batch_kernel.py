"""Folds the plain columns of a batch into the hashes of its rows in one call, from where Arrow holds them.

A batch is read by its address, laid out as the Arrow C data interface says.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import carray as _carray  # type: ignore[attr-defined]
from numba import njit, types
from numba.extending import intrinsic

from operators.hashing.row_hash_kernel import (
    P1,
    P2,
    P3,
    P4,
    P5,
    R27,
    R31,
    R33,
    R37,
    ZERO,
    UInt64s,
    hash_bytes,
)

# What a column is: words or floats by their bytes, booleans as bits, or bytes by the width of their offsets.
LEFT_OUT: Final = 0
BITS: Final = 1
WORDS: Final = {1: 2, 2: 3, 4: 4, 8: 5}
FLOATS: Final = {4: 6, 8: 7}
BYTES: Final = {4: 8, 8: 9}
WORD_1, WORD_2, WORD_4, WORD_8 = WORDS.values()
FLOAT_4, FLOAT_8 = FLOATS.values()
BYTES_4, BYTES_8 = BYTES.values()

# Of an array in the C data interface: its words of 8 bytes, and which of them is what.
ARRAY_WORDS: Final = 10
NULLS: Final = 1
OFFSET: Final = 2
COUNT: Final = 3
BUFFERS: Final = 5
CHILDREN: Final = 6

SIGN_4, INFINITY_4 = np.uint64(1 << 31), np.uint64(0x7F800000)
SIGN_8, INFINITY_8 = np.uint64(1 << 63), np.uint64(0x7FF0000000000000)


def _at(_typing: Any, _address: Any) -> Any:
    """What lies at an address."""

    def code(target: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], target.get_value_type(types.voidptr))

    return types.voidptr(types.int64), code


_intrinsic: Any = intrinsic
_pointer: Callable[[int], Any] = _intrinsic(_at)
carray: Callable[[Any, int, Any], Any] = _carray


@njit(nogil=True, cache=True)
def fold_columns(
    address: int, kinds: npt.NDArray[np.int64], first: int, behind: int, rows: int, hashes: UInt64s
) -> None:
    """Fold the columns from `first` to before `behind` of the batch at an address, as `row_hash` does."""
    batch = carray(_pointer(address), ARRAY_WORDS, np.int64)
    children = carray(_pointer(batch[CHILDREN]), behind, np.int64)
    for c in range(first, behind):
        if kinds[c] == LEFT_OUT:
            continue
        column = carray(_pointer(children[c]), ARRAY_WORDS, np.int64)
        buffers = carray(_pointer(column[BUFFERS]), column[COUNT], np.int64)
        offset = batch[OFFSET] + column[OFFSET]
        valid = buffers[0] if column[NULLS] != 0 else 0
        data, end = buffers[1], offset + rows
        if kinds[c] == FLOAT_8:
            words8 = carray(_pointer(data), end, np.uint64)
            _fold_floats(words8, SIGN_8, INFINITY_8, valid, offset, hashes)
        elif kinds[c] == FLOAT_4:
            words4 = carray(_pointer(data), end, np.uint32)
            _fold_floats(words4, SIGN_4, INFINITY_4, valid, offset, hashes)
        elif kinds[c] == WORD_8:
            _fold_words(carray(_pointer(data), end, np.uint64), valid, offset, hashes)
        elif kinds[c] == WORD_4:
            _fold_words(carray(_pointer(data), end, np.uint32), valid, offset, hashes)
        elif kinds[c] == WORD_2:
            _fold_words(carray(_pointer(data), end, np.uint16), valid, offset, hashes)
        elif kinds[c] == WORD_1:
            _fold_words(carray(_pointer(data), end, np.uint8), valid, offset, hashes)
        elif kinds[c] == BYTES_4:
            bounds4 = carray(_pointer(data), end + 1, np.int32)
            _fold_bytes(buffers[2], bounds4, valid, offset, hashes)
        elif kinds[c] == BYTES_8:
            bounds8 = carray(_pointer(data), end + 1, np.int64)
            _fold_bytes(buffers[2], bounds8, valid, offset, hashes)
        else:
            _fold_bits(data, valid, offset, hashes)


@njit(nogil=True, cache=True)
def _is_set(bits: int, place: int) -> bool:
    """Whether the bit at a place of a bitmap is set; of no bitmap, at address 0, all are."""
    if bits == 0:
        return True
    held = carray(_pointer(bits + (place >> 3)), 1, np.uint8)
    return bool((held[0] >> (place & 7)) & 1)


@njit(nogil=True, cache=True)
def _fold(folded: np.uint64, word: np.uint64, valid: bool) -> np.uint64:
    """A hash with one value more: the round of `row_hash_kernel.fold_words`."""
    if not valid:
        return ((folded << R27) | (folded >> R37)) * P3 + P5
    word *= P2
    folded ^= ((word << R31) | (word >> R33)) * P1
    return ((folded << R27) | (folded >> R37)) * P1 + P4


@njit(nogil=True, cache=True)
def _fold_words(words: npt.NDArray[np.generic], valid: int, offset: int, hashes: UInt64s) -> None:
    for i in range(hashes.size):
        hashes[i] = _fold(hashes[i], np.uint64(words[offset + i]), _is_set(valid, offset + i))


@njit(nogil=True, cache=True)
def _fold_floats(
    words: npt.NDArray[np.generic],
    sign: np.uint64,
    infinity: np.uint64,
    valid: int,
    offset: int,
    hashes: UInt64s,
) -> None:
    for i in range(hashes.size):
        word = np.uint64(words[offset + i])
        magnitude = word & ~sign
        if magnitude == ZERO:
            word = ZERO
        elif magnitude > infinity:
            word = sign | infinity | np.uint64(1)
        hashes[i] = _fold(hashes[i], word, _is_set(valid, offset + i))


@njit(nogil=True, cache=True)
def _fold_bits(data: int, valid: int, offset: int, hashes: UInt64s) -> None:
    for i in range(hashes.size):
        word = np.uint64(_is_set(data, offset + i))
        hashes[i] = _fold(hashes[i], word, _is_set(valid, offset + i))


@njit(nogil=True, cache=True)
def _fold_bytes(data: int, bounds: npt.NDArray[np.generic], valid: int, offset: int, hashes: UInt64s) -> None:
    """Fold the hashes of the bytes at an address between these bounds."""
    held = carray(_pointer(data), bounds[offset + hashes.size], np.uint8)
    for i in range(hashes.size):
        there = _is_set(valid, offset + i)
        word = ZERO
        if there:
            word = hash_bytes(held, int(bounds[offset + i]), int(bounds[offset + i + 1]))
        hashes[i] = _fold(hashes[i], word, there)


COMPILED: Final = hasattr(fold_columns, "overloads")  # plain Python reads no address
