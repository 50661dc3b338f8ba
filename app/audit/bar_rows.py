"""From rows to the bars that a node should have made of them, in its order."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from app.audit.bars import PRICES, SUMS, Aggregate, BarRule, Closed, Symbol, Trade
from app.audit.findings import PLACE
from app.audit.formula_values import entering
from app.audit.made import MAYBE, SESSION, VALUE, MadeRules, aggregate_of, own_formulas
from schemas.clocks import EVENT_NS, KNOWN_NS

PLAIN: Final[Mapping[str, type[pl.DataType]]] = {
    "known_ns": pl.Int64,
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "bar_no": pl.Int64,
    "first_event_ns": pl.Int64,
    "last_event_ns": pl.Int64,
    "vwap": pl.Float64,
    "count": pl.Int64,
    "close_reason": pl.String,
    "empty": pl.Boolean,
    "partial": pl.Boolean,
    "left_offset": pl.Int64,
    "left_index": pl.Int32,
}


def bar_frames(rules: MadeRules, frames: Iterator[pl.DataFrame], complete_ns: int) -> Iterator[pl.DataFrame]:
    """The bars of rows that carry what the node's formulas make of them; all are complete below a time.

    A bar that ends behind that, and behind the last row, is marked by `MAYBE`: it is there once somebody
    says that no row comes before its end.
    """
    symbols: dict[tuple[Any, ...], Symbol] = {}
    closed: list[Closed] = []
    rule: BarRule | None = None
    kinds: dict[str, pl.DataType] = {}
    number, passed_ns = 0, complete_ns
    for frame in frames:
        rows = frame if MAYBE not in frame.columns else frame.filter(~pl.col(MAYBE))
        if rows.height < frame.height:  # what is not certain ends what can be known
            complete_ns = min(complete_ns, int(frame.filter(pl.col(MAYBE))[rules.on][0]))
        if not rows.height:
            continue
        rule = rule or _rule(rules, rows)
        kinds = kinds or {name: rows.schema[name] for name in rules.key}
        for key, trade in _trades(rules, rule, rows, number):
            symbol = symbols.setdefault(key, Symbol(key, rule))
            closed += symbol.take(trade)
        number += rows.height
        last_ns = int(rows[rules.on][-1])
        passed_ns = last_ns
        for symbol in symbols.values():
            closed += symbol.pass_time(last_ns)
        done, closed = _before(closed, last_ns)
        yield _frame(rules, rule, kinds, done)
    if rule is None:
        return
    certain_ns = max(passed_ns, complete_ns)
    for symbol in symbols.values():
        closed += symbol.pass_time(certain_ns)
        ending = symbol.pass_time(2**63 - 1, certain=False)
        closed += ending
    yield _frame(rules, rule, kinds, sorted(closed, key=_place))


def _place(bar: Closed) -> tuple[int, int]:
    """Where a bar stands: by its end, and by the row that closed it."""
    return bar.end_ns, bar.closed_by


def _before(closed: list[Closed], time_ns: int) -> tuple[list[Closed], list[Closed]]:
    """The bars that end before a time, in their order, and the others."""
    done = [bar for bar in closed if bar.end_ns < time_ns]
    return sorted(done, key=_place), [bar for bar in closed if bar.end_ns >= time_ns]


def _rule(rules: MadeRules, rows: pl.DataFrame) -> BarRule:
    bars = rules.bars
    price, size = (entering(rows[VALUE + name]) for name in ("price", "size"))
    whole = price.dtype.is_integer() and size.dtype.is_integer()
    aggregates, taken = {}, 0
    for column, formula in rules.node.features.items():
        name, arguments = aggregate_of(formula)
        weight = taken + 1 if len(arguments) > 1 else None
        aggregates[column] = Aggregate(name, taken, weight)
        taken += len(arguments)
    return BarRule(bars, whole, rules.sided, rules.currency, aggregates)


def _trades(
    rules: MadeRules, rule: BarRule, rows: pl.DataFrame, first: int
) -> Iterator[tuple[tuple[Any, ...], Trade]]:
    """The rows that count, with the key of each."""
    columns = _columns(rules, rule, rows)
    keys = list(zip(*(rows[name].to_list() for name in rules.key), strict=True)) or [()] * rows.height
    parts = (
        [None] * rows.height
        if not rules.of_bars
        else rows.select(*PRICES, *SUMS, "count", "first_event_ns").to_dicts()
    )
    for number, row in enumerate(zip(*columns.values(), strict=True)):
        one = dict(zip(columns, row, strict=True))
        if None in keys[number] or not one.pop("counts"):
            continue
        place = (one.pop("left_offset"), one.pop("left_index"))
        values = tuple(one.pop(name) for name in [name for name in one if name.startswith(VALUE)])
        yield keys[number], Trade(number=first + number, place=place, values=values, bar=parts[number], **one)


def _columns(rules: MadeRules, rule: BarRule, rows: pl.DataFrame) -> dict[str, Sequence[Any]]:
    on = rows[rules.on].cast(pl.Int64)
    time_ns = rows["start_ns"].cast(pl.Int64) if rules.of_bars else on
    event = "last_event_ns" if rules.of_bars else EVENT_NS
    event_ns = _or(rows, event, on)
    moments, nowhere = time_ns.to_numpy(), [-1] * rows.height
    price, size = (entering(rows[VALUE + name]) for name in ("price", "size"))
    if not rule.whole:
        price, size = price.cast(pl.Float64), size.cast(pl.Float64)
    counts = price.is_not_null() & size.is_not_null() & (size > 0).fill_null(value=False)
    if rules.of_bars:
        counts = (rows["count"] > 0).fill_null(value=False)
        size = size.fill_null(1)
    if VALUE + "where" in rows.columns:
        counts &= rows[VALUE + "where"].fill_null(value=False)
    direction = pl.repeat(0, rows.height, eager=True)
    if VALUE + "direction" in rows.columns:
        direction = entering(rows[VALUE + "direction"]).sign().fill_null(0).cast(pl.Int64)
    taken = {
        name: entering(rows[name]).cast(pl.Float64).to_list()
        for name in own_formulas(rules.node)
        if name.removeprefix(VALUE).isdigit()
    }
    return {
        "time_ns": time_ns.to_list(),
        "event_ns": event_ns.to_list(),
        "known_ns": _or(rows, KNOWN_NS, event_ns).to_list(),
        "left_offset": _or(rows, PLACE[0], event_ns).to_list(),
        "left_index": _or(rows, PLACE[1], event_ns).to_list(),
        "start_ns": rules.sessions(moments).tolist() if rules.bars.in_sessions else nowhere,
        "session_end_ns": rules.ends(moments).tolist() if rules.bars.in_sessions else nowhere,
        "price": price.to_list(),
        "size": size.to_list(),
        "direction": direction.to_list(),
        "counts": counts.to_list(),
        **taken,
    }


def _or(rows: pl.DataFrame, name: str, otherwise: pl.Series) -> pl.Series:
    """A column of whole numbers; another one where it is not there, or null."""
    if name not in rows.columns:
        return otherwise
    values = rows[name].cast(pl.Int64)
    return values.zip_with(values.is_not_null(), otherwise)


def _frame(
    rules: MadeRules, rule: BarRule, key: Mapping[str, pl.DataType], closed: Sequence[Closed]
) -> pl.DataFrame:
    number = pl.Int64 if rule.whole else pl.Float64
    kinds: dict[str, Any] = {
        **dict.fromkeys((*PRICES, "volume", "buy_volume", "sell_volume"), number),
        **PLAIN,
    }
    kinds["notional"] = pl.Decimal(38, 0) if rule.whole else pl.Float64
    for name, one in rule.aggregates.items():
        kinds[name] = pl.Int64 if one.name == "count" else pl.Float64
    columns = {
        name: pl.Series(name, [bar.key[n] for bar in closed], kind)
        for n, (name, kind) in enumerate(key.items())
    }
    for name, kind in kinds.items():
        columns[name] = pl.Series(name, [bar.columns[name] for bar in closed], kind, strict=False)
    columns[EVENT_NS] = columns["end_ns"].alias(EVENT_NS)
    if rules.on == KNOWN_NS:
        del columns[EVENT_NS]
        columns[KNOWN_NS] = columns["end_ns"].alias(KNOWN_NS)
    if rules.bars.in_sessions:
        columns[SESSION] = pl.Series(SESSION, [bar.period for bar in closed], pl.Int64)
    columns[MAYBE] = pl.Series(MAYBE, [not bar.certain for bar in closed], pl.Boolean)
    return pl.DataFrame(list(columns.values()))
