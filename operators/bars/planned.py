"""What a node of bars computes, as a plan of the graph hands it over."""

from typing import NamedTuple

import pyarrow as pa

from operators.bars.settings import BarSettings
from operators.bars.words import Rule
from operators.formula.features import Features
from operators.sessions.sessions import Sessions
from schemas.clocks import Clock


class ValueNames(NamedTuple):
    """The columns that the formulas of a node of bars make; empty for one that is not said."""

    price: str
    size: str
    direction: str
    where: str


class PlannedBars(NamedTuple):
    """What a node of bars computes.

    `values`   the columns of the input, and behind them those that its formulas make, by `names`.
    `rule`     for the kernel.
    `layout`   of the bars; the columns of the key come first, what formulas sum up last.
    `values_of` the columns of `values` that are summed up, as `rule` numbers them.
    `sided`    whether it is known which trades were buys.
    """

    settings: BarSettings
    sessions: Sessions
    clock: Clock
    values: Features
    names: ValueNames
    rule: Rule
    layout: pa.Schema
    key: tuple[str, ...]
    values_of: tuple[str, ...] = ()
    sided: bool = False
