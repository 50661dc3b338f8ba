"""Exact sums whose greater part three floats hold: their digits take only what these have no room for.

From `h` on lie the sum as floats make it, what that lost, and what was lost of this (Knuth's sum of two, The
Art of Computer Programming 4.2.2); from `o` on an exact sum (`exact_kernel`).  The sum is that of all four.
Sizes and prices of a few decimals never reach the digits.
"""

from typing import Final

from operators.bars.compiled import inlined, kernel
from operators.bars.words import HELD, Float64s
from operators.nodes import exact_kernel as exact
from operators.nodes.fused_kernel import left_of
from schemas.batch import Int64s

FLOAT_LARGE: Final = 1e300  # above it no product is told, and no float holds a sum
PRODUCT_LARGE: Final = 1e308
NEAR: Final = 2.0**-48  # of the sizes of three floats: their sum is computed more exactly


@inlined
def add(words: Int64s, floats: Float64s, h: int, o: int, x: float) -> None:
    """Add a float."""
    before = floats[h]
    total = before + x
    if not abs(total) <= FLOAT_LARGE:
        add_digits(words, floats, o, x)
        return
    part = total - before
    rest = (before - (total - part)) + (x - part)
    floats[h] = total
    if rest != 0.0:
        add_rest(words, floats, h, o, rest)


@inlined
def add_rest(words: Int64s, floats: Float64s, h: int, o: int, x: float) -> None:
    """Add what the first float has no room for."""
    before = floats[h + 1]
    total = before + x
    part = total - before
    rest = (before - (total - part)) + (x - part)
    floats[h + 1] = total
    if rest != 0.0:
        before = floats[h + 2]
        total = before + rest
        part = total - before
        floats[h + 2] = total
        rest = (before - (total - part)) + (rest - part)
        if rest != 0.0:
            add_digits(words, floats, o, rest)


@inlined
def add_product(words: Int64s, floats: Float64s, h: int, o: int, x: float, y: float) -> bool:
    """Add x * y; False, and nothing is added, where it is too large for that."""
    value = x * y
    if not (abs(value) <= PRODUCT_LARGE and abs(x) <= FLOAT_LARGE and abs(y) <= FLOAT_LARGE):
        return False
    rest = left_of(x, y, value)
    add(words, floats, h, o, value)
    if rest != 0.0:
        add_rest(words, floats, h, o, rest)
    return True


@kernel
def add_digits(words: Int64s, floats: Float64s, o: int, x: float) -> None:
    """Add a float to the digits."""
    floats[o + exact.SCRATCH] = x
    exact.add(words, o, words[o + exact.SCRATCH], 1)


@inlined
def is_short(words: Int64s, floats: Float64s, h: int, o: int) -> bool:
    """Whether two floats hold all of the sum."""
    return bool(words[o + exact.HIGHEST] == 0 and floats[h + 2] == 0.0)


@inlined
def nearest(words: Int64s, floats: Float64s, h: int, o: int) -> float:
    """The sum rounded, half to even; infinite where it is too large."""
    if is_short(words, floats, h, o):
        return float(floats[h] + floats[h + 1])
    return float(renewed(words, floats, h, o))


@inlined
def is_below(words: Int64s, floats: Float64s, h: int, o: int, limit: float) -> bool:
    """Whether the sum, rounded, is below a limit."""
    total = floats[h] + (floats[h + 1] + floats[h + 2])
    far = (abs(floats[h]) + abs(floats[h + 1]) + abs(floats[h + 2]) + abs(limit)) * NEAR
    if words[o + exact.HIGHEST] == 0 and abs(total - limit) > far:
        return bool(total < limit)
    return bool(nearest(words, floats, h, o) < limit)


@kernel
def renewed(words: Int64s, floats: Float64s, h: int, o: int) -> float:
    """The sum rounded; the floats hold as much of it as they can then."""
    put_down(words, floats, h, o)
    total = exact.nearest(words, o)
    if not abs(total) <= FLOAT_LARGE:
        return float(total)
    part = total
    for place in range(HELD):
        if part != 0.0:
            floats[h + place] = part
            add_digits(words, floats, o, -part)
            part = exact.nearest(words, o)
    if part == 0.0:
        exact.clear(words, o)
    return float(total)


@kernel
def put_down(words: Int64s, floats: Float64s, h: int, o: int) -> None:
    """Have all of the sum in its digits, in order."""
    for place in range(h, h + HELD):
        if floats[place] != 0.0:
            add_digits(words, floats, o, floats[place])
            floats[place] = 0.0
    settle(words, o)


@kernel
def settle(words: Int64s, o: int) -> None:
    """Bring the digits of an exact sum in order."""
    if words[o + exact.HIGHEST] != 0:
        exact.settle(words, o)


@inlined
def clear(words: Int64s, floats: Float64s, h: int, o: int) -> None:
    """Make it the sum of nothing."""
    for place in range(h, h + HELD):
        floats[place] = 0.0
    exact.clear(words, o)
