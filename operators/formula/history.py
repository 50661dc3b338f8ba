"""Steps whose value hangs on other rows of the same symbol: what they give, and what has to be kept for them.

Each takes its values first, then its constants: those of a window are the fields of `Window`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from operators.formula.types import Kind

# Which rows a value hangs on, beside its own: see `Memory` of the functions.
History: TypeAlias = Literal["window", "since"]

# From which row on a value hangs on all of its symbol: the session's first, the very first, or no such row.
Start: TypeAlias = Literal["", "session", "genesis"]
STARTS: Final[tuple[Start, ...]] = get_args(Start)  # each is before the one before it

ROWS_MAX: Final = 65_536  # of a window
SORTED_MAX: Final = 4_096  # of one whose values are kept in order: a row moves a part of them
EXACT_DIGITS: Final = 72  # of an exact sum: digits of 32 bits, from 2**-1075 to well past the largest float64
PRODUCT_DIGITS: Final = 136  # of an exact sum of products, from 2**-2150 to well past the largest square


class Window(NamedTuple):
    """The rows that a window has, the row at hand among them, as integers.

    `rows`      of a row window, else 0.
    `ns`        of a time window, else 0: those of which the time is less than so long before.
    `reset`     1 where it has rows of the row's session alone.
    `rows_max`  the most rows of a time window: the newest ones then.
    """

    rows: int
    ns: int
    reset: int = 0
    rows_max: int = ROWS_MAX


class Stateful(NamedTuple):
    """A step with state.

    `result`   the kind it gives; `same` is that of its first value.
    `values`   how many of its operands are values; the others are constants.
    `history`  a `window` hangs on rows that are kept of its values, if any; `since` on all since some row.
    `words`    8 byte words of state per symbol.
    `kept`     whether it looks back at its values, so that their last rows are kept.
    `reset`    which of its constants says whether it begins anew with a session; None where none does.
    `each`     words more for each of what its first constant counts: the words of a state that is a list.
    `far`      words more that it seldom needs, behind those of all steps (`near_kernel`).
    `own`      a column beside those values that it writes itself, made anew from them after a restart: an
               integer for each row, or integers that lie from the first place of the symbol's ring on,
               whatever the row.
    `begin`    whether all it has is the row at which its window begins, which the kept rows say again after
               a restart.
    """

    result: Kind | Literal["same"]
    values: int
    history: History
    words: int
    kept: bool = True
    reset: int | None = 2  # of a window
    each: int = 0
    own: Literal["", "rows", "places"] = ""
    far: int = 0
    begin: bool = False

    def sized(self, constants: Sequence[int]) -> "Stateful":
        """With the words that it has for these constants."""
        return self._replace(words=self.words + self.each * constants[0], each=0) if self.each else self


EXACT_WORDS: Final = 3 + EXACT_DIGITS  # of an exact sum: its lowest and highest digit, all, and one to spare
SUM_WORDS: Final = 3 + EXACT_WORDS  # of a window: where it begins, its values, and the sum
TAKEN_WORDS: Final = 2  # of a recursion: the last row it took, and that row's block

# Recursions by the words of one of their states; constants end with where they start: (session, shift).
RECURSIONS: Final[Mapping[str, tuple[int, int]]] = {
    # values, words: (x, k, min_count): R50; (x, k, alpha, min_count): R51; (x, c, min_count): R52
    "ewma": (1, 3),
    "average": (1, 2),
    "ewma_time": (1, 4),
    # (x, c, shown, min_count): R53; (x, k, bias, min_count): R54; (y, x, lambda_f, P0, min_count): M23
    "decay_accum": (1, 3),
    "ewm_std": (1, 5),
    "regression": (2, 6),
    # (y, q, r, by_time): M52, with parts `innovation` and `innovation_variance`; (y, x, q, r): M42, with
    # parts `b0`, `error`, `error_variance` and `pairs`; (how likely the row is in three states, where they
    # begin, how they follow one another): M53, with parts `second` and `third`
    "local_level": (1, 4),
    "hedge": (2, 6),
    "hidden_states": (3, 4),
}
ANCHORED: Final = "_anchored"  # ends the name of one that has two states, as that of 0.7 has
PRODUCT_WORDS: Final = 2 + PRODUCT_DIGITS
NEAR_WORDS: Final = 3  # of a sum that is near, as one whole number; with that of squares beside it
NEAR_SQUARES_WORDS: Final = NEAR_WORDS + 4

STATEFUL: Final[Mapping[str, Stateful]] = {
    # (x, rows, reset), and (x, ns, reset, rows_max)
    "lag_rows": Stateful("same", 1, "window", 0, reset=1),
    "lag_time": Stateful("same", 1, "window", 1, reset=1),
    # (any, window): whether more rows than `rows_max` are in it, so that it was cut
    "window_cut": Stateful("bool", 1, "window", 1, kept=False, begin=True),
    # (x, window): rows with a value, and their exact sum, with parts `low` and `mean`
    "window_count": Stateful("int64", 1, "window", 2),
    "window_sum": Stateful("float64", 1, "window", 2 + NEAR_WORDS, far=EXACT_WORDS),
    **{
        name: Stateful("float64", values, "since", TAKEN_WORDS + words, kept=False, reset=-2)
        for name, (values, words) in RECURSIONS.items()
    },
    **{
        name + ANCHORED: Stateful("float64", values, "since", TAKEN_WORDS + 2 * words, kept=False, reset=-2)
        for name, (values, words) in RECURSIONS.items()
    },
    # (y, h, session, shift): M54
    "cusum": Stateful("int8", 2, "since", TAKEN_WORDS + 2, kept=False, reset=-2),
    # (size, d, n, V, reset): M29, whose state has two words for each of n buckets
    "buckets": Stateful("float64", 2, "since", 4 + 3 * EXACT_WORDS, kept=False, each=2, reset=-1),
    # the same of (size, share that was bought, n, V, reset)
    "share_buckets": Stateful("float64", 2, "since", 4 + 3 * EXACT_WORDS, kept=False, each=2, reset=-1),
    # (price, log price, K, adjust, reset): M7 of a session, whose state has the last K logarithms
    "two_scales": Stateful("float64", 2, "since", 4 + 2 * EXACT_WORDS, kept=False, each=1, reset=-1),
    # (x): when the row is, in ns
    "row_time": Stateful("int64", 1, "window", 0, kept=False, reset=None),
    # (price, standing price, window): M2, whose window has one row more: the one that stands as it begins
    "twap": Stateful("float64", 2, "window", 3 + PRODUCT_WORDS),
    # (x, reset): the sign of the last change of a value
    "last_change": Stateful("int8", 1, "since", 4, kept=False, reset=0),
    # (x, reset): rows with a value since the session or the symbol began, and their exact sum, with parts
    # `low` and `mean`; (x, y, reset): that of x * y, whose `mean` is that of x weighted by y
    "session_count": Stateful("int64", 1, "since", 2, kept=False, reset=0),
    "session_sum": Stateful("float64", 1, "since", SUM_WORDS, kept=False, reset=0),
    "session_products": Stateful("float64", 2, "since", 2 * SUM_WORDS - 3, kept=False, reset=0),
    # (x, window): R35, and R45 as rows before the row at hand
    "window_max": Stateful("same", 1, "window", 4, own="rows"),
    "window_min": Stateful("same", 1, "window", 4, own="rows"),
    "window_argmax": Stateful("int64", 1, "window", 4, own="rows"),
    "window_argmin": Stateful("int64", 1, "window", 4, own="rows"),
    # (x, window, q_ppm), and (x, window): R37, R38
    "window_quantile": Stateful("float64", 1, "window", 2, own="places"),
    "window_rank": Stateful("float64", 1, "window", 2, own="places"),
    # (x, reset): R16 of floats and of integers; (e, reset): R17, R18; (x, limit_rows, limit_ns, reset): R19
    "cumsum_floats": Stateful("float64", 1, "since", 1 + NEAR_WORDS, kept=False, reset=0, far=EXACT_WORDS),
    "cumsum_ints": Stateful("int64", 1, "since", 3, kept=False, reset=0),
    "time_since": Stateful("int64", 1, "since", 3, kept=False, reset=0),
    "count_since": Stateful("int64", 1, "since", 3, kept=False, reset=0),
    "fill_forward": Stateful("same", 1, "since", 4, kept=False),
    # (x, window): the sum of integers
    "window_total": Stateful("int64", 1, "window", 4),
    # (x, window, without, ddof): the variance, with part `zscore`; without the row at hand where that is 1
    "window_squares": Stateful(
        "float64", 1, "window", 2 + NEAR_SQUARES_WORDS, far=EXACT_WORDS + PRODUCT_WORDS
    ),
    # (x, y, window): the sum of products, with parts `low` and `mean`: the mean of x weighted by y
    "window_products": Stateful("float64", 2, "window", SUM_WORDS + PRODUCT_WORDS),
    # (x, y, window): the covariance, with parts `correlation`, and `slope`, `intercept`, `t_value` of y on x
    "window_pairs": Stateful("float64", 2, "window", 2 * SUM_WORDS - 3 + 3 * PRODUCT_WORDS),
    # (x, window, bias): the skew, with part `kurtosis`
    "window_shape": Stateful("float64", 1, "window", 1),
    # (x, window, shortest, step): L6, the t-value, with parts `span` and `span_return`
    "window_trend": Stateful("float64", 1, "window", 1),
    # (price, log price, window, K, adjust, least): M7 of a window
    "window_two_scales": Stateful("float64", 2, "window", 4 + 2 * EXACT_WORDS),
}

# Further results of a step, by the place they have among its registers.
PARTS: Final[Mapping[str, int]] = {
    "low": 0,
    "mean": 1,
    "zscore": 2,
    "total": 3,  # a window_sum made by the step that squares the same values
    "correlation": 0,
    "slope": 1,
    "intercept": 2,
    "t_value": 3,
    "kurtosis": 0,
    "span": 0,
    "span_return": 1,
    "innovation": 0,
    "innovation_variance": 1,
    "b0": 0,
    "error": 1,
    "error_variance": 2,
    "pairs": 3,
    "second": 0,
    "third": 1,
    "count": 4,  # a window_count made by the step that adds up the same values
}


class Reach(NamedTuple):
    """How far back a value looks: rows of the symbol before its own, and ns before its own time.

    A value that is made of values that look back reaches as far as both together.
    """

    rows: int = 0
    ns: int = 0

    def behind(self, other: "Reach") -> "Reach":
        """The reach of a value with this one, made of values with the other one."""
        return Reach(self.rows + other.rows, self.ns + other.ns)


def farthest(reaches: Sequence[Reach]) -> Reach:
    """The reach of a value made of values with these."""
    return Reach(max((r.rows for r in reaches), default=0), max((r.ns for r in reaches), default=0))


def latest_start(starts: Iterable[Start]) -> Start:
    """The start of a value made of values that hang on all rows since these."""
    return max(starts, key=STARTS.index, default="")


def own_reach(function: str, constants: Sequence[int]) -> Reach:
    """How far a stateful step itself looks back over its values; `constants` are its integer ones."""
    if function == "lag_rows":
        return Reach(rows=constants[0])
    if function == "lag_time":
        return Reach(rows=1, ns=constants[0])
    if STATEFUL[function].history == "since" or not constants:
        return Reach()
    rows, ns = constants[0], constants[1]
    if function == "twap":
        return Reach(rows=1, ns=ns)
    return Reach(ns=ns) if ns else Reach(rows=rows - 1)
