"""The sums of a tile's rows rounded side by side: totals, means, variances and z-scores.

A kernel that slides a window notes for each row what its sum is, while that is at hand; or, where something
of it is far (`near_kernel`), what is made of it.  Loops without state then round all rows, several at once:
one row after another waits for each division.

What is noted lies in the words before those of the first symbol, a stretch of `TILE` words for each of: what
there is to say of the row, how many values its window has, the sum's two words and their base, four words
of the sum of squares, three of the row's own value; then the results, a total, what is left of it, a mean.
"""

from typing import Final

import numpy as np
from numba import njit

from operators.nodes import near_kernel as near
from operators.nodes import spread_kernel
from operators.nodes import wide_kernel as wide
from operators.nodes.bits_kernel import bits_of, float_of
from operators.nodes.exact_kernel import FLOAT_MAX, quick_quotient, split
from operators.nodes.history_kernel import NO_FLOAT
from operators.nodes.near_kernel import TILES
from operators.nodes.places import TILE
from operators.nodes.row_kernel import DOMAIN, NULL_IN, OK, WARMING, Grid
from schemas.batch import Int64s

FLAG: Final = TILES  # why the row has nothing, `OK` where it has something, or `DONE`
COUNT: Final = FLAG + TILE
LOW: Final = COUNT + TILE
HIGH: Final = LOW + TILE
BASE: Final = HIGH + TILE
# Of squares: the four words, then the spread's two words and its unit, then its variance; and of the z-score
# why there is none.
SPREAD: Final = BASE + TILE
SPREAD_LOW: Final = SPREAD + TILE
SPREAD_UNIT: Final = SPREAD_LOW + TILE
OF_SCORE: Final = SPREAD_UNIT + TILE
# The bits of the row's value, then how far it is from the mean in two words and their unit, then its z-score.
AWAY: Final = OF_SCORE + TILE
AWAY_LOW: Final = AWAY + TILE
AWAY_UNIT: Final = AWAY_LOW + TILE
TOTAL: Final = AWAY_UNIT + TILE
REST: Final = TOTAL + TILE
MEAN: Final = REST + TILE
assert MEAN + TILE <= near.STATES, "more is noted than there is room for"

DONE: Final = 1 << 8  # its results are noted in place of its sum
DOUBT: Final = 1 << 9  # its mean is next to the middle of two floats


@njit(nogil=True, cache=True, forceinline=True)
def note_nothing(words: Int64s, i: int, null: np.uint8) -> None:
    """Row i has no window, for this reason."""
    words[FLAG + i], words[COUNT + i] = null, 0
    words[LOW + i], words[HIGH + i], words[BASE + i] = 0, 0, 0


@njit(nogil=True, cache=True, forceinline=True)
def note_sum(words: Int64s, i: int, o: int, far: int, count: int) -> None:
    """Note the sum at o, of so many values, for row i."""
    words[FLAG + i], words[COUNT + i] = OK, count
    words[LOW + i], words[HIGH + i] = words[o + near.LOW], words[o + near.HIGH]
    words[BASE + i] = words[o + near.PLACE] & near.BASE
    if words[o + near.PLACE] >= near.FAR_ONE:
        note_far_sum(words, i, o, far, count)


@njit(nogil=True, cache=True)
def note_far_sum(words: Int64s, i: int, o: int, far: int, count: int) -> None:
    """Note what is made of the sum at o, of so many values, by all digits."""
    words[FLAG + i], words[COUNT + i] = DONE, count
    total, rest, mean = near.far_sums(words, o, far, count)
    words[TOTAL + i], words[REST + i], words[MEAN + i] = bits_of(total), bits_of(rest), bits_of(mean)


@njit(nogil=True, cache=True, error_model="numpy")
def round_sums(words: Int64s, rows: int) -> None:
    """Make total, rest and mean of the sums noted."""
    doubts = 0
    for i in range(rows):
        low, high, power = wide.normal(words[LOW + i], words[HIGH + i])
        total, rest = split(high, low, near.unit_of(words[BASE + i], power), False)
        mean, sure = quick_quotient(words[COUNT + i], total, rest)
        done = words[FLAG + i] == DONE
        words[TOTAL + i] = words[TOTAL + i] if done else bits_of(total)
        words[REST + i] = words[REST + i] if done else bits_of(rest)
        words[MEAN + i] = words[MEAN + i] if done else bits_of(mean)
        doubt = not (done | sure)
        words[FLAG + i] |= DOUBT if doubt else 0
        doubts += doubt
    if doubts != 0:
        _divide_doubts(words, rows)


@njit(nogil=True, cache=True)
def _divide_doubts(words: Int64s, rows: int) -> None:
    """Make means by all digits where there is a doubt."""
    for i in range(rows):
        if words[FLAG + i] & DOUBT:
            words[FLAG + i] ^= DOUBT
            mean = near.divided(words, words[LOW + i], words[HIGH + i], words[BASE + i], words[COUNT + i])
            words[MEAN + i] = bits_of(mean)


@njit(nogil=True, cache=True)
def write_sums(
    words: Int64s, floats: Grid, status: Grid, total: int, rest: int, mean: int, rows: int
) -> None:
    """Write results to the registers of the total, of its rest and of the mean; below 0 there is none."""
    for i in range(rows):
        value, flag = float_of(words[TOTAL + i]), words[FLAG + i] & (DONE - 1)
        floats[total, i] = value
        status[total, i] = DOMAIN if (flag == OK) & (abs(value) > FLOAT_MAX) else flag
    if rest >= 0:
        for i in range(rows):
            floats[rest, i] = float_of(words[REST + i])
            status[rest, i] = status[total, i]
    if mean >= 0:
        for i in range(rows):
            floats[mean, i] = float_of(words[MEAN + i])
            status[mean, i] = status[total, i]


@njit(nogil=True, cache=True)
def write_counts(words: Int64s, ints: Grid, status: Grid, count: int, rows: int) -> None:
    """Write how many values the windows have to a register; below 0 there is none."""
    if count >= 0:
        for i in range(rows):
            ints[count, i] = words[COUNT + i]
            status[count, i] = words[FLAG + i] & (DONE - 1)


@njit(nogil=True, cache=True, forceinline=True)
def note_squares(words: Int64s, i: int, o: int, x: int) -> None:
    """Note the sum of squares beside the sum at o, nothing of which is far, and the bits of row i's value."""
    q = o + near.SQUARES
    words[SPREAD + i], words[SPREAD_LOW + i] = words[q], words[q + 1]
    words[SPREAD_UNIT + i], words[OF_SCORE + i] = words[q + 2], words[q + 3]
    words[AWAY + i] = x


@njit(nogil=True, cache=True, forceinline=True)
def note_spread(words: Int64s, i: int, variance: float, score: float, of_score: np.uint8) -> None:
    """Note what was made of squares: a variance, a z-score, and why there is none."""
    words[SPREAD + i], words[AWAY + i], words[OF_SCORE + i] = bits_of(variance), bits_of(score), of_score


@njit(nogil=True, cache=True)
def spread_out(words: Int64s, ddof: int, scored: bool, rows: int) -> None:
    """Make of sums and squares how far values are from their mean, and the row's own where it is `scored`.

    What cancels has cancelled then.
    """
    for i in range(rows):
        if words[FLAG + i] == DONE:
            continue
        n, base, x = words[COUNT + i], words[BASE + i], words[AWAY + i]
        high, low, unit = 0, 0, 0
        away, away_low, away_unit = 0, 0, 0
        of_score = WARMING
        if words[FLAG + i] == OK and n > ddof:
            s, s_high = words[LOW + i], words[HIGH + i]
            high, low, unit = near.spread(
                n,
                s,
                s_high,
                words[SPREAD + i],
                words[SPREAD_LOW + i],
                words[SPREAD_UNIT + i],
                words[OF_SCORE + i],
                base,
            )
            of_score = NULL_IN if x == NO_FLOAT else DOMAIN if high == 0 else OK
            if scored and of_score == OK:
                away, away_low, away_unit = near.distance(n, s, s_high, base, x)
        words[SPREAD + i], words[SPREAD_LOW + i], words[SPREAD_UNIT + i] = high, low, unit
        words[AWAY + i], words[AWAY_LOW + i], words[AWAY_UNIT + i] = away, away_low, away_unit
        words[OF_SCORE + i] = of_score


@njit(nogil=True, cache=True, error_model="numpy")
def round_variances(words: Int64s, ddof: int, rows: int) -> None:
    """Make variances of what `spread_out` has made; of values that are all the same it is 0."""
    for i in range(rows):
        n, high = words[COUNT + i], words[SPREAD + i]
        value = spread_kernel.variance(high, words[SPREAD_LOW + i], words[SPREAD_UNIT + i], n * (n - ddof))
        bits = bits_of(value) if high != 0 else 0
        words[SPREAD + i] = high if words[FLAG + i] == DONE else bits


@njit(nogil=True, cache=True, error_model="numpy")
def round_scores(words: Int64s, ddof: int, rows: int) -> None:
    """Make z-scores of what `spread_out` has made, before variances are."""
    for i in range(rows):
        away = words[AWAY + i]
        value = spread_kernel.score(
            away,
            words[AWAY_LOW + i],
            words[AWAY_UNIT + i],
            words[SPREAD + i],
            words[SPREAD_LOW + i],
            words[SPREAD_UNIT + i],
            words[COUNT + i],
            ddof,
        )
        bits = bits_of(value) if away != 0 else 0
        words[AWAY + i] = away if words[FLAG + i] == DONE else bits


@njit(nogil=True, cache=True)
def write_variances(words: Int64s, floats: Grid, status: Grid, out: int, ddof: int, rows: int) -> None:
    """Write variances to a register."""
    for i in range(rows):
        value, flag = float_of(words[SPREAD + i]), words[FLAG + i] & (DONE - 1)
        of_value = (OK if value <= FLOAT_MAX else DOMAIN) if words[COUNT + i] > ddof else WARMING
        floats[out, i] = value
        status[out, i] = of_value if flag == OK else flag


@njit(nogil=True, cache=True)
def write_scores(words: Int64s, floats: Grid, status: Grid, out: int, rows: int) -> None:
    """Write z-scores to a register."""
    for i in range(rows):
        flag = words[FLAG + i] & (DONE - 1)
        floats[out, i] = float_of(words[AWAY + i])
        status[out, i] = words[OF_SCORE + i] if flag == OK else flag
