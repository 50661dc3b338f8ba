"""The numbers of steps in a program, grouped by what a step writes: its group finds its loop."""

from bisect import bisect_right
from typing import Final

LOAD_FLOAT: Final = 0
ADD_FLOAT: Final = 1
SUBTRACT_FLOAT: Final = 2
MULTIPLY_FLOAT: Final = 3
DIVIDE_FLOAT: Final = 4
NEGATE_FLOAT: Final = 5
ABS_FLOAT: Final = 6
LOG_FLOAT: Final = 7
EXP_FLOAT: Final = 8
SQRT_FLOAT: Final = 9
POWER_FLOAT: Final = 10
TO_FLOAT: Final = 11
WHERE_FLOAT: Final = 12
MIN_FLOAT: Final = 13
MAX_FLOAT: Final = 14
CLIP_FLOAT: Final = 15
BID_FLOAT: Final = 16
ENOUGH_FLOAT: Final = 17
ERFC_FLOAT: Final = 18
STUDENT_FLOAT: Final = 19
FLOAT_LAST: Final = 19

LOAD_INT: Final = 30
ADD_INT: Final = 31
SUBTRACT_INT: Final = 32
MULTIPLY_INT: Final = 33
NEGATE_INT: Final = 34
ABS_INT: Final = 35
SIGN_INT: Final = 36
SIGN_FLOAT: Final = 37
WHERE_INT: Final = 38
MIN_INT: Final = 39
MAX_INT: Final = 40
CLIP_INT: Final = 41
BID_INT: Final = 42
DIRECTION_INT: Final = 43
DIRECTION_FLOAT: Final = 44
ZERO_WITHOUT: Final = 45
ENOUGH_INT: Final = 46
UNITS_FLOAT: Final = 47
UNITS_DECIMAL: Final = 48
INT_LAST: Final = 48

LOAD_BOOL: Final = 60
COMPARE_FLOAT: Final = 61
COMPARE_INT: Final = 62
COMPARE_MIXED: Final = 63
COMPARE_BOOL: Final = 64
AND: Final = 65
OR: Final = 66
NOT: Final = 67
WHERE_BOOL: Final = 68
BOOL_LAST: Final = 79

STORE_FLOAT: Final = 80
STORE_INT: Final = 81
STORE_BYTE: Final = 82
STORE_BOOL: Final = 83

# Steps with state, and what keeps the values that they look back at.
KEEP_FLOAT: Final = 100
KEEP_INT: Final = 101
KEEP_BOOL: Final = 102
LAG_ROWS_FLOAT: Final = 103
LAG_ROWS_INT: Final = 104
LAG_ROWS_BOOL: Final = 105
LAG_TIME_FLOAT: Final = 106
LAG_TIME_INT: Final = 107
LAG_TIME_BOOL: Final = 108
WINDOW_CUT: Final = 109
WINDOW_COUNT: Final = 110
WINDOW_SUM: Final = 111
WINDOW_TOTAL: Final = 112
WINDOW_PRODUCTS: Final = 113
WINDOW_SQUARES: Final = 114
WINDOW_PAIRS: Final = 115
WINDOW_SHAPE: Final = 116
WINDOW_TWO_SCALES: Final = 117
WINDOW_TREND: Final = 118

# Over the order of a window's values, and what remembers a sum, an event or a value.
EXTREME_FLOAT: Final = 120
EXTREME_INT: Final = 121
ROWS_BACK_FLOAT: Final = 122
ROWS_BACK_INT: Final = 123
QUANTILE: Final = 124
RANK_FLOAT: Final = 125
RANK_INT: Final = 126
CUMSUM_FLOAT: Final = 127
CUMSUM_INT: Final = 128
TIME_SINCE: Final = 129
COUNT_SINCE: Final = 130
FILL_FLOAT: Final = 131
FILL_INT: Final = 132
FILL_BOOL: Final = 133

# Since the session or the symbol began.
LAST_CHANGE_FLOAT: Final = 140
LAST_CHANGE_INT: Final = 141
SESSION_COUNT: Final = 142
SESSION_SUM: Final = 143
SESSION_PRODUCTS: Final = 144
EWMA: Final = 150
AVERAGE: Final = 151
EWMA_TIME: Final = 152
DECAY_ACCUM: Final = 153
EWM_STD: Final = 154
REGRESSION: Final = 155
BUCKETS: Final = 156
TWO_SCALES: Final = 157
TWAP: Final = 158
ROW_TIME: Final = 159
SHARE_BUCKETS: Final = 160

# Models of a state.
LOCAL_LEVEL: Final = 170
HEDGE: Final = 171
HIDDEN_STATES: Final = 172
CUSUM: Final = 173

# Of steps with state, where each family begins: its lines are run by one kernel (`stateful_kernel`).
FAMILIES: Final = (
    KEEP_FLOAT,
    WINDOW_TOTAL,
    WINDOW_SQUARES,
    WINDOW_PAIRS,
    WINDOW_SHAPE,
    EXTREME_FLOAT,
    CUMSUM_FLOAT,
    LAST_CHANGE_FLOAT,
    EWMA,
    BUCKETS,
    LOCAL_LEVEL,
)


def family(opcode: int) -> int:
    """The place of an opcode's family in `FAMILIES`; -1 for steps of the row alone."""
    return bisect_right(FAMILIES, opcode) - 1
