"""The last steps of a program: registers become columns of the features, and nulls are counted by reason."""

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.nodes import opcodes as op
from operators.nodes.lent_kernel import lend
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid, row_of
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
def clear(program: Grid, out_bits: Grid, out_valid: Grid, lower: int, rows: int) -> None:
    """Make bitmaps ready for rows that are stored in an order: all booleans false, and every row valid."""
    first, behind = lower // 8, (lower + rows + 7) // 8
    for k in range(program.shape[0]):
        opcode, out, feature = program[k, 0], program[k, 1], program[k, 3]
        for place in range(first, behind):
            out_valid[feature, place] = 255
        if rows % 8 != 0:
            out_valid[feature, behind - 1] = (1 << (rows % 8)) - 1
        if opcode == op.STORE_BOOL:
            for place in range(first, behind):
                out_bits[out, place] = 0


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
    order: Int64s,
    ordered: int,
    lower: int,
    first: int,
    rows: int,
) -> None:
    """Write registers to `Outputs`: the last steps of a program.

    The batch begins at row `lower`, a multiple of 8, and the tile at its place `first`, which is one, too
    (`row_of`); rows in an order find the bitmaps as `clear` leaves them.
    """
    status_words, bool_words = lend(status.view(np.uint64)), lend(bools.view(np.uint64))
    floats, ints, bools, status = lend(floats), lend(ints), lend(bools), lend(status)
    out_floats, out_ints, out_bytes = lend(out_floats), lend(out_ints), lend(out_bytes)
    out_bits, out_valid, out_counts = lend(out_bits), lend(out_valid), lend(out_counts)
    out_reasons = lend(out_reasons)
    for k in range(program.shape[0]):
        opcode, out, a, feature = program[k, 0], program[k, 1], program[k, 2], program[k, 3]
        nulls = _count_nulls(status_words, a, out_counts, feature, rows)
        if nulls > 0:
            for i in range(rows):
                at_row = lower + row_of(order, ordered, first + i)
                out_reasons[feature, at_row] = REASON_OF[status[a, i]]
        if ordered == 0:
            _store_valid(status_words, a, out_valid, feature, lower + first, rows)
        elif nulls > 0:
            for i in range(rows):
                if status[a, i] != OK:
                    _flip(out_valid, feature, lower + order[first + i])
        if opcode == op.STORE_FLOAT:
            _store(floats, status, a, out_floats, out, order, ordered, lower, first, rows, nulls)
        elif opcode == op.STORE_INT:
            _store(ints, status, a, out_ints, out, order, ordered, lower, first, rows, nulls)
        elif opcode == op.STORE_BYTE:
            _store(ints, status, a, out_bytes, out, order, ordered, lower, first, rows, nulls)
        elif ordered == 0:
            _store_bits(bool_words, a, out_valid, feature, out_bits, out, lower + first, rows)
        else:
            for i in range(rows):
                if bools[a, i] != 0 and status[a, i] == OK:
                    _flip(out_bits, out, lower + order[first + i])


@njit(nogil=True, cache=True)
def _flip(bits: Grid, out: int, row: int) -> None:
    """Turn a bit of a bitmap."""
    bits[out, row >> 3] ^= 1 << (row & 7)


@njit(nogil=True, cache=True)
def _count_nulls(words: Grid, x: int, counts: Grid, feature: int, rows: int) -> int:
    """Count the nulls by reason; returns how many there are.

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
    counts[feature, 0] += np.int64(nulls - domain - warming)
    counts[feature, 1] += np.int64(domain)
    counts[feature, 2] += np.int64(warming)
    return int(nulls)


@njit(nogil=True, cache=True)
def _store_valid(words: Grid, x: int, valid: Grid, feature: int, lower: int, rows: int) -> None:
    """Write the bitmap of what is not null, from row `lower` on; `words` are those of `_count_nulls`."""
    for place in range((rows + 7) // 8):
        null = words[x, place] & LOWEST
        valid[feature, lower // 8 + place] = ~((null * GATHER) >> np.uint64(56)) & np.uint64(255)
    if rows % 8 != 0:
        valid[feature, (lower + rows) // 8] &= (1 << (rows % 8)) - 1


@njit(nogil=True, cache=True)
def _store(
    values: Grid,
    status: Grid,
    x: int,
    target: Grid,
    out: int,
    order: Int64s,
    ordered: int,
    lower: int,
    first: int,
    rows: int,
    nulls: int,
) -> None:
    """Write values, and 0 where there is none: what stands at a null never hangs on the rows beside it."""
    for i in range(rows):
        target[out, lower + row_of(order, ordered, first + i)] = values[x, i]
    if nulls > 0:
        for i in range(rows):
            if status[x, i] != OK:
                target[out, lower + row_of(order, ordered, first + i)] = 0


@njit(nogil=True, cache=True)
def _store_bits(
    words: Grid, x: int, valid: Grid, feature: int, bits: Grid, out: int, lower: int, rows: int
) -> None:
    """Write booleans, eight in one uint64 of `words`, as a bitmap, and 0 where `valid` has no value."""
    for place in range((rows + 7) // 8):
        byte = (words[x, place] * GATHER) >> np.uint64(56)
        bits[out, lower // 8 + place] = byte & valid[feature, lower // 8 + place]
