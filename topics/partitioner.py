"""Which partition a key belongs to: murmur2, as the Java client computes it, so every producer agrees."""

from functools import lru_cache
from typing import Final

KEYS_REMEMBERED_MAX: Final = (
    65_536  # distinct (key, count) pairs kept: symbols repeat, so each is hashed once
)

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_SHIFT: Final = 24
_UINT32: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Return the 32-bit hash of `key` as a signed number (Kafka's `Utils.murmur2`)."""
    hashed = _SEED ^ len(key)
    whole = len(key) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * _MULTIPLIER & _UINT32
        word = (word ^ (word >> _SHIFT)) * _MULTIPLIER & _UINT32
        hashed = (hashed * _MULTIPLIER & _UINT32) ^ word
    if whole < len(key):
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _MULTIPLIER & _UINT32
    hashed = (hashed ^ (hashed >> 13)) * _MULTIPLIER & _UINT32
    hashed ^= hashed >> 15
    return hashed - (1 << 32) if hashed >> 31 else hashed


@lru_cache(maxsize=KEYS_REMEMBERED_MAX)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of `key` among `partitions`, 0 to `partitions - 1`."""
    assert partitions > 0
    return (murmur2(key) & 0x7FFFFFFF) % partitions
