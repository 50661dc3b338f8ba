"""Hashes of rows, folded column by column, and rolled up row by row: plain loops over words of 64 bits.

The rounds are those of XXH64, whose primes these are; all arithmetic wraps at 2^64.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Bools, Int64s

UInt64s = npt.NDArray[np.uint64]
Words = npt.NDArray[np.generic]  # unsigned, of any width

P1 = np.uint64(0x9E3779B185EBCA87)
P2 = np.uint64(0xC2B2AE3D27D4EB4F)
P3 = np.uint64(0x165667B19E3779F9)
P4 = np.uint64(0x85EBCA77C2B2AE63)
P5 = np.uint64(0x27D4EB2F165667C5)
R8, R27, R29, R31, R32, R33, R37 = (np.uint64(n) for n in (8, 27, 29, 31, 32, 33, 37))
ZERO = np.uint64(0)


@njit(nogil=True, cache=True)
def fold_words(words: Words, valid: Bools, hashes: UInt64s) -> None:
    """Fold one value per row into `hashes`; an empty `valid` means no nulls.

    A null is another function of the hash, not another word, so no value stands for it.
    """
    plain = valid.size == 0
    for i in range(hashes.size):
        folded = hashes[i]
        if plain or valid[i]:
            word = np.uint64(words[i]) * P2
            folded ^= ((word << R31) | (word >> R33)) * P1
            hashes[i] = ((folded << R27) | (folded >> R37)) * P1 + P4
        else:
            hashes[i] = ((folded << R27) | (folded >> R37)) * P3 + P5


@njit(nogil=True, cache=True)
def fold_floats(bits: Words, sign: np.uint64, infinity: np.uint64, valid: Bools, hashes: UInt64s) -> None:
    """As `fold_words`, where -0.0 is 0.0 and all NaNs are one; `sign` and `infinity` as floats have them."""
    plain = valid.size == 0
    for i in range(hashes.size):
        folded = hashes[i]
        if plain or valid[i]:
            word = np.uint64(bits[i])
            magnitude = word & ~sign
            if magnitude == ZERO:
                word = ZERO
            elif magnitude > infinity:
                word = sign | infinity | np.uint64(1)
            word *= P2
            folded ^= ((word << R31) | (word >> R33)) * P1
            hashes[i] = ((folded << R27) | (folded >> R37)) * P1 + P4
        else:
            hashes[i] = ((folded << R27) | (folded >> R37)) * P3 + P5


@njit(nogil=True, cache=True)
def hash_bytes(data: npt.NDArray[np.uint8], first: int, last: int) -> np.uint64:
    """The hash of the bytes from `first` to before `last`, their number included."""
    folded = P5 + np.uint64(last - first)
    at = first
    while at < last:
        stop = min(at + 8, last)
        word = ZERO
        for j in range(stop - at):
            word = (word << R8) | np.uint64(data[stop - 1 - j])
        word *= P2
        folded ^= ((word << R31) | (word >> R33)) * P1
        folded = ((folded << R27) | (folded >> R37)) * P1 + P4
        at = stop
    folded = (folded ^ (folded >> R33)) * P2
    folded = (folded ^ (folded >> R29)) * P3
    return folded ^ (folded >> R32)


@njit(nogil=True, cache=True)
def hash_spans(data: npt.NDArray[np.uint8], bounds: Int64s, words: UInt64s) -> None:
    """Fill `words[i]` with the hash of the bytes `data[bounds[i]:bounds[i + 1]]`, their number included."""
    for i in range(words.size):
        words[i] = hash_bytes(data, bounds[i], bounds[i + 1])


@njit(nogil=True, cache=True)
def hash_lists(bounds: Int64s, elements: UInt64s, words: UInt64s) -> None:
    """Fill `words[i]` with the hash of `elements[bounds[i]:bounds[i + 1]]`, their number included."""
    for i in range(words.size):
        folded = P5 + np.uint64(bounds[i + 1] - bounds[i])
        for at in range(bounds[i], bounds[i + 1]):
            word = elements[at] * P2
            folded ^= ((word << R31) | (word >> R33)) * P1
            folded = ((folded << R27) | (folded >> R37)) * P1 + P4
        words[i] = folded


@njit(nogil=True, cache=True)
def scatter_bits(hashes: UInt64s) -> None:
    """Let every bit of a hash depend on every bit folded into it."""
    for i in range(hashes.size):
        folded = hashes[i]
        folded = (folded ^ (folded >> R33)) * P2
        folded = (folded ^ (folded >> R29)) * P3
        hashes[i] = folded ^ (folded >> R32)


@njit(nogil=True, cache=True)
def roll(hashes: UInt64s, lanes: UInt64s) -> None:
    """Roll rows, in their order, into the two lanes: each is a polynomial of odd base in the row hashes."""
    first, second = lanes[0], lanes[1]
    for i in range(hashes.size):
        row = hashes[i]
        first = first * P1 + row
        second = second * P4 + ((row ^ (row >> R29)) * P2)
    lanes[0] = first
    lanes[1] = second
