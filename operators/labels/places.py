"""Where things lie in the tables of a label node, and the reasons for which an event has no label.

Rows are named by their ordinal, which goes up over the life of the node; in `rows` and `facts`, which are as
long as a power of two, a row's place is its ordinal modulo that.  A row is an event, and a row of the path of
each event of its symbol before it.  Of each symbol the rows from its oldest undecided event on lie side by
side in slots, as they are read so.  Where a table has whole numbers and floats, these are float64 at the same
places: kernels get two views of one memory.

    rows     int64 (fields, rows)       facts   int64 (rows, fields)     taken  int64 (rows, fields)
    reasons  int8 (rows)
    symbols  int64 (symbols, fields)    slots   int64 (slots, fields)    real   float64 (fields, slots)
    reach    float64 (symbols, 2)       blocks  float64 (blocks of slots, 2)
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]  # two dimensions
Real = npt.NDArray[np.float64]  # two dimensions
Settings = npt.NDArray[np.int64]
Reasons = npt.NDArray[np.int8]
Levels = npt.NDArray[np.float64]

# Of `rows`: what tells a row apart.
GROUP: Final = 0
TIME_NS: Final = 1
SESSION: Final = 2
ROW_FIELDS: Final = 3

# Of `facts`, a line of memory for each row: what came of an event that `reasons` says is decided.
BARRIER: Final = 0
LABEL_END: Final = 1
INFO_END: Final = 2
LABEL_KNOWN: Final = 3
RETURN: Final = 4  # float64, as those behind it
EXIT: Final = 5  # the price at the end; of trends the t-value
AGAINST: Final = 6  # what the return is held against: of barriers the side, of a sign its band, of bins sigma
OUTCOME_FIELDS: Final = 7
LINE: Final = 8  # so many are 64 bytes

# Of `inputs`, float64 (fields, rows): what the label reads of the rows of one call; NaN is null.  All prices
# of a row are null where one is.
PRICE: Final = 0
HELD_AGAINST: Final = 1
SIGMA: Final = 2
HIGH: Final = 3  # only where barriers are held against bars, as those behind it
LOW: Final = 4
OPEN: Final = 5
INPUTS: Final = 6

# Of `flags`, int64 (fields, rows), of the rows of one call, too.
KNOWN_NS: Final = 0
INSIDE: Final = 1  # 1 where the end of the event's time is in its own session, or need not be
FULL: Final = 2  # 1 where too many events of its symbol waited as it came, -1 where that is to be counted
FLAGS: Final = 3

# Of `taken`, a line of memory for each row of one call, those of a symbol together: `rows`, its ordinal,
# `flags`, `inputs`.
OWN_ORDINAL: Final = ROW_FIELDS
OWN_FLAGS: Final = OWN_ORDINAL + 1
OWN_INPUTS: Final = OWN_FLAGS + FLAGS
TAKEN_FIELDS: Final = OWN_INPUTS + INPUTS

# Of `slots`.
EVENT_NS: Final = 0
KNOWN: Final = 1
ORDINAL: Final = 2  # -1 where the event is decided
STAYS: Final = 3  # `INSIDE`
BESIDE: Final = 4  # float64: `HELD_AGAINST`
# Of those that may be the latest known from some row on, in order: from `BEGIN` on, slots.
LATEST: Final = 5
SLOT_FIELDS: Final = 6
# Of `real`; `PRICE` as above.
UPPER: Final = 1  # the level of a barrier, infinitely far for none
LOWER: Final = 2
REAL_FIELDS: Final = 3

# Of `symbols`; slots are places in the tables.
BEGIN: Final = 0  # the first slot of the symbol
SIZE: Final = 1  # how many it has
HEAD: Final = 2  # the slot of the oldest event without a decision, or `END`
END: Final = 3  # the slot of the next row
PENDING: Final = 4  # events without a decision
PRICED: Final = 5  # the slot of the last row with a price
DEPTH: Final = 6  # of `LATEST`
LAST_SESSION: Final = 7  # of the last row
SYMBOL_FIELDS: Final = 8

BLOCK: Final = 64  # slots whose nearest barriers are kept as one, in `blocks`; those of a symbol in `reach`
SLOTS_MIN: Final = 8  # that a symbol has

# Of the settings of a label, int64.
KIND: Final = 0
BOUND_NS: Final = 1  # what an event waits at most
TIMED: Final = 2  # 1 where the bound is a horizon, 0 where it only ends the wait for rows
ROWS: Final = 3  # the horizon in rows, 0 for none
ACROSS: Final = 4  # 1 where sessions do not count
MOST: Final = 5  # events of a symbol that wait
LOG: Final = 6  # 1 for log returns
TICKS: Final = 7  # 1 where prices are whole ticks
BANDED: Final = 8  # 1 where the return is held against a band or a sigma, which is not null
STOPS: Final = 9  # 1 where a bar that reached both barriers has the one against the side, 0 for no label
SHORTEST: Final = 10  # of the spans of a trend
STEP: Final = 11
OF_BARS: Final = 12  # 1 where barriers are held against high and low, 0 against the price
MASK: Final = 13  # one less than the rows that `rows`, `facts` and `reasons` have room for
ROOM: Final = 14  # of `slots`
SETTINGS: Final = 15

# Kinds of labels.
HORIZON: Final = 0
BARRIERS: Final = 1
TREND: Final = 2

# Of the settings that are float64.
UP: Final = 0
DOWN: Final = 1
SIGMA_MIN: Final = 2
LEVELS: Final = 3

# Why an event has no label.
WAITS: Final = -1  # it may have one yet
OK: Final = 0
NULL_IN: Final = 1  # it has no symbol, or a price, side or band of its own is null
SIGMA_LOW: Final = 2  # sigma is null, or not above `min_sigma`
SESSION_ENDS: Final = 3  # its session ends before its time does
SHORT: Final = 4  # too few rows came within `max_ns`
BOTH: Final = 5  # one bar reached both barriers
CROWDED: Final = 6  # `max_pending` events of its symbol waited already
UNDEFINED: Final = 7  # the value is not finite, or no span has a trend
REASON_NAMES: Final = ("", "null_in", "sigma", "session", "short", "both", "full", "domain")

# What decided.
BY_UPPER: Final = 1
BY_LOWER: Final = 2
BY_TIME: Final = 3
BY_ROWS: Final = 4
BARRIER_NAMES: Final = ("", "up", "down", "time", "rows")
