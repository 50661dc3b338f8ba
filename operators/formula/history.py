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
    `reset`    which of its constants says whether it begins anew with a session.
    """

    result: Kind | Literal["same"]
    values: int
    history: History
    words: int
    kept: bool = True
    reset: int = 2  # of a window


SUM_WORDS: Final = 6 + CHUNKS  # of a window: where it begins, its values, and the sum

STATEFUL: Final[Mapping[str, Stateful]] = {
    # (x, rows, reset), and (x, ns, reset, rows_max)
    "lag_rows": Stateful("same", 1, "window", 0, reset=1),
    "lag_time": Stateful("same", 1, "window", 1, reset=1),
    # (x, window): rows with a value, and their exact sum, with parts `low` and `mean`
    "window_count": Stateful("int64", 1, "window", 2),
    "window_sum": Stateful("float64", 1, "window", SUM_WORDS),
    # (x, k, reset): R50, whose k is 1 - alpha
    "ewma": Stateful("float64", 1, "since", 3, kept=False, reset=1),
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


def latest_start(starts: Iterable[Start]) -> Start:
    """The start of a value made of values that hang on all rows since these."""
    return max(starts, key=STARTS.index, default="")


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
