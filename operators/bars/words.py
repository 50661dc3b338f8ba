"""Where the parts of an open bar lie among a symbol's words, and those of a closed one in the output."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from operators.nodes.exact_kernel import SIZE
from schemas.batch import Bools, Int32s, Int64s

Float64s = npt.NDArray[np.float64]
Int8s = npt.NDArray[np.int8]

# Words of a symbol.  A price is a whole number, or the bits of a float.
COUNT: Final = 0  # trades of the open bar; 0 for none
SESSION: Final = 1  # the session that its bars are counted in
NUMBER: Final = 2  # of the next bar
START: Final = 3  # of the open bar, or of the next one where empty bars are wanted
BOUND: Final = 4  # the moment that closes it without a trade; `NEVER` for none
CUT: Final = 5  # whether a session cuts it: `CUT_START`, `CUT_END`
FIRST: Final = 6  # event_ns of its first trade
LAST: Final = 7
KNOWN: Final = 8  # the largest known_ns of its trades
OFFSET: Final = 9  # where its last trade stood
INDEX: Final = 10
ORDINAL: Final = 11  # the number of its last trade among the rows of the node
OPEN: Final = 12
HIGH: Final = 13
LOW: Final = 14
CLOSE: Final = 15
TOO_LARGE: Final = 16  # whether a sum of it does not fit
SESSION_END: Final = 17
REST_HIGH: Final = (
    18  # of `carry`: what is left over of the session's sum; of floats the multiples that it has
)
REST: Final = 19
VOLUME: Final = 20  # sums of whole numbers; that of price times size has two words
NOTIONAL_HIGH: Final = 21
NOTIONAL: Final = 22
BUY: Final = 23
SELL: Final = 24
BEFORE: Final = 25  # the price of the trade before, and whether there is one in the session
SEEN: Final = 26
MEASURE: Final = 27  # of `VOLATILITY` the sum of squared returns of the bar, a float
UP: Final = 28  # of `CUSUM` both sums of price changes
DOWN: Final = 29
WORDS: Final = 31  # the last one is free

# Sums of floats behind them, where prices or sizes are no whole numbers: of each what three floats hold, and
# the digits of all that these do not (`held_kernel`).
HELD: Final = 3
VOLUME_HELD: Final = WORDS
NOTIONAL_HELD: Final = VOLUME_HELD + HELD
BUY_HELD: Final = NOTIONAL_HELD + HELD
SELL_HELD: Final = BUY_HELD + HELD
SESSION_HELD: Final = SELL_HELD + HELD
VOLUME_SUM: Final = SESSION_HELD + HELD
NOTIONAL_SUM: Final = VOLUME_SUM + SIZE
BUY_SUM: Final = NOTIONAL_SUM + SIZE
SELL_SUM: Final = BUY_SUM + SIZE
SESSION_SUM: Final = SELL_SUM + SIZE
SUMS: Final = {
    VOLUME_SUM: VOLUME_HELD,
    NOTIONAL_SUM: NOTIONAL_HELD,
    BUY_SUM: BUY_HELD,
    SELL_SUM: SELL_HELD,
    SESSION_SUM: SESSION_HELD,
}
FLOAT_WORDS: Final = SESSION_SUM + SIZE

CUT_START: Final = 1
CUT_END: Final = 2
NEVER: Final = 2**63 - 1
NO_SESSION: Final = -(2**63)

# Columns of a closed bar.
GROUP: Final = 0
OF_SESSION: Final = 1
BAR_NO: Final = 2
BEGIN: Final = 3
END: Final = 4
FIRST_EVENT: Final = 5
LAST_EVENT: Final = 6
KNOWN_TIME: Final = 7
LEFT_AT: Final = 8  # and the row of that message behind it
LEFT_ROW: Final = 9
CLOSED_BY: Final = 10  # the ordinal of the row
TRADES: Final = 11
PRICES: Final = 12  # open, high, low, close
VOLUME_OF: Final = 16
NOTIONAL_HIGH_OF: Final = 17
NOTIONAL_OF: Final = 18
VWAP: Final = 19
BUY_OF: Final = 20
SELL_OF: Final = 21
REASON: Final = 22
PARTIAL: Final = 23
OVERFLOW: Final = 24
COLUMNS: Final = 25

THRESHOLD: Final = 0
GRID: Final = 1
SESSION_ENDED: Final = 2
REASONS: Final = ("threshold", "grid", "session")

# What closes a bar.
TIMED: Final = 0
TICKS: Final = 1
LOTS: Final = 2
DOLLARS: Final = 3
RANGE: Final = 4
VOLATILITY: Final = 5
CUSUM: Final = 6
IMBALANCE: Final = 7
RUNS: Final = 8
RENKO: Final = 9

# What a row has that is a bar itself, by `Trades.parts`; its close and its volume are its price and its size.
PART_OPEN: Final = 0
PART_HIGH: Final = 1
PART_LOW: Final = 2
PART_NOTIONAL_HIGH: Final = 3
PART_NOTIONAL: Final = 4
PART_BUY: Final = 5
PART_SELL: Final = 6
PART_COUNT: Final = 7
PART_FIRST: Final = 8
PART_TOO_LARGE: Final = 9
PARTS: Final = 10

DROP: Final = 0
CARRY: Final = 1
SPLIT: Final = 2


class Rule(NamedTuple):
    """What a kernel has to know of the bars: constants of one node.

    `kind`      what closes them.
    `limit`     the threshold, in whole units, and `limit_float` where sums are floats.
    `remainder` what becomes of what is above it.
    `step_ns`   of time bars where empty ones are wanted; else 0.
    `whole`     whether prices and sizes are whole numbers.
    `numbered`  whether bars are counted anew in each session.
    `reversal`  bricks that a price goes back for one to the other side.
    `place`     of the words of bars of imbalance and of runs, and what these expect (`expect_kernel`).
    `aggregates` what formulas sum up, one in a row (`aggregate_kernel`).
    `of_bars`   whether rows are bars themselves.
    """

    kind: int
    limit: int
    limit_float: float
    remainder: int
    step_ns: int
    whole: bool
    numbered: bool
    reversal: int
    place: int
    expected: Float64s
    aggregates: npt.NDArray[np.int64]
    of_bars: bool = False


class State(NamedTuple):
    """The words of all symbols, `stride` of each; the same memory as floats; which symbols have changed.

    `soonest` is one moment: no open bar ends before it without a trade.
    """

    words: Int64s
    floats: Float64s
    changed: Int8s
    stride: int
    soonest: Int64s


class Trades(NamedTuple):
    """The rows of one call, one value each; prices and sizes as whole numbers and as floats of the same bits.

    `counts`     1 where the row is a trade of a bar, else 0.
    `direction`  above 0 of a buy, below 0 of a sell, 0 of neither.
    `values`     what formulas sum up, (values, rows), and where it is no null: `there`.
    `parts`      of rows that are bars what else they have, (`PARTS`, rows); of others nothing.
    `edges`      and all behind it: the bars that they would open, as in `grid.Cells`.
    """

    group: Int32s
    counts: Int8s
    time_ns: Int64s
    event_ns: Int64s
    known_ns: Int64s
    offset: Int64s
    row: Int64s
    price: Int64s
    price_float: Float64s
    size: Int64s
    size_float: Float64s
    direction: Int8s
    values: Float64s
    there: Bools
    parts: npt.NDArray[np.int64]
    parts_float: Float64s
    edges: Int64s
    begin: Int64s
    bound: Int64s
    cut: Int8s
    session_end: Int64s
    session: Int64s


class Closed(NamedTuple):
    """Room for closed bars: (`COLUMNS` and two for each aggregate, bars); the same memory as floats."""

    ints: npt.NDArray[np.int64]
    floats: Float64s
