"""The last steps of a program: registers become columns of the features, and nulls are counted by reason."""

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.nodes import opcodes as op
from operators.nodes.lent_kernel import lend
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from schemas import reasons
from schemas.batch import Int64s

# By the status of a register: the reason as rows have it.  A null that is both warming and of the domain
# counts as the latter.
REASON_OF: Final = np.zeros(8, np.uint8)
REASON_OF[[NULL_IN, WARMING, DOMAIN, DOMAIN | WARMING]] = (
    reasons.NULL_IN,
    reasons.WARMING,
    reasons.DOMAIN,
    reasons.DOMAIN,
)

LOWEST: Final = np.uint64(0x0101010101010101)  # the lowest bit of each byte
GATHER: Final = np.uint64(0x0102040810204080)  # times eight lowest bits: their bitmap, in the highest byte


@njit(nogil=True, cache=True)
def store(
    program: npt.NDArray[np.int64],
    floats: Grid,
    ints: Grid,
    bools: Grid,
    status: Grid,
    out_floats: Grid,
    out_ints: Grid,
    out_bytes: Grid,
    out_bits: Grid,
    out_valid: Grid,
    out_counts: Grid,
    out_reasons: Grid,
    lower: int,
    rows: int,
) -> None:
    """Write registers to `Outputs`, from row `lower` on, a multiple of 8: the last steps of a program."""
    status_words, bool_words = lend(status.view(np.uint64)), lend(bools.view(np.uint64))
    floats, ints, status = lend(floats), lend(ints), lend(status)
    out_floats, out_ints, out_bytes = lend(out_floats), lend(out_ints), lend(out_bytes)
    out_bits, out_valid, out_counts = lend(out_bits), lend(out_valid), lend(out_counts)
    out_reasons = lend(out_reasons)
    for k in range(program.shape[0]):
        opcode, out, a, feature = program[k, 0], program[k, 1], program[k, 2], program[k, 3]
        nulls = _store_status(status_words, a, out_valid, out_counts, feature, lower, rows)
        if nulls > 0:
            for i in range(rows):
                out_reasons[feature, lower + i] = REASON_OF[status[a, i]]
        if opcode == op.STORE_FLOAT:
            _store(floats, status, a, out_floats, out, lower, rows, nulls)
        elif opcode == op.STORE_INT:
            _store(ints, status, a, out_ints, out, lower, rows, nulls)
        elif opcode == op.STORE_BYTE:
            _store(ints, status, a, out_bytes, out, lower, rows, nulls)
        else:
            _store_bits(bool_words, a, out_valid, feature, out_bits, out, lower, rows)


@njit(nogil=True, cache=True)
def _store_status(words: Grid, x: int, valid: Grid, counts: Grid, feature: int, lower: int, rows: int) -> int:
    """Write the bitmap and count the nulls by reason; returns how many there are.

    `words` are the statuses, eight in one uint64: a null has its lowest bit set, one of the domain the next,
    and one that warms up the third.
    """
    nulls = domain = warming = np.uint64(0)
    for place in range((rows + 7) // 8):
        word = words[x, place]
        if 8 * place + 8 > rows:
            word &= (np.uint64(1) << np.uint64(8 * (rows % 8))) - np.uint64(1)
        null = word & LOWEST
        nulls += (null * LOWEST) >> np.uint64(56)
        of_domain = (word >> np.uint64(1)) & LOWEST
        domain += (of_domain * LOWEST) >> np.uint64(56)
        warming += (((word >> np.uint64(2)) & LOWEST & ~of_domain) * LOWEST) >> np.uint64(56)
        valid[feature, lower // 8 + place] = ~((null * GATHER) >> np.uint64(56)) & np.uint64(255)
    if rows % 8 != 0:
        valid[feature, (lower + rows) // 8] &= (1 << (rows % 8)) - 1
    counts[feature, 0] += np.int64(nulls - domain - warming)
    counts[feature, 1] += np.int64(domain)
    counts[feature, 2] += np.int64(warming)
    return int(nulls)


@njit(nogil=True, cache=True)
def _store(
    values: Grid, status: Grid, x: int, target: Grid, out: int, lower: int, rows: int, nulls: int
) -> None:
    """Write values, and 0 where there is none: what stands at a null never hangs on the rows beside it."""
    for i in range(rows):
        target[out, lower + i] = values[x, i]
    if nulls > 0:
        for i in range(rows):
            if status[x, i] != OK:
                target[out, lower + i] = 0


@njit(nogil=True, cache=True)
def _store_bits(
    words: Grid, x: int, valid: Grid, feature: int, bits: Grid, out: int, lower: int, rows: int
) -> None:
    """Write booleans, eight in one uint64 of `words`, as a bitmap, and 0 where `valid` has no value."""
    for place in range((rows + 7) // 8):
        byte = (words[x, place] * GATHER) >> np.uint64(56)
        bits[out, lower // 8 + place] = byte & valid[feature, lower // 8 + place]


@njit(nogil=True, cache=True)
def reorder(
    program: Grid,
    out_floats: Grid,
    out_ints: Grid,
    out_bytes: Grid,
    out_bits: Grid,
    out_valid: Grid,
    out_reasons: Grid,
    places: Int64s,
    spare: Int64s,
    lower: int,
    rows: int,
) -> None:
    """Bring what `store` wrote for a batch whose rows ran in another order into their own.

    `places` says where each row ran; `spare` has room for as many values.  One column after the other stays
    in the core's cache: rows written to their own places tile by tile took twice as long.
    """
    words = lend(out_floats.view(np.int64))
    out_ints, out_bytes, out_reasons = lend(out_ints), lend(out_bytes), lend(out_reasons)
    out_bits, out_valid = lend(out_bits), lend(out_valid)
    for k in range(program.shape[0]):
        opcode, out, feature = program[k, 0], program[k, 1], program[k, 3]
        if opcode == op.STORE_FLOAT:
            _reorder(words, out, places, spare, lower, rows)
        elif opcode == op.STORE_INT:
            _reorder(out_ints, out, places, spare, lower, rows)
        elif opcode == op.STORE_BYTE:
            _reorder(out_bytes, out, places, spare, lower, rows)
        else:
            _reorder_bits(out_bits, out, places, spare, lower, rows)
        if _has_nulls(out_valid, feature, lower, rows):
            _reorder_bits(out_valid, feature, places, spare, lower, rows)
            _reorder(out_reasons, feature, places, spare, lower, rows)


@njit(nogil=True, cache=True)
def _has_nulls(valid: Grid, feature: int, lower: int, rows: int) -> bool:
    first, whole = lower // 8, rows // 8
    nulls = 0
    for place in range(first, first + whole):
        nulls |= 255 ^ valid[feature, place]
    if rows % 8 != 0:
        nulls |= ((1 << (rows % 8)) - 1) ^ valid[feature, first + whole]
    return nulls != 0


@njit(nogil=True, cache=True)
def _reorder(values: Grid, out: int, places: Int64s, spare: Int64s, lower: int, rows: int) -> None:
    for i in range(rows):
        spare[i] = values[out, lower + i]
    for i in range(rows):
        values[out, lower + i] = spare[places[i]]


@njit(nogil=True, cache=True)
def _reorder_bits(bits: Grid, out: int, places: Int64s, spare: Int64s, lower: int, rows: int) -> None:
    """The same of a bitmap; what is behind its last row stays 0."""
    first = lower // 8
    for i in range(rows):
        spare[i] = (bits[out, first + (i >> 3)] >> (i & 7)) & 1
    for place in range((rows + 7) // 8):
        byte = 0
        for i in range(8 * place, min(8 * place + 8, rows)):
            byte |= spare[places[i]] << (i & 7)
        bits[out, first + place] = byte
