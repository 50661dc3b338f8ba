"""Steps whose value hangs on other rows of the same symbol: what they give, and what has to be kept for them.

Each takes its values first, then its constants: those of a window are the fields of `Window`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from operators.formula.types import Kind

# Which rows a value hangs on, beside its own: see `Memory` of the functions.
History: TypeAlias = Literal["window", "since"]

ROWS_MAX: Final = 65_536  # of a window
SORTED_MAX: Final = 4_096  # of one whose values are kept in order: a row moves a part of them
CHUNKS: Final = 72  # of an exact sum: digits of 32 bits, from 2**-1075 to well past the largest float64


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
    `history`  a `window` is made anew from the rows kept of its values; what is `since` a row is kept itself.
    `words`    8 byte words of state per symbol.
    `kept`     whether it looks back at its values, so that their last rows are kept.
    `own`      a column beside those values that it writes itself, made anew as the window is: an integer for
               each row, or integers that lie from the first place of the symbol's ring on, whatever the row.
    """

    result: Kind | Literal["same"]
    values: int
    history: History
    words: int
    kept: bool = True
    own: Literal["", "rows", "places"] = ""


SUM_WORDS: Final = 6 + CHUNKS  # of a window: where it begins, its values, and the sum

STATEFUL: Final[Mapping[str, Stateful]] = {
    # (x, rows, reset), and (x, ns, reset, rows_max)
    "lag_rows": Stateful("same", 1, "window", 0),
    "lag_time": Stateful("same", 1, "window", 1),
    # (x, window): rows with a value, and their exact sum, with parts `low` and `mean`
    "window_count": Stateful("int64", 1, "window", 2),
    "window_sum": Stateful("float64", 1, "window", SUM_WORDS),
    # (x, k, reset): R50, whose k is 1 - alpha
    "ewma": Stateful("float64", 1, "since", 3, kept=False),
    # (x, window): R35, and R45 as rows before the row at hand
    "window_max": Stateful("same", 1, "window", 4, own="rows"),
    "window_min": Stateful("same", 1, "window", 4, own="rows"),
    "window_argmax": Stateful("int64", 1, "window", 4, own="rows"),
    "window_argmin": Stateful("int64", 1, "window", 4, own="rows"),
    # (x, window, q_ppm), and (x, window): R37, R38
    "window_quantile": Stateful("float64", 1, "window", 2, own="places"),
    "window_rank": Stateful("float64", 1, "window", 2, own="places"),
    # (x, reset): R16 of floats and of integers; (e, reset): R17, R18; (x, limit_rows, limit_ns, reset): R19
    "cumsum_floats": Stateful("float64", 1, "since", 4 + CHUNKS, kept=False),
    "cumsum_ints": Stateful("int64", 1, "since", 3, kept=False),
    "time_since": Stateful("int64", 1, "since", 3, kept=False),
    "count_since": Stateful("int64", 1, "since", 3, kept=False),
    "fill_forward": Stateful("same", 1, "since", 4, kept=False),
}

# Further results of a step, by the place they have among its registers.
PARTS: Final[Mapping[str, int]] = {"low": 0, "mean": 1}


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


def own_reach(function: str, constants: Sequence[int]) -> Reach:
    """How far a stateful step itself looks back over its values; `constants` are its integer ones."""
    if function == "lag_rows":
        return Reach(rows=constants[0])
    if function == "lag_time":
        return Reach(rows=1, ns=constants[0])
    if STATEFUL[function].history == "since":
        return Reach()
    rows, ns = constants[0], constants[1]
    return Reach(ns=ns) if ns else Reach(rows=rows - 1)
