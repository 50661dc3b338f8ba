"""The instruction of a step: which opcode runs it, by its function and by how its operands are held."""

from collections.abc import Mapping, Sequence
from typing import Final

from operators.formula.history import ANCHORED
from operators.formula.steps import Step
from operators.formula.types import Kind
from operators.nodes import opcodes as op
from operators.nodes.row_kernel import EQUAL, GREATER, LESS

# By function and by how its operands are held.
FLOATS: Final = {
    "add": op.ADD_FLOAT,
    "subtract": op.SUBTRACT_FLOAT,
    "multiply": op.MULTIPLY_FLOAT,
    "divide": op.DIVIDE_FLOAT,
    "negate": op.NEGATE_FLOAT,
    "abs": op.ABS_FLOAT,
    "log": op.LOG_FLOAT,
    "exp": op.EXP_FLOAT,
    "sqrt": op.SQRT_FLOAT,
    "power": op.POWER_FLOAT,
    "erfc": op.ERFC_FLOAT,
    "student": op.STUDENT_FLOAT,
    "min": op.MIN_FLOAT,
    "max": op.MAX_FLOAT,
    "min_known": op.MIN_FLOAT,
    "max_known": op.MAX_FLOAT,
    "clip": op.CLIP_FLOAT,
    "valid_bid": op.BID_FLOAT,
    "uncrossed_bid": op.BID_FLOAT,
    "direction": op.DIRECTION_FLOAT,
    "sign": op.SIGN_FLOAT,
    "where": op.WHERE_FLOAT,
    "column": op.LOAD_FLOAT,
    "enough": op.ENOUGH_FLOAT,
    "lag_rows": op.LAG_ROWS_FLOAT,
    "lag_time": op.LAG_TIME_FLOAT,
    "window_sum": op.WINDOW_SUM,
    "last_change": op.LAST_CHANGE_FLOAT,
    "session_sum": op.SESSION_SUM,
    "session_products": op.SESSION_PRODUCTS,
    "window_max": op.EXTREME_FLOAT,
    "window_min": op.EXTREME_FLOAT,
    "window_argmax": op.ROWS_BACK_FLOAT,
    "window_argmin": op.ROWS_BACK_FLOAT,
    "window_quantile": op.QUANTILE,
    "window_rank": op.RANK_FLOAT,
    "cumsum_floats": op.CUMSUM_FLOAT,
    "fill_forward": op.FILL_FLOAT,
    "window_squares": op.WINDOW_SQUARES,
    "window_products": op.WINDOW_PRODUCTS,
    "window_pairs": op.WINDOW_PAIRS,
    "window_shape": op.WINDOW_SHAPE,
    "window_trend": op.WINDOW_TREND,
    "window_two_scales": op.WINDOW_TWO_SCALES,
    "units": op.UNITS_FLOAT,
}
INTS: Final = {
    "add": op.ADD_INT,
    "subtract": op.SUBTRACT_INT,
    "multiply": op.MULTIPLY_INT,
    "negate": op.NEGATE_INT,
    "abs": op.ABS_INT,
    "min": op.MIN_INT,
    "max": op.MAX_INT,
    "min_known": op.MIN_INT,
    "max_known": op.MAX_INT,
    "clip": op.CLIP_INT,
    "valid_bid": op.BID_INT,
    "uncrossed_bid": op.BID_INT,
    "direction": op.DIRECTION_INT,
    "zero_without": op.ZERO_WITHOUT,
    "sign": op.SIGN_INT,
    "where": op.WHERE_INT,
    "to_float": op.TO_FLOAT,
    "column": op.LOAD_INT,
    "enough": op.ENOUGH_INT,
    "lag_rows": op.LAG_ROWS_INT,
    "lag_time": op.LAG_TIME_INT,
    "last_change": op.LAST_CHANGE_INT,
    "window_max": op.EXTREME_INT,
    "window_min": op.EXTREME_INT,
    "window_argmax": op.ROWS_BACK_INT,
    "window_argmin": op.ROWS_BACK_INT,
    "window_rank": op.RANK_INT,
    "cumsum_ints": op.CUMSUM_INT,
    "fill_forward": op.FILL_INT,
    "window_total": op.WINDOW_TOTAL,
    "whole_units": op.UNITS_DECIMAL,
}
BOOLS: Final = {
    "and": op.AND,
    "or": op.OR,
    "not": op.NOT,
    "where": op.WHERE_BOOL,
    "column": op.LOAD_BOOL,
    "texts": op.LOAD_BOOL,
    "lag_rows": op.LAG_ROWS_BOOL,
    "lag_time": op.LAG_TIME_BOOL,
    "time_since": op.TIME_SINCE,
    "count_since": op.COUNT_SINCE,
    "fill_forward": op.FILL_BOOL,
}
# Whatever its values are.
OF_ANY: Final = {
    "window_count": op.WINDOW_COUNT,
    "window_cut": op.WINDOW_CUT,
    "session_count": op.SESSION_COUNT,
    "row_time": op.ROW_TIME,
}
# Whether anchored or not.
OF_RECURSIONS: Final = {
    "ewma": op.EWMA,
    "average": op.AVERAGE,
    "ewma_time": op.EWMA_TIME,
    "decay_accum": op.DECAY_ACCUM,
    "ewm_std": op.EWM_STD,
    "regression": op.REGRESSION,
    "buckets": op.BUCKETS,
    "share_buckets": op.SHARE_BUCKETS,
    "two_scales": op.TWO_SCALES,
    "twap": op.TWAP,
    "local_level": op.LOCAL_LEVEL,
    "hedge": op.HEDGE,
    "hidden_states": op.HIDDEN_STATES,
    "cusum": op.CUSUM,
}
KEEPS: Final[Mapping[str, int]] = {"float64": op.KEEP_FLOAT, "int64": op.KEEP_INT, "bool": op.KEEP_BOOL}
COMPARISONS: Final = {
    ("float64", "float64"): op.COMPARE_FLOAT,
    ("int64", "int64"): op.COMPARE_INT,
    ("int64", "float64"): op.COMPARE_MIXED,
    ("bool", "bool"): op.COMPARE_BOOL,
}
ACCEPTED: Final = {
    "less": LESS,
    "less_equal": LESS | EQUAL,
    "greater": GREATER,
    "greater_equal": GREATER | EQUAL,
    "equal": EQUAL,
    "unequal": LESS | GREATER,
}
# What a loop is told beside its registers: whether it leaves nulls out, whether it refuses crossed quotes,
# and -1 where it looks for the smallest value as another does for the largest one.
SWITCHES: Final = {
    "min": 0,
    "min_known": 1,
    "max": 0,
    "max_known": 1,
    "valid_bid": 0,
    "uncrossed_bid": 1,
    "window_max": 0,
    "window_min": -1,
    "window_argmax": 0,
    "window_argmin": -1,
}
STORES: Final[dict[Kind, int]] = {
    "float64": op.STORE_FLOAT,
    "int64": op.STORE_INT,
    "int8": op.STORE_BYTE,
    "bool": op.STORE_BOOL,
}


def held(kind: Kind) -> Kind:
    """How values of a kind are held in a register: a narrow integer as a wide one."""
    return "int64" if kind == "int8" else kind


def opcode(steps: Sequence[Step], step: Step) -> int:
    """The opcode of a step that is no constant."""
    kinds = [held(steps[place].kind) for place in step.operands]
    if step.function in ACCEPTED:
        return COMPARISONS[kinds[0], kinds[1]]
    if step.function in OF_ANY:
        return OF_ANY[step.function]
    recursion = step.function.removesuffix(ANCHORED)
    if recursion in OF_RECURSIONS:
        return OF_RECURSIONS[recursion]
    kind = held(step.kind) if step.reads or step.function == "where" else kinds[0]
    return {"float64": FLOATS, "int64": INTS, "bool": BOOLS}[kind][step.function]
