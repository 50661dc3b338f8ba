"""Where things lie in the tables of a label node, and the reasons for which an event has no label.

Rows are named by their ordinal, which goes up over the life of the node; a row's column in a table is its
ordinal less the `origin`.  A row is an event, and a row of the path of each event of its symbol before it.

    whole   int64 (fields, rows)     real   float64 (fields, rows)     symbols   int64 (fields, symbols)
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]  # two dimensions
Real = npt.NDArray[np.float64]  # two dimensions
Settings = npt.NDArray[np.int64]
Levels = npt.NDArray[np.float64]

# Of `whole`: what comes in with a row.
GROUP: Final = 0
TIME_NS: Final = 1
SESSION: Final = 2
KNOWN: Final = 3
INSIDE: Final = 4  # 1 where the end of the event's time is in its own session, or need not be
FULL: Final = 5  # 1 where too many events of its symbol waited as it came, -1 where that is to be counted
# What is known of it among the rows of its symbol.
NUMBER: Final = 6  # ascending by one
FOLLOWING: Final = 7  # the ordinal of the next row of its symbol, -1 for none yet
NEWER: Final = 8  # of those that may be the latest known from some row on: the next one, -1 for none
OLDER: Final = 9
# What came of the event.
DECIDED: Final = 10
REASON: Final = 11
LABEL: Final = 12
BARRIER: Final = 13
LABEL_END: Final = 14
INFO_END: Final = 15
LABEL_KNOWN: Final = 16
# Of two heaps, UPPER's and LOWER's, three each: the first child, the next sibling, the previous or parent.
LINKS: Final = 17
LINKS_EACH: Final = 3
CHILD: Final = 0
NEXT: Final = 1
PREVIOUS: Final = 2
WHOLE_FIELDS: Final = LINKS + 2 * LINKS_EACH

# Of `real`; NaN is null.  All prices of a row are null where one of them is.
PRICE: Final = 0
HIGH: Final = 1
LOW: Final = 2
OPEN: Final = 3
SCALE: Final = 4  # of the label: sigma, or the band
SIDE: Final = 5
UPPER: Final = 6  # the level of a barrier, NaN for none
LOWER: Final = 7
RETURN: Final = 8
EXIT: Final = 9  # the price at the end; of trends the t-value
REAL_FIELDS: Final = 10

# Of `symbols`; -1 where there is none.
HEAD: Final = 0  # the oldest event without a decision
NEWEST: Final = 1  # the last row
PRICED: Final = 2  # the last row with a price
COUNT: Final = 3  # of rows
PENDING: Final = 4  # of events without a decision
FIRST_KNOWN: Final = 5  # of the rows from the head on: the one known last
LAST_KNOWN: Final = 6  # the newest of those that may be so
ROOTS: Final = 7  # of the two heaps
SYMBOL_FIELDS: Final = 9

# Of the settings of a label, int64.
KIND: Final = 0
BOUND_NS: Final = 1  # what an event waits at most
TIMED: Final = 2  # 1 where the bound is a horizon, 0 where it only ends the wait for rows
ROWS: Final = 3  # the horizon in rows, 0 for none
ACROSS: Final = 4  # 1 where sessions do not count
MOST: Final = 5  # events of a symbol that wait
LOG: Final = 6  # 1 for log returns
TICKS: Final = 7  # 1 where prices are whole ticks
BANDED: Final = 8  # 1 for a sign with a band
STOPS: Final = 9  # 1 where a bar that reached both barriers has the one against the side, 0 for no label
SIGNED: Final = 10  # 1 where the vertical barrier gives the sign of the return, 0 for 0
SHORTEST: Final = 11  # of the spans of a trend
STEP: Final = 12
SETTINGS: Final = 13

# Kinds of labels.
HORIZON: Final = 0
BARRIERS: Final = 1
TREND: Final = 2

# Of the settings that are float64.
UP: Final = 0
DOWN: Final = 1
SIGMA_MIN: Final = 2
T_MIN: Final = 3
LEVELS: Final = 4

# Why an event has no label.
OK: Final = 0
NULL_IN: Final = 1  # it has no symbol, or a price, side or band of its own is null
SIGMA: Final = 2  # sigma is null, or not above `min_sigma`
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
