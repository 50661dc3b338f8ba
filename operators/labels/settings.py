"""What a label is: the settings of each kind, and what a node's rows then mean."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from operators.formula.meaning import digest
from operators.sessions.sessions import Sessions
from schemas.clocks import END_NS

KERNELS_VERSION: Final = 1  # raised when a label gets other bits than before
ROWS_MAX: Final = 1 << 20  # rows that a horizon or a span has at most
PENDING_MAX: Final = 100_000
EDGES_MAX: Final = 100  # of bins
TRAILING_MAX: Final = 4_096  # labels that edges are quantiles of
# Settings that mean what they did before they were there, where they are not said.
ADDED_LATER: Final = frozenset({"trailing", "q_ppm", "min_count", "halted"})
FOR_EVER: Final = 'max_ns, as max = "1d": a symbol may never trade again, and its labels wait'


class LabelError(ValueError):
    """Settings of a label that have no meaning; the message says which, and what they may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(ABC):
    """What all labels have in common: the price, and for how long an event waits.

    Prices are whole ticks where their column is of integers, or becomes so with `scale`.
    """

    price: str  # the column of the price, of the event and of the rows after it
    scale: int = 0  # ticks in a unit of currency, for a column of floats or decimals; 0: floats as they are
    returns: Literal["simple", "log"] = "simple"
    max_ns: int | None = None  # how long an event waits for rows; labels that count rows need it
    across_sessions: bool = False  # whether an event waits beyond the end of its session
    max_pending: int = PENDING_MAX  # events of a symbol that wait; another one has no label, reason "full"
    halted: str | None = None  # of rows of statuses, the column that says whether their symbol is halted

    def __post_init__(self) -> None:
        if self.returns not in ("simple", "log"):
            raise LabelError(f'returns is {self.returns!r}: "simple" or "log"')
        _require(0 <= self.scale <= 10**9, "scale", self.scale, "0 to 10**9 ticks in a unit of currency")
        _require(self.max_pending >= 1, "max_pending", self.max_pending, "1 event at least")
        if self.max_ns is not None:
            _require(0 < self.max_ns < END_NS, "max_ns", self.max_ns, "nanoseconds, 1 at least")

    @property
    @abstractmethod
    def bound_ns(self) -> int:
        """How long an event waits at most."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.price,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon(Waiting):
    """A label that waits for a time, for a number of rows, or for whichever is first."""

    horizon_ns: int | None = None  # the last row no later than that after the event
    horizon_rows: int | None = None  # that row of the symbol after the event

    def __post_init__(self) -> None:
        Waiting.__post_init__(self)
        if self.horizon_ns is None and self.horizon_rows is None:
            raise LabelError('a label needs a horizon: horizon_ns, as horizon = "5m", horizon_rows, or both')
        if self.horizon_ns is None and self.max_ns is None:
            raise LabelError(f"horizon_rows needs {FOR_EVER}")
        if self.horizon_ns is not None:
            _require(0 < self.horizon_ns < END_NS, "horizon_ns", self.horizon_ns, "nanoseconds, 1 at least")
        if self.horizon_rows is not None:
            _require(
                0 < self.horizon_rows <= ROWS_MAX, "horizon_rows", self.horizon_rows, f"1 to {ROWS_MAX:,}"
            )
        if self.horizon_ns is not None and self.max_ns is not None:
            raise LabelError("max_ns is for labels that count rows alone: horizon_ns ends the wait")

    @property
    def bound_ns(self) -> int:
        """How long an event waits at most."""
        bound_ns = self.horizon_ns if self.horizon_ns is not None else self.max_ns
        assert bound_ns is not None, "a label waits for ever"
        return bound_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedHorizon(Horizon):
    """L2: the return from the event's price to the last one within the horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign(Horizon):
    """L3: 1 or -1 where that return lies beyond a band of noise, else 0."""

    band: float = 0.0  # >= 0, a fraction
    band_column: str | None = None  # a column that is multiplied by it: sigma, or half the relative spread

    def __post_init__(self) -> None:
        Horizon.__post_init__(self)
        _require(0.0 <= self.band < float("inf"), "band", self.band, "0 or more")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.price, *([self.band_column] if self.band_column else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins(Horizon):
    """L4: in which of the intervals between edges that return lies, an edge belonging to the one below it.

    The edges are given, or they are quantiles of the last labels of the symbol that had ended at the event.
    """

    edges: tuple[float, ...] = ()  # ascending: fractions, or multiples of `sigma`
    sigma: str | None = None  # a column that the return is divided by, above 0
    trailing: int | None = None  # of so many labels, instead of `edges`
    q_ppm: tuple[int, ...] = ()  # which quantiles, in millionths, ascending
    min_count: int | None = None  # the fewest labels for edges; all of them where it is not said

    def __post_init__(self) -> None:
        Horizon.__post_init__(self)
        if self.trailing is not None:
            self._require_quantiles(self.trailing)
            return
        if self.q_ppm or self.min_count is not None:
            raise LabelError("q_ppm and min_count are of edges that follow the labels: trailing = 500")
        ascend = all(lower < upper for lower, upper in pairwise(self.edges))
        finite = all(abs(edge) < float("inf") for edge in self.edges)
        wanted = f"1 to {EDGES_MAX} finite numbers, ascending"
        _require(0 < len(self.edges) <= EDGES_MAX and ascend and finite, "edges", self.edges, wanted)

    def _require_quantiles(self, trailing: int) -> None:
        _require(1 <= trailing <= TRAILING_MAX, "trailing", trailing, f"1 to {TRAILING_MAX:,} labels")
        if self.edges:
            raise LabelError("edges or trailing: of trailing labels q_ppm says which quantiles are the edges")
        ascend = all(lower < upper for lower, upper in pairwise(self.q_ppm))
        inside = all(0 < q < 1_000_000 for q in self.q_ppm)
        wanted = f"1 to {EDGES_MAX} whole numbers, ascending, between 0 and 1,000,000"
        _require(0 < len(self.q_ppm) <= EDGES_MAX and ascend and inside, "q_ppm", self.q_ppm, wanted)
        _require(1 <= self.least <= trailing, "min_count", self.min_count, "1 to trailing labels")

    @property
    def least(self) -> int:
        """The fewest trailing labels for edges."""
        assert self.trailing is not None, "the edges are fixed"
        return self.trailing if self.min_count is None else self.min_count

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.price, *([self.sigma] if self.sigma else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class TripleBarrier(Horizon):
    """L1: which barrier is reached first, one above, one below, or the end of the horizon."""

    sigma: str  # the column of the width that the barriers are multiples of
    up: float = 0.0  # multiples of sigma; 0 for no barrier above
    down: float = 0.0
    side: str | int = 1  # a column of 1 and -1, or the side of all events
    ohlc: tuple[str, str, str] | None = None  # columns open, high and low of bars, whose close is the price
    both: Literal["stop", "null"] = "stop"  # one bar reaches both: the one against the side, or no label
    vertical: Literal["zero", "sign"] = "zero"  # the label at the end of the horizon
    min_sigma: float = 0.0  # sigma has to be more

    def __post_init__(self) -> None:
        Horizon.__post_init__(self)
        for name in ("up", "down", "min_sigma"):
            value = getattr(self, name)
            _require(0.0 <= value < float("inf"), name, value, "0 or more")
        if isinstance(self.side, int):
            _require(self.side in (1, -1), "side", self.side, "1, -1 or a column")
        if self.both not in ("stop", "null"):
            raise LabelError(f'both is {self.both!r}: "stop" or "null"')
        if self.vertical not in ("zero", "sign"):
            raise LabelError(f'vertical is {self.vertical!r}: "zero" or "sign"')

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        side = [self.side] if isinstance(self.side, str) else []
        return (self.price, *(self.ohlc or ()), self.sigma, *side)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta(TripleBarrier):
    """L8: 1 where the side of an event earns more than its cost at its triple barrier, else 0."""

    cost: float = 0.0  # a fraction of the price
    need_barrier: bool = False  # whether only the barrier that is the side's profit counts

    def __post_init__(self) -> None:
        TripleBarrier.__post_init__(self)
        _require(abs(self.cost) < float("inf"), "cost", self.cost, "a fraction of the price")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendScan(Waiting):
    """L5: the sign of the steepest trend, by its t-value, over spans of coming rows."""

    shortest: int = 5  # rows, the event among them
    longest: int = 20
    step: int = 1
    t_min: float = 0.0  # a t-value below it is no trend: label 0

    def __post_init__(self) -> None:
        Waiting.__post_init__(self)
        _require(
            3 <= self.shortest <= self.longest <= ROWS_MAX, "shortest", self.shortest, "3 rows to longest"
        )
        _require(self.step >= 1, "step", self.step, "1 row at least")
        _require(0.0 <= self.t_min < float("inf"), "t_min", self.t_min, "0 or more")
        if self.max_ns is None:
            raise LabelError(f"trend_scan needs {FOR_EVER}")

    @property
    def bound_ns(self) -> int:
        """How long an event waits at most."""
        assert self.max_ns is not None, "a label waits for ever"
        return self.max_ns

    @property
    def spans(self) -> range:
        """The spans that are tried, in rows."""
        return range(self.shortest, self.longest + 1, self.step)


Label: TypeAlias = FixedHorizon | Sign | Bins | TripleBarrier | Meta | TrendScan


def label_meaning(label: Label, upstream: str, sessions: Sessions) -> str:
    """16 hex digits that are equal where the same labels come of the same rows.

    `upstream` is the meaning of the rows; sessions count where an event does not wait across them.
    """
    values = {field.name: getattr(label, field.name) for field in fields(label)}
    names = [name for name, value in values.items() if name not in ADDED_LATER or value not in (None, ())]
    settings = [f"{name} {values[name]!r}" for name in names]
    within = "" if label.across_sessions else sessions.meaning
    return digest("label", KERNELS_VERSION, type(label).__name__, upstream, within, *settings)


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise LabelError(f"{name} is {value!r}: {wanted}")
