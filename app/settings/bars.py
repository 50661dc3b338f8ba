"""The keys of a node of `kind = "bars"`: what closes a bar, and what is a trade of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from app.settings.section import Section, WholeNs
from operators.bars.settings import DIVISIBLE, EMPTY_STEP_NS_MIN, BarSettings, Every, Expected, Measure
from operators.sessions.daily import zone_of

Formula = Annotated[str, Field(min_length=1)]
Threshold = Annotated[Decimal, Field(gt=0)]

KINDS: Final[Mapping[str, Every]] = {
    "time_ns": "time",
    "trades": "trades",
    "volume": "volume",
    "dollars": "dollars",
    "range": "range",
    "volatility": "volatility",
    "cusum": "cusum",
    "imbalance": "imbalance",
    "runs": "runs",
    "renko": "renko",
}
CLOSES: Final = (*KINDS, "calendar")
EXPECTED: Final = ("exp_ticks_init", "span_b", "span_t", "min_ticks", "max_ticks", "theta_min")
BAR_KEYS: Final = (
    *(
        "every",
        "price",
        "size",
        "side",
        "where",
        "origin",
        "timezone",
        "remainder",
        "empty",
        "known_after_ns",
    ),
    "close_at_session_end",
)


class EveryTable(Section):
    """What closes a bar, one of: a time, a count, a sum, a span of prices, a step of the calendar."""

    time_ns: Annotated[WholeNs, Field(gt=0)] | None = None  # B1
    trades: Annotated[int, Field(gt=0)] | None = None  # B2
    volume: Threshold | None = None  # B3: lots where size has a scale
    dollars: Threshold | None = None  # B4: currency
    range: Threshold | None = None  # B9: ticks where price has a scale
    volatility: Threshold | None = None  # B7: of the sum of squared log returns of its trades
    cusum: Threshold | None = None  # B8: of the price's move to one side; ticks where price has a scale
    imbalance: Measure | None = None  # B5: where signed trades lean to one side more than is expected
    runs: Measure | None = None  # B6: where those of one side do
    renko: Threshold | None = None  # B10: size of a brick; ticks where price has a scale
    calendar: Literal["day", "week", "month", "year"] | None = None

    reversal: Annotated[int, Field(ge=1)] = 2  # of renko: bricks back that make one to the other side
    # Of imbalance and runs, as in formulas.md.
    exp_ticks_init: Annotated[int, Field(gt=0)] = 20_000  # trades seen before the first bar may close
    span_b: Annotated[float, Field(ge=1)] = 10_000.0  # trades that a mean of trades fades over
    span_t: Annotated[float, Field(ge=1)] = 3.0  # bars that the expected number of trades fades over
    min_ticks: Annotated[float, Field(gt=0)] | None = None  # that a bar is expected to have; none: a tenth
    max_ticks: Annotated[float, Field(gt=0)] | None = None  # none: ten times exp_ticks_init
    theta_min: Annotated[float, Field(gt=0)] = 1.0  # least threshold: trades, lots, currency

    @model_validator(mode="after")
    def _is_one(self) -> "EveryTable":
        if len(given := self._given) != 1:
            known = ", ".join(CLOSES).replace("time_ns", "time")
            what = f"{len(given)} of them are" if given else "none is"
            raise ValueError(f'every is one of {known}, and {what} given: every = {{ time = "30s" }}')
        if self.renko is None and self.reversal != 2:
            raise ValueError("reversal is of renko bricks")
        if self.imbalance is None and self.runs is None:
            fields = type(self).model_fields
            for key in EXPECTED:
                if getattr(self, key) != fields[key].default:
                    raise ValueError(f"{key} is of bars of imbalance and of runs")
        return self

    @property
    def kind(self) -> Every:
        """What closes a bar, as the core calls it."""
        if self.calendar is not None:
            return self.calendar
        (name,) = self._given
        return KINDS[name]

    @property
    def _given(self) -> list[str]:
        """The keys that are given; a file that is written out has them all."""
        return [name for name in CLOSES if getattr(self, name) is not None]

    @property
    def expected(self) -> Expected | None:
        """What bars of imbalance and of runs expect; None of others."""
        measure = self.imbalance or self.runs
        if measure is None:
            return None
        return Expected(measure=measure, **{key: getattr(self, key) for key in EXPECTED})

    @property
    def limit(self) -> str:
        """The threshold; empty of what time closes."""
        value = (
            self.trades
            or self.volume
            or self.dollars
            or self.range
            or self.volatility
            or self.cusum
            or self.renko
        )
        return "" if value is None else str(value)


class BarsTable(Section):
    """Keys of the table `[graph.NAME]` that are those of bars alone."""

    every: EveryTable | None = None
    price: Formula = "price"
    size: Formula = "size"
    side: Formula | None = (
        None  # 1 of a buy, -1 of a sell: lee_ready(...); none: buy and sell volume are null
    )
    where: Formula | None = None  # which rows are trades; none: all with a price and a size above 0
    origin: Literal["session", "utc", "zone"] | None = None  # none: the epoch; of days the session
    timezone: str | None = None  # of the calendar: a name such as America/New_York; none: UTC
    remainder: Literal["drop", "carry", "split"] = "drop"  # of volume and dollars, above the threshold
    empty: bool = False  # are time bars without trades rows
    known_after_ns: WholeNs | None = (
        None  # until a bar that no trade closed can be known; none: the longest grace
    )
    close_at_session_end: bool = True  # false: a bar goes on in the next session

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, text: str | None) -> str | None:
        if text is not None:
            zone_of(text)
        return text

    def require_bars(self) -> EveryTable:
        """What closes the bars; raises ValueError where keys do not go together."""
        if self.every is None:
            raise ValueError('kind = "bars" needs every, what closes a bar: every = { time = "30s" }')
        kind = self.every.kind
        if self.remainder != "drop" and kind not in DIVISIBLE:
            raise ValueError(f"remainder is of bars of volume and dollars, not of {kind}")
        if self.empty and (kind != "time" or not self.close_at_session_end):
            raise ValueError("empty is of time bars that end with their session")
        if self.empty and (self.every.time_ns or 0) < EMPTY_STEP_NS_MIN:
            raise ValueError(
                "empty bars are a second long or longer, for shorter ones would be too many rows: leave "
                'empty out, or write every = { time = "1s" }'
            )
        if self.origin is not None and kind not in ("time", "day"):
            raise ValueError(f"origin is of bars of time and of days, not of {kind}")
        if self.origin == "zone" and kind != "day":
            raise ValueError('origin = "zone" is of days; steps of time begin with the session or with utc')
        if kind == "day" and self.origin in (None, "session") and not self.close_at_session_end:
            raise ValueError(
                "a day that is the session ends with it: leave close_at_session_end out, or write "
                'origin = "utc"'
            )
        of_zone = self.every.calendar is not None and (kind != "day" or self.origin == "zone")
        if self.timezone is not None and not of_zone:
            raise ValueError('timezone is of weeks, months and years, and of days with origin = "zone"')
        return self.every

    def bars(self, known_after_ns: int) -> BarSettings:
        """The bars as the core plans them; `known_after_ns` is where the table says none."""
        every = self.require_bars()
        return BarSettings(
            every=every.kind,
            limit=every.limit,
            step_ns=every.time_ns or 0,
            origin=self.origin or ("session" if every.kind == "day" else "utc"),
            timezone=self.timezone or "UTC",
            remainder=self.remainder,
            empty=self.empty,
            known_after_ns=known_after_ns if self.known_after_ns is None else self.known_after_ns,
            close_at_session_end=self.close_at_session_end,
            price=self.price,
            size=self.size,
            direction=self.side or "",
            where=self.where or "",
            expected=every.expected,
            reversal=every.reversal,
        )
