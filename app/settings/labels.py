"""The keys of a node of `kind = "label"`: which label, and the settings of each."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from app.settings.durations import in_whole_units
from app.settings.section import Name, Section, WholeNs
from operators.labels.declare import OF_BARS, LabelSettings
from operators.labels.settings import PENDING_MAX

Column = Annotated[str, Field(min_length=1)]
Rows = Annotated[int, Field(gt=0)]
LongNs = Annotated[WholeNs, Field(gt=0)]
HALTED: Final = "halted"
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class WaitingTable(Section):
    """What all labels have in common."""

    price: Column | None = None  # a column of numbers; none: close where there is one, else price
    across_sessions: bool = False  # false: no label where the session ends before it is decided


class PricedTable(WaitingTable):
    """A label that is made of the rows after an event."""

    returns: Literal["simple", "log"] = "simple"
    max_ns: LongNs | None = None  # how long an event waits for rows; labels that count rows need it
    max_pending: Rows = PENDING_MAX  # events of a symbol that wait; one more has no label, reason "full"
    halts: Name | None = None  # a node or stream with statuses: labels say whether a halt is inside them
    halted: Column | None = None  # its column that is true, or not 0, during a halt; none: halted

    @model_validator(mode="after")
    def _halts(self) -> Self:
        if self.halted is not None and self.halts is None:
            raise ValueError('halted is a column of rows that halts names: halts = "status"')
        return self


class HorizonTable(PricedTable):
    """`fixed_horizon`, L2: the return up to the last row within the horizon, one or both."""

    horizon_ns: LongNs | None = None
    horizon_rows: Rows | None = None


class SignTable(HorizonTable):
    """`sign`, L3: 1 or -1 where that return lies beyond a band, else 0."""

    band: NotNegative = 0.0  # a fraction
    band_column: Column | None = None  # a column that it is a multiple of: sigma, half the relative spread


class BinsTable(HorizonTable):
    """`bins`, L4: in which of the intervals between edges that return lies."""

    edges: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = ()  # ascending
    sigma: Column | None = None  # a column that the return is divided by
    trailing: Rows | None = None  # instead of edges: quantiles of so many labels that had ended at the event
    q_ppm: tuple[int, ...] = ()  # which quantiles, in millionths, ascending
    min_count: Rows | None = None  # the fewest such labels for a label; all of them where it is not said


class BarrierTable(HorizonTable):
    """`triple_barrier`, L1: which barrier is reached first."""

    sigma: Column  # the column that the barriers are multiples of
    up: NotNegative = 0.0  # 0: no barrier
    down: NotNegative = 0.0
    side: Literal[1, -1] | Column = 1  # a column, or that of all events
    path: Literal["close", "ohlc"] = "close"  # ohlc: the columns open, high and low of bars reach barriers
    both: Literal["stop", "null"] = "stop"  # one bar reaches both: that against the side, or no label
    vertical: Literal["zero", "sign"] = "zero"  # the label at the end of the horizon
    min_sigma: NotNegative = 0.0  # a sigma that is not more gives no label


class MetaTable(BarrierTable):
    """`meta`, L8: 1 where the side earns more than its cost at its triple barrier, else 0."""

    cost: Annotated[float, Field(allow_inf_nan=False)] = 0.0  # a fraction
    need_barrier: bool = False  # only the barrier that is the side's profit counts


class TrendTable(PricedTable):
    """`trend_scan`, L5: the sign of the steepest trend over spans of rows, the event's own among them."""

    shortest: Annotated[int, Field(ge=3)] = 5
    longest: Annotated[int, Field(ge=3)] = 20
    step: Rows = 1
    t_min: NotNegative = 0.0  # a t-value below it is label 0


class SpreadTable(WaitingTable):
    """`realised_spread`, Q17, or `price_impact`, Q18: a trade against the mid some time after it."""

    horizon_ns: LongNs
    quotes: Name  # the node or stream that has the mids
    mid: Column = "mid"  # their column there, and that of the mid at the trade
    side: Column  # a column of 1 for a buy, -1 for a sell, 0 for neither
    relative: bool = False  # as a fraction of the mid at the trade


class LabelTable(Section):
    """Keys of the table `[graph.NAME]` that are those of labels alone: one of them."""

    fixed_horizon: HorizonTable | None = None
    sign: SignTable | None = None
    bins: BinsTable | None = None
    triple_barrier: BarrierTable | None = None
    meta: MetaTable | None = None
    trend_scan: TrendTable | None = None
    realised_spread: SpreadTable | None = None
    price_impact: SpreadTable | None = None

    def label(self) -> LabelSettings:
        """The label as the core plans it; raises ValueError where there is none, or more than one."""
        given = {key: one for key in LABELS if (one := getattr(self, key)) is not None}
        if len(given) != 1:
            what = f"{len(given)} of them are" if given else "none is"
            raise ValueError(
                f'kind = "label" is one of {", ".join(LABELS)}, and {what} given: '
                'fixed_horizon = { horizon = "5m" }'
            )
        ((key, table),) = given.items()
        values = table.model_dump()
        quotes, halts = values.pop("quotes", ""), values.pop("halts", None) or ""
        if halts and values["halted"] is None:
            values["halted"] = HALTED
        if isinstance(table, SpreadTable):
            values["direction"] = values.pop("side")
        elif values.pop("path", "close") == "ohlc":
            values["ohlc"] = OF_BARS
        return LabelSettings(key=key, values=values, quotes=quotes, halts=halts)


LABELS: Final[Mapping[str, type[WaitingTable]]] = {
    "fixed_horizon": HorizonTable,
    "sign": SignTable,
    "bins": BinsTable,
    "triple_barrier": BarrierTable,
    "meta": MetaTable,
    "trend_scan": TrendTable,
    "realised_spread": SpreadTable,
    "price_impact": SpreadTable,
}


def labels_in_whole_units(node: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a node's table, with durations of labels as `in_whole_units` has them."""
    return {
        key: in_whole_units(LABELS[key], value, ("graph", node, key))
        if key in LABELS and isinstance(value, dict)
        else value
        for key, value in given.items()
    }
