"""The hash of rows and the parity in words: whole numbers, cut to 64 bits where the law says so."""

import math
import struct
from collections.abc import Iterable

P1 = 0x9E3779B185EBCA87
P2 = 0xC2B2AE3D27D4EB4F
P3 = 0x165667B19E3779F9
P4 = 0x85EBCA77C2B2AE63
P5 = 0x27D4EB2F165667C5
BITS = 2**64


def row_hash(values: Iterable[object]) -> int:
    """The hash of one row: its values in order, then every bit scattered."""
    folded = P5
    for value in values:
        folded = fold_null(folded) if value is None else fold_word(folded, word_of(value))
    return scattered(folded)


def word_of(value: object) -> int:
    """The word of a value: a number by its bits, what is longer by a hash; fields of a struct by name."""
    if isinstance(value, bool | int):
        return int(value) % BITS
    if isinstance(value, float):
        value = math.nan if math.isnan(value) else value
        bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
        return 0 if value == 0 else 0xFFF0000000000001 if math.isnan(value) else bits
    if isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
        folded = (P5 + len(data)) % BITS
        for at in range(0, len(data), 8):
            folded = fold_word(folded, int.from_bytes(data[at : at + 8], "little"))
        return scattered(folded)
    if isinstance(value, list):
        folded = (P5 + len(value)) % BITS
        for element in value:
            folded = fold_word(folded, row_hash([element]))
        return folded
    assert isinstance(value, dict)
    return row_hash(value[name] for name in sorted(value))


def parity(hashes: Iterable[int]) -> tuple[int, int]:
    """Both lanes after rows of these hashes."""
    first = second = 0
    for row in hashes:
        first = (first * P1 + row) % BITS
        second = (second * P4 + (row ^ (row >> 29)) * P2) % BITS
    return first, second


def fold_word(folded: int, word: int) -> int:
    """The hash so far and one more word."""
    folded ^= turned(word * P2 % BITS, 31) * P1 % BITS
    return (turned(folded, 27) * P1 + P4) % BITS


def fold_null(folded: int) -> int:
    """The hash so far and a null."""
    return (turned(folded, 27) * P3 + P5) % BITS


def scattered(folded: int) -> int:
    """Every bit depends on every other one."""
    folded = (folded ^ (folded >> 33)) * P2 % BITS
    folded = (folded ^ (folded >> 29)) * P3 % BITS
    return folded ^ (folded >> 32)


def turned(word: int, bits: int) -> int:
    """The word turned to the left."""
    return (word << bits | word >> (64 - bits)) % BITS
