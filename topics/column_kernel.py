"""Scattered values to Arrow buffers: the values that the decoder located in messages, copied end to end."""

import numpy as np
import numpy.typing as npt
from numba import njit

from schemas.batch import Int32s, Int64s
from topics.raw_access import copy_bytes, load_byte, load_half, load_word


@njit(nogil=True, cache=True)
def total_size(size: Int64s, offsets: Int64s) -> int:
    """Write the running sum of `size` to `offsets` (one element more) and return the total."""
    total = 0
    offsets[0] = 0
    for row in range(size.size):
        total += size[row]
        offsets[row + 1] = total
    return total


@njit(nogil=True, cache=True)
def gather_bytes(address: Int64s, size: Int64s, offsets: Int64s, data: int) -> None:
    """Copy each value to `data` (an address with room for all) at its offset."""
    for row in range(size.size):
        if size[row] > 0:
            copy_bytes(data + offsets[row], address[row], size[row])


@njit(nogil=True, cache=True, forceinline=True)
def _same_bytes(left: int, right: int, size: int) -> bool:
    place = 0
    while size - place >= 8:
        if load_word(left + place) != load_word(right + place):
            return False
        place += 8
    while place < size:
        if load_byte(left + place) != load_byte(right + place):
            return False
        place += 1
    return True


@njit(nogil=True, cache=True, forceinline=True)
def _hash_bytes(address: int, size: int) -> int:
    """Mix bytes to a number, eight at a time; the multiplier is that of Fibonacci hashing."""
    mixed = size
    place = 0
    while size - place >= 8:
        mixed = (mixed ^ load_word(address + place)) * -0x61C8864680B583EB
        mixed ^= (mixed >> 32) & 0xFFFFFFFF
        place += 8
    if size - place >= 4:
        mixed = (mixed ^ load_half(address + place)) * -0x61C8864680B583EB
        mixed ^= (mixed >> 32) & 0xFFFFFFFF
        place += 4
    while place < size:
        mixed = (mixed ^ load_byte(address + place)) * -0x61C8864680B583EB
        mixed ^= (mixed >> 32) & 0xFFFFFFFF
        place += 1
    return mixed


@njit(nogil=True, cache=True)
def number_keys(
    address: Int64s, size: Int64s, wanted: npt.NDArray[np.bool_], table: Int32s, first: Int64s, code: Int32s
) -> int:
    """Number the distinct keys of the wanted messages in order of appearance; return how many there are.

    Writes each wanted message's number to `code`, and to `first` the message in which a number first came.
    `table` is a power of two, larger than the number of messages, filled with -1.
    """
    keys = 0
    for message in range(address.size):
        if not wanted[message]:
            code[message] = -1
            continue
        place = _hash_bytes(address[message], size[message]) & (table.size - 1)
        while table[place] >= 0:
            other = first[table[place]]
            if size[other] == size[message] and _same_bytes(address[other], address[message], size[message]):
                break
            place = (place + 1) & (table.size - 1)
        if table[place] < 0:
            table[place] = keys
            first[keys] = message
            keys += 1
        code[message] = table[place]
    return keys
