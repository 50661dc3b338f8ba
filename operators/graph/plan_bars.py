"""What a node of bars computes: its columns, what they mean, and which rows they hang on."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.bars import aggregate_kernel, expect_kernel
from operators.bars import words as at
from operators.bars.columns import PRICES, bar_fields, key_type_fits
from operators.bars.planned import PlannedBars, ValueNames
from operators.bars.settings import CALENDAR, LIMIT_MAX, BarSettings
from operators.bars.words import Rule
from operators.formula.features import Features, Source, read_features
from operators.formula.history import Start, farthest, latest_start
from operators.formula.meaning import digest
from operators.formula.units import PLAIN, Unit
from operators.graph.aggregates import Aggregate, read_aggregates
from operators.graph.bars_of_bars import misfit, of_bars
from operators.graph.errors import NodeError
from operators.graph.plan_join import Upstream
from operators.nodes import exact_kernel as exact
from operators.sessions.sessions import Sessions
from schemas.clocks import Clock

KERNELS_VERSION: Final = 2  # raised when a kind of bars gives other bits than before
RUNS_OF_DOLLARS: Final = "absolute amounts"  # as they have been since; signed ones gave other bars below 0
KINDS: Final = {
    "trades": at.TICKS,
    "volume": at.LOTS,
    "dollars": at.DOLLARS,
    "range": at.RANGE,
    "volatility": at.VOLATILITY,
    "cusum": at.CUSUM,
    "imbalance": at.IMBALANCE,
    "runs": at.RUNS,
    "renko": at.RENKO,
}
REMAINDERS: Final = {"drop": at.DROP, "carry": at.CARRY, "split": at.SPLIT}
OF_A_BAR: Final = ("start_ns", "bar_no")  # with its key, which bar it is
NUMBERS: Final = ("int64", "int8")
# By formula of the table: its key there.
SETTINGS: Final = {"price": "price", "size": "size", "direction": "side", "where": "where"}


class BarsPlan(NamedTuple):
    """How bars are made, their columns as those of any node, and what those behind them read."""

    bars: PlannedBars
    features: Features
    upstream: Upstream
    tiles: None = None


def plan_bars(
    node: str,
    bars: BarSettings,
    formulas: Mapping[str, str],
    upstream: Upstream,
    clock: Clock,
    sessions: Sessions,
) -> tuple[BarsPlan | None, list[NodeError]]:
    """The bars of rows whose columns are known; None where anything is wrong, and all that is.

    `formulas` are those of what is summed up inside a bar, by column.
    """
    source = upstream.source
    assert source.layout is not None, f"the columns of {source.name} are not known"
    if (fine := upstream.bars) is not None and (wrong := misfit(bars, fine, source.name)):
        return None, [NodeError(node, None, wrong[1], setting=wrong[0])]
    bars, which = (bars, bars) if fine is None else of_bars(bars, fine)
    aggregates, errors = read_aggregates(node, formulas)
    reading, wrong_values = _read(node, bars, aggregates, source)
    values, names = reading.features, reading.names
    errors += wrong_values
    errors += _key_errors(node, source.layout, upstream.key)
    if bars.known_after_ns and clock == "known":
        why = "known_after is between the two clocks, and rows are in order of the known one: leave it out"
        errors.append(NodeError(node, None, why, setting="known_after_ns"))
    if values is None or errors:
        return None, errors
    whole = all(str(values.layout.field(name).type) in NUMBERS for name in names[:2])
    if why := _undivided(bars, whole=whole, aggregates=bool(aggregates)):
        return None, [NodeError(node, None, why, setting="remainder")]
    used = tuple(dict.fromkeys(name for taken in reading.of_column.values() for name in taken))
    rule, why = _rule(bars, values, names, whole=whole)
    if rule is None:
        return None, [NodeError(node, None, why, setting=f"every.{bars.every}")]
    fields = [source.layout.field(name).with_nullable(False) for name in upstream.key]
    own = [pa.field(name, one.type) for name, one in aggregates.items()]
    layout = pa.schema([*fields, *bar_fields(clock, whole=whole), *own])
    if twice := [name for name in layout.names if layout.names.count(name) > 1]:
        why = f"bars have a column {twice[0]} of their own; choose another name"
        return None, [NodeError(node, twice[0] if twice[0] in aggregates else None, why)]
    rule = rule._replace(
        aggregates=_program(aggregates, reading.of_column, used, whole=whole), of_bars=fine is not None
    )
    sided = bool(which.direction)
    planned = PlannedBars(bars, sessions, clock, values, names, rule, layout, upstream.key, used, sided)
    features = _features(planned, source, aggregates, reading.of_column)
    made = _source_of(node, source, features, whole=whole)
    behind = Upstream(made, upstream.key, upstream.roots, True, not bars.is_timed, which, OF_A_BAR)
    return BarsPlan(planned, features, behind), []


def _source_of(node: str, source: Source, features: Features, *, whole: bool) -> Source:
    """The bars of a node for those that read them."""
    return source._replace(
        name=node,
        layout=features.layout,
        rows=features.rows,
        meanings=features.meanings,
        memories=features.memories,
        reaches=features.reaches,
        starts=features.starts,
        scales={"notional": 1} if whole else {},
        units=features.units,
        labels=frozenset(),
    )


class _Reading(NamedTuple):
    """The columns that all formulas of a table make, under names that no column has.

    `of_column` has by aggregate the columns that it takes.
    """

    features: Features | None
    names: ValueNames
    of_column: Mapping[str, tuple[str, ...]]


def _read(
    node: str, bars: BarSettings, aggregates: Mapping[str, Aggregate], source: Source
) -> tuple[_Reading, list[NodeError]]:
    assert source.layout is not None
    prefix = "bar_"
    while any(name.startswith(prefix) for name in source.layout.names):
        prefix += "_"
    of_table = {"price": bars.price, "size": bars.size, "direction": bars.direction, "where": bars.where}
    formulas = {prefix + name: text for name, text in of_table.items() if text}
    names = ValueNames(*(prefix + name if text else "" for name, text in of_table.items()))
    homes = {column: ("", SETTINGS[name], 0) for name, column in zip(of_table, names, strict=True)}
    of_column: dict[str, tuple[str, ...]] = {}
    for column, one in aggregates.items():
        taken = tuple(f"{prefix}{column}_{number}" for number in range(len(one.values)))
        of_column[column] = taken
        for name, value in zip(taken, one.values, strict=True):
            formulas[name] = value.formula
            homes[name] = (column, "", value.start)
    features, wrong = read_features(node, source, formulas)
    errors = []
    for name, all_wrong in wrong.items():
        column, setting, shift = homes[name]
        for error in all_wrong:
            start, end = (shift + error.start, shift + error.end) if error.end else (None, None)
            errors.append(NodeError(node, column or None, error.message, start, end, setting))
    if features is not None:
        for name, column in zip(of_table, names, strict=True):
            if column and (features.layout.field(column).type == pa.bool_()) != (name == "where"):
                is_a = "a condition" if name == "where" else "a number, and this is a condition"
                setting = SETTINGS[name]
                errors.append(NodeError(node, None, f"{setting} is {is_a}", setting=setting))
    return _Reading(features, names, of_column), errors


def _undivided(bars: BarSettings, *, whole: bool, aggregates: bool) -> str:
    """Why trades cannot be divided; empty where they can, or are not."""
    if bars.remainder != "split":
        return ""
    if aggregates:
        return "a trade that is divided would be summed up twice: leave the features out, or split"
    if not whole:
        return (
            "split divides whole lots of whole ticks: give price and size a scale, in [streams.NAME.scales], "
            "or take whole numbers"
        )
    return ""


def _key_errors(node: str, layout: pa.Schema, key: tuple[str, ...]) -> list[NodeError]:
    strange = [name for name in key if not key_type_fits(layout.field(name).type)]
    return [
        NodeError(
            node,
            None,
            f"{name} is {layout.field(name).type}: bars have symbols of text, whole numbers or booleans",
            setting="from",
        )
        for name in strange
    ]


def _rule(bars: BarSettings, values: Features, names: ValueNames, *, whole: bool) -> tuple[Rule | None, str]:
    """What the kernel has to know; None and why where the threshold will not do."""
    limit = Fraction(bars.limit or 0)
    currency = scale_of(values.units.get(names.price)) * scale_of(values.units.get(names.size))
    if bars.every == "dollars":
        limit *= currency
    if not bars.is_timed and bars.expected is None and not 0 < limit <= LIMIT_MAX:
        return None, f"expected a threshold above 0 and at most 2**62 whole units, not {bars.limit}"
    if bars.every == "trades" and limit.denominator != 1:
        return None, f"expected a whole number of trades, not {bars.limit}"
    rule = Rule(
        kind=at.TIMED if bars.every == "time" or bars.every in CALENDAR else KINDS[bars.every],
        limit=ceil(limit),
        limit_float=float(limit),
        remainder=REMAINDERS[bars.remainder],
        step_ns=bars.step_ns if bars.empty else 0,
        whole=whole,
        numbered=bars.in_sessions or bars.is_of_calendar,
        reversal=bars.reversal,
        place=at.WORDS if whole else at.FLOAT_WORDS,
        expected=_expected(bars, float(currency), sided=bool(names.direction)),
        aggregates=np.zeros((0, 4), np.int64),
    )
    return rule, ""


def _expected(bars: BarSettings, currency: float, *, sided: bool) -> npt.NDArray[np.float64]:
    """What bars of imbalance and of runs expect, as the kernel has it."""
    what, values = bars.expected, np.zeros(expect_kernel.PARAMETERS)
    if what is not None:
        first = float(what.exp_ticks_init)
        values[expect_kernel.KEPT] = 1.0 - 2.0 / (what.span_b + 1.0)
        values[expect_kernel.KEPT_BAR] = 1.0 - 2.0 / (what.span_t + 1.0)
        values[expect_kernel.FIRST_TRADES] = first
        values[expect_kernel.LEAST_TRADES] = first / 10.0 if what.min_ticks is None else what.min_ticks
        values[expect_kernel.MOST_TRADES] = first * 10.0 if what.max_ticks is None else what.max_ticks
        values[expect_kernel.LEAST] = what.theta_min * (currency if what.measure == "dollars" else 1.0)
        values[expect_kernel.MEASURE] = KINDS[what.measure]
        values[expect_kernel.SIDED] = sided
    return values


def _program(
    aggregates: Mapping[str, Aggregate],
    of_column: Mapping[str, tuple[str, ...]],
    used: tuple[str, ...],
    *,
    whole: bool,
) -> npt.NDArray[np.int64]:
    """The aggregates as the kernel has them: `used` are the columns that they take."""
    place = (at.WORDS if whole else at.FLOAT_WORDS) + expect_kernel.WORDS
    lines = []
    for column, one in aggregates.items():
        value, *weight = (used.index(name) for name in of_column[column])
        lines.append((one.opcode, value, weight[0] if weight else -1, place))
        place += aggregate_kernel.words_of(one.opcode)
    return np.array(lines, np.int64).reshape(-1, 4)


def _named(rule: Rule) -> Rule:
    """The rule as meanings name it: where a kernel's words lie is no part of what bars mean.

    Its place is the one it had when the first bars were locked, so that these mean what they did.
    """
    return rule._replace(place=at.WORDS if rule.whole else at.WORDS + len(at.SUMS) * exact.SIZE)


def _measures(bars: BarSettings, measure: str) -> bool:
    return bars.expected is not None and bars.expected.measure == measure


def scale_of(unit: Unit) -> Fraction:
    """How many units of a value are 1."""
    scale = Fraction(1)
    for one, power in unit if isinstance(unit, tuple) else ():
        scale *= Fraction(one) ** power
    return scale


def _features(
    planned: PlannedBars,
    source: Source,
    aggregates: Mapping[str, Aggregate],
    of_column: Mapping[str, tuple[str, ...]],
) -> Features:
    bars, values, names = planned.settings, planned.values, planned.names
    rows = digest(
        "bars",
        KERNELS_VERSION,
        planned.clock,
        *_named(planned.rule)[: Rule._fields.index("expected")],
        *planned.rule.expected.tolist(),
        *(bars.every, bars.step_ns, bars.origin, bars.timezone, bars.known_after_ns),
        *(values.meanings[name] if name else "" for name in names),
        planned.sessions.meaning if bars.in_sessions else "",
        *planned.key,
        source.rows,
        *([RUNS_OF_DOLLARS] if bars.every == "runs" and _measures(bars, "dollars") else []),
    )
    columns = planned.layout.names
    meanings = {name: digest(rows, name) for name in columns}
    for column, one in aggregates.items():
        meanings[column] = digest(rows, one.opcode, *(values.meanings[name] for name in of_column[column]))
    own = [name for name in columns if name not in planned.key]
    made_of = [*(name for name in names if name), *planned.values_of]
    reach = farthest([values.reaches[name] for name in made_of])
    of_bars: Start = "session" if bars.in_sessions else "genesis"
    start = latest_start([of_bars, *(values.starts[name] for name in made_of)])
    return Features(
        tuple(aggregates),
        planned.layout,
        (),
        (),
        rows,
        meanings,
        dict.fromkeys(own, "since"),
        dict.fromkeys(own, reach),
        dict.fromkeys(own, start),
        _units(planned, aggregates),
    )


def _units(planned: PlannedBars, aggregates: Iterable[str]) -> dict[str, Unit]:
    """What the columns of bars are in: prices and sizes as those of the trades."""
    price, size = (planned.values.units.get(name) for name in planned.names[:2])
    units: dict[str, Unit] = dict.fromkeys(planned.layout.names, PLAIN)
    units.update(dict.fromkeys((*PRICES, "vwap"), price))
    units.update(dict.fromkeys(("volume", "buy_volume", "sell_volume"), size))
    units["notional"] = None
    units.update(dict.fromkeys(aggregates, None))
    if price == PLAIN or size == PLAIN:
        units["notional"] = price if size == PLAIN else size
    return units
