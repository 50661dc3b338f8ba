"""A label as the table of its node declares it: the key, and the values below it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from operators.labels.settings import (
    Bins,
    FixedHorizon,
    Label,
    LabelError,
    Meta,
    Sign,
    TrendScan,
    TripleBarrier,
)
from operators.labels.spread_node import PRICE_IMPACT, REALISED_SPREAD, LaterMid

# By key of the table: the label.
LABELS: Final[Mapping[str, type[Label]]] = {
    "fixed_horizon": FixedHorizon,
    "sign": Sign,
    "bins": Bins,
    "triple_barrier": TripleBarrier,
    "meta": Meta,
    "trend_scan": TrendScan,
}
SPREADS: Final = (REALISED_SPREAD, PRICE_IMPACT)
OF_BARS: Final = ("open", "high", "low")  # the columns of a path through bars, whose close is the price
PRICES: Final = ("close", "price")  # the column of the price where none is named, the first that is there


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """What a node of `kind = "label"` computes of its rows.

    `key`     of its table: one of `LABELS`, `realised_spread` or `price_impact`.
    `values`  the settings below it, under the names that the label has for them; one that is left out is as
              the label has it.
    `quotes`  of a spread: the node or stream with the later mids; empty for any other label.
    `halts`   of another label: the node or stream with statuses, or empty.
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)
    quotes: str = ""
    halts: str = ""

    @property
    def beside(self) -> str:
        """The setting that names the node or stream whose rows are read beside its own, or empty."""
        return "quotes" if self.quotes else "halts" if self.halts else ""

    def label(self, columns: list[str], scales: Mapping[str, int]) -> Label:
        """The label of rows with these columns, some of them in units of 1/scale; raises LabelError."""
        price = self._price(columns)
        return LABELS[self.key](price=price, scale=scales.get(price, 0), **self._others())

    def later_mid(self, columns: list[str]) -> LaterMid:
        """The spread of trades with these columns; raises LabelError."""
        return LaterMid(values=(self.key,), price=self._price(columns), **self._others())

    def _price(self, columns: list[str]) -> str:
        price = self.values.get("price")
        if price is None:
            price = next((name for name in PRICES if name in columns), None)
        if price is None:
            raise LabelError(
                f'which column has the price: write price = "NAME"; there are {", ".join(columns)}'
            )
        return str(price)

    def _others(self) -> dict[str, Any]:
        return {name: value for name, value in self.values.items() if name != "price"}
