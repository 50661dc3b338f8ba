"""Which partition each of many keys belongs to, as a loop over their bytes."""

from numba import njit

from schemas.batch import Int32s
from topics.raw_access import load_byte, load_half

# Kafka's `Utils.murmur2`, as in `topics.partitioner`; products of two 32-bit numbers here stay below 2^63.
_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_UINT32 = 0xFFFFFFFF


@njit(nogil=True, cache=True)
def find_homes(data: int, offsets: Int32s, partitions: int, home: Int32s) -> None:
    """Write the partition of each key to `home`; key `i` is bytes `offsets[i]` to `offsets[i + 1]`."""
    for key in range(home.size):
        size = offsets[key + 1] - offsets[key]
        place, end = data + offsets[key], data + offsets[key + 1]
        hashed = _SEED ^ size
        while end - place >= 4:
            word = (load_half(place) * _MULTIPLIER) & _UINT32
            word = ((word ^ (word >> 24)) * _MULTIPLIER) & _UINT32
            hashed = ((hashed * _MULTIPLIER) & _UINT32) ^ word
            place += 4
        if place < end:
            rest, shift = 0, 0
            while place < end:
                rest |= load_byte(place) << shift
                place += 1
                shift += 8
            hashed = ((hashed ^ rest) * _MULTIPLIER) & _UINT32
        hashed = ((hashed ^ (hashed >> 13)) * _MULTIPLIER) & _UINT32
        hashed ^= hashed >> 15
        home[key] = (hashed & 0x7FFFFFFF) % partitions
