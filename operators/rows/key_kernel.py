"""Keys to group codes: small whole numbers directly, other numbers and strings through one hash pass.

A `KeyTable` numbers the distinct keys of the right side in the order they are met.  Left keys are only
looked up: one that no right row has gets -1 and can have no match.  The table is open addressing with linear
probing; `slots` holds codes, so a probe that fails costs four bytes of cache.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Uint64s = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: Fibonacci hashing, Knuth vol. 3, 6.4
FOLD = np.uint64(32)
ALL_BITS = np.uint64(2**64 - 1)
WORD_SIZE = 8


@njit(nogil=True, cache=True)
def direct_codes(values: Any, lower: int, group_count: int, codes: Int32s) -> None:
    """Write each value less `lower`, or -1 where that is no group."""
    for i in range(values.size):
        value = np.int64(values[i])
        codes[i] = value - lower if lower <= value <= lower + (group_count - 1) else -1


@njit(nogil=True, cache=True)
def mapped_codes(indices: Any, mapping: Int32s, codes: Int32s) -> None:
    """Write the code that `mapping` gives each dictionary index, or -1 for an index outside it."""
    for i in range(indices.size):
        index = np.int64(indices[i])
        codes[i] = mapping[index] if 0 <= index < mapping.size else -1


@njit(nogil=True, cache=True)
def paired_codes(first: Int32s, second: Int32s, first_count: int, second_count: int, pairs: Int64s) -> None:
    """Write one number for each pair of codes, or -1 where either is none."""
    for i in range(pairs.size):
        both = 0 <= first[i] < first_count and 0 <= second[i] < second_count
        pairs[i] = np.int64(first[i]) * second_count + second[i] if both else -1


@njit(nogil=True, cache=True)
def blank_nulls(bits: Bytes, bit_offset: int, codes: Int32s) -> None:
    """Set the code of each row whose validity bit is 0 to -1."""
    for i in range(codes.size):
        at = i + bit_offset
        if (bits[at >> 3] >> (at & 7)) & 1 == 0:
            codes[i] = -1


@njit(nogil=True, cache=True)
def number_codes(
    values: Any, begin: int, insert: bool, slots: Int32s, words: Uint64s, count: int, codes: Int32s
) -> tuple[int, int]:
    """Write the code of each number from `begin` on; with `insert`, new numbers get the next code.

    Returns the row reached and the count of codes; a row before the end means that `words` is full.
    """
    mask = slots.size - 1
    shift = slot_shift(slots.size)
    for i in range(begin, values.size):
        word = np.uint64(values[i])
        slot = np.int64((word * GOLDEN) >> shift)
        code = slots[slot]
        while code >= 0 and words[code] != word:
            slot = (slot + 1) & mask
            code = slots[slot]
        if code < 0 and insert:
            if count == words.size:
                return i, count
            words[count] = word
            slots[slot] = count
            code = count
            count += 1
        codes[i] = code
    return values.size, count


@njit(nogil=True, cache=True)
def string_codes(
    offsets: Any,
    data: Bytes,
    data_words: Any,
    begin: int,
    insert: bool,
    slots: Int32s,
    words: Uint64s,
    starts: Int64s,
    arena: Bytes,
    count: int,
    codes: Int32s,
) -> tuple[int, int]:
    """Write the code of each string from `begin` on, as `number_codes` does.

    `data_words` are the eight bytes from each byte of `data` on.  `words` holds the hash of each distinct
    string and `starts` where it lies in `arena`, with one more entry for the end.  A row before the end means
    that `words` or `arena` is full.
    """
    mask = slots.size - 1
    shift = slot_shift(slots.size)
    for i in range(begin, codes.size):
        first = int(offsets[i])
        size = int(offsets[i + 1]) - first
        word = string_word(data, data_words, first, size)
        slot = np.int64((word * GOLDEN) >> shift)
        code = slots[slot]
        while code >= 0 and not (words[code] == word and same_bytes(data, first, size, arena, starts, code)):
            slot = (slot + 1) & mask
            code = slots[slot]
        if code < 0 and insert:
            start = starts[count]
            if count == words.size or start + size > arena.size:
                return i, count
            for k in range(size):
                arena[start + k] = data[first + k]
            starts[count + 1] = start + size
            words[count] = word
            slots[slot] = count
            code = count
            count += 1
        codes[i] = code
    return codes.size, count


@njit(nogil=True, cache=True)
def slot_shift(slot_count: int) -> Any:
    """Return by how much to shift a product down to a slot: its upper bits depend on all bits of the key."""
    bits = 0
    while 1 << bits < slot_count:
        bits += 1
    return np.uint64(64 - bits)


@njit(nogil=True, cache=True)
def string_word(data: Bytes, data_words: Any, first: int, size: int) -> Any:
    """Hash a string eight bytes at a time; up to eight bytes, equal hashes mean equal strings of equal size.

    Each step, multiplying by an odd number and folding, can be undone, so one step loses nothing.
    """
    word = np.uint64(size)
    at = first
    stop = first + size
    while at < stop:
        missing = max(0, at + WORD_SIZE - stop)
        if at < data_words.size:
            part = data_words[at] & (ALL_BITS >> np.uint64(8 * missing))
        else:
            part = np.uint64(0)
            for k in range(WORD_SIZE - missing):
                part |= np.uint64(data[at + k]) << np.uint64(8 * k)
        word = (word ^ part) * GOLDEN
        word ^= word >> FOLD
        at += WORD_SIZE
    return word


@njit(nogil=True, cache=True)
def same_bytes(data: Bytes, first: int, size: int, arena: Bytes, starts: Int64s, code: int) -> bool:
    """Whether a string is the one numbered `code`, whose hash is the same."""
    start = starts[code]
    if starts[code + 1] - start != size:
        return False
    if size <= WORD_SIZE:
        return True
    k = 0
    while k < size and data[first + k] == arena[start + k]:
        k += 1
    return k == size


@njit(nogil=True, cache=True)
def refill_slots(words: Uint64s, count: int, slots: Int32s) -> None:
    """Enter the first `count` words into empty slots."""
    mask = slots.size - 1
    shift = slot_shift(slots.size)
    for code in range(count):
        slot = np.int64((words[code] * GOLDEN) >> shift)
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = code
