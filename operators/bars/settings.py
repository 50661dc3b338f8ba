"""What closes the bars of a node, and what is a trade of them: plain settings, as in its table."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from schemas.durations import duration_text

Every: TypeAlias = Literal[
    "time",
    "trades",
    "volume",
    "dollars",
    "range",
    "volatility",
    "cusum",
    "imbalance",
    "runs",
    "renko",
    "day",
    "week",
    "month",
    "year",
]
Measure: TypeAlias = Literal["trades", "volume", "dollars"]
Origin: TypeAlias = Literal["session", "utc", "zone"]
Remainder: TypeAlias = Literal["drop", "carry", "split"]

CALENDAR: Final = frozenset({"day", "week", "month", "year"})
DIVISIBLE: Final = frozenset({"volume", "dollars"})  # with a remainder
EMPTY_STEP_NS_MIN: Final = 1_000_000_000  # empty bars of a day of shorter ones would be too many rows
LIMIT_MAX: Final = 2**62  # of a threshold, in whole units


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What bars of imbalance and of runs (B5, B6) expect; names and defaults are those of formulas.md.

    `measure`         of a trade: 1, its size, or its price times its size.
    `exp_ticks_init`  trades that are seen before the first bar may close, and that it is expected to have.
    `span_b`, `span_t`  of the means of trades, and of bars.
    `min_ticks`, `max_ticks`  bounds of the trades that a bar is expected to have; none: a tenth of the first
                      ones, and ten times as many.
    `theta_min`       the least threshold: trades, lots, or currency.
    """

    measure: Measure
    exp_ticks_init: int = 20_000
    span_b: float = 10_000.0
    span_t: float = 3.0
    min_ticks: float | None = None
    max_ticks: float | None = None
    theta_min: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSettings:
    """The settings of a node of `kind = "bars"`.

    `every`      what closes a bar: `step_ns` of time, a number of trades, lots, currency or ticks (`limit`),
                 or a step of the calendar.
    `limit`      the threshold as it is written, a decimal number.
    `origin`     where the grid of time bars begins: with the epoch (`utc`), or with each session; of days
                 also local midnight (`zone`).
    `timezone`   of calendar bars.
    `remainder`  what becomes of what a bar of volume or dollars has above its threshold.
    `empty`      whether time bars without trades are rows, behind the first one of a session.
    `known_after_ns`   how long after its end a bar that no trade closes can be known.
    `close_at_session_end`  whether a bar ends with its session at the latest.
    `price`, `size`  formulas; so are `direction`, 1 of a buy and -1 of a sell, and `where`, which says what
                 is a trade.  The two are empty where they are not said.
    `expected`   of bars of imbalance and of runs.
    `reversal`   of renko: so many bricks back make one to the other side.
    """

    every: Every
    limit: str = ""
    step_ns: int = 0
    origin: Origin = "utc"
    timezone: str = "UTC"
    remainder: Remainder = "drop"
    empty: bool = False
    known_after_ns: int = 0
    close_at_session_end: bool = True
    price: str = "price"
    size: str = "size"
    direction: str = ""
    where: str = ""
    expected: Expected | None = None
    reversal: int = 2

    def describe(self) -> str:
        """What closes a bar, in a few words: `30s`, `5000 volume`, `month`."""
        if self.every == "time":
            return duration_text(self.step_ns)
        if self.expected is not None:
            return f"{self.every} of {self.expected.measure}"
        return self.every if self.is_timed else f"{self.limit} {self.every}"

    @property
    def is_timed(self) -> bool:
        """Whether time alone closes the bars."""
        return self.every == "time" or self.every in CALENDAR

    @property
    def is_of_calendar(self) -> bool:
        """Whether the bars lie in days, weeks, months or years that no session cuts."""
        return self.every in CALENDAR and not (self.every == "day" and self.origin == "session")

    @property
    def in_sessions(self) -> bool:
        """Whether each bar lies inside one session."""
        return self.close_at_session_end and not self.is_of_calendar
