"""Bars of a day leave nothing out and count nothing twice, and a day can be made in parts."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pytest

from operators.rows.groups import Groups
from schemas.clocks import NS_PER_S
from tests.oracles.bars import Bars, Trade
from tests.stage.bar_nodes import SPANS, node_of, plain, sealed_of

END_NS: Final = 70 * NS_PER_S
LEANING: Final[dict[str, Any]] = {"measure": "volume", "first": 4, "span_b": 10.0, "span_t": 3.0}
KINDS: Final = (
    Bars("time", step_ns=3 * NS_PER_S),
    Bars("time", step_ns=2 * NS_PER_S, origin="session", empty=True),
    Bars("trades", 7),
    Bars("volume", 60),
    Bars("volume", 60, remainder="carry"),
    Bars("volume", 60, remainder="split"),
    Bars("dollars", 6_000),
    Bars("dollars", 6_000, remainder="carry"),
    Bars("dollars", 6_000, remainder="split"),
    Bars("range", 3),
    Bars("volatility", 1e-3),
    Bars("cusum", 3),
    Bars("renko", 2),
    Bars("imbalance", **LEANING),
    Bars("runs", **LEANING),
)
WHOLE: Final = [bars for bars in KINDS if bars.remainder != "split"]


def names(bars: Bars) -> str:
    return f"{bars.every}-{bars.remainder}" if bars.remainder != "drop" else f"{bars.every}{bars.origin}"


def day_of(numbers: type, seed: int = 3) -> list[Trade]:
    """Trades of three symbols, in sessions and between them; floats are such that their sums are exact."""
    draws = np.random.default_rng(seed)
    halves = np.sort(draws.integers(0, 2 * SPANS[-1][1] // NS_PER_S, 300))
    prices = 100 + np.cumsum(draws.integers(-1, 2, halves.size))
    unit = 1 if numbers is int else 0.125
    return [
        Trade(
            half * NS_PER_S // 2,
            "ABC"[int(draws.integers(0, 3))],
            numbers(price * unit),
            numbers(int(draws.integers(1, 30)) * unit),
            int(draws.integers(-1, 2)),
            place=(number, 0),
        )
        for number, (half, price) in enumerate(zip(halves.tolist(), prices.tolist(), strict=True))
    ]


def bars_of(bars: Bars, rows: Sequence[Trade], numbers: type, *cuts: int) -> list[dict[str, Any]]:
    """The bars of these rows, by a node that begins anew from its snapshot at each cut."""
    kept: dict[bytes, bytes] = {}
    made = []
    for lower, upper in zip((0, *cuts), (*cuts, len(rows)), strict=True):
        groups = Groups()
        node = node_of(bars, numbers, groups, direction="d")
        node.restore(kept.items())
        complete_ns = END_NS if upper == len(rows) else rows[upper].time_ns
        sealed = node.take((sealed_of(rows[lower:upper], complete_ns, numbers, groups),))
        made += [] if sealed.rows is None else plain([sealed.rows])
        kept.update(node.snapshot().puts)
    return made


def scaled(bars: Bars, numbers: type) -> Bars:
    """The same bars of prices and sizes in eighths."""
    if numbers is int or bars.every in ("time", "trades", "volatility") or bars.measure:
        return bars
    eighths = 64 if bars.every == "dollars" else 8
    return Bars(**{**bars.__dict__, "limit": bars.limit / eighths})


@pytest.mark.parametrize("numbers", [int, float])
@pytest.mark.parametrize("bars", KINDS, ids=names)
def test_sums_over_bars_are_those_over_trades(bars: Bars, numbers: type) -> None:
    if numbers is float and bars.remainder == "split":
        bars = WHOLE[0]  # what is not whole is not divided
    rows = day_of(numbers)
    made = bars_of(scaled(bars, numbers), rows, numbers)
    for symbol in "ABC":
        own = [one for one in made if one["symbol"] == symbol]
        trades = [
            row
            for row in rows
            if row.symbol == symbol and any(begin <= row.time_ns < end for begin, end in SPANS)
        ]
        sizes = {side: sum(row.size or 0 for row in trades if row.direction == side) for side in (1, -1)}
        assert sum(one["volume"] for one in own) == sum(row.size or 0 for row in trades)
        assert sum(one["buy_volume"] for one in own) == sizes[1]
        assert sum(one["sell_volume"] for one in own) == sizes[-1]
        notional = sum(Fraction(row.price or 0) * Fraction(row.size or 0) for row in trades)
        assert sum(Fraction(one["notional"]) for one in own) == notional
        if bars.remainder != "split":  # each part of a trade counts as one
            assert sum(one["count"] for one in own) == len(trades)
        if bars.every != "renko":
            assert max(one["high"] for one in own) == max(row.price or 0 for row in trades)
            assert min(one["low"] for one in own) == min(row.price or 0 for row in trades)


@pytest.mark.parametrize("bars", KINDS, ids=names)
def test_two_halves_of_a_day_are_the_day(bars: Bars) -> None:
    rows = day_of(int)
    whole = bars_of(bars, rows, int)
    for cut in (1, 90, 150, 299):
        assert bars_of(bars, rows, int, cut) == whole
    assert bars_of(bars, rows, int, 90, 91, 200) == whole


@pytest.mark.parametrize("bars", KINDS, ids=names)
def test_a_session_alone_has_the_bars_that_it_has_among_others(bars: Bars) -> None:
    rows = day_of(int)
    whole = bars_of(bars, rows, int)
    for begin, end in SPANS:
        alone = bars_of(bars, [row for row in rows if begin <= row.time_ns < end], int)
        assert alone == [one for one in whole if begin <= one["start_ns"] < end]
