"""Trades and the quotes that they met, Q5 to Q19, as far as they see other rows or need a fitted table."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from tests.oracles.features.lags import log_return
from tests.oracles.features.rows import (
    Column,
    Function,
    Rows,
    Settings,
    Stretch,
    finite,
    over_rows,
    setting,
    with_default,
)

BPS = 1e4


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def known(*values: Any) -> bool:
    """Whether 64 bits hold each value."""
    return all(finite(value) is not None for value in values)


def is_quote(bid: Any, ask: Any) -> bool:
    """Whether there is a quote with both sides valid."""
    return bid is not None and ask is not None and bid > 0 and ask > 0


def by_quote_rule(price: Any, bid: Any, ask: Any) -> int | None:
    """Q8; 0 without a quote, or a crossed one; null on overflow."""
    if not is_quote(bid, ask) or ask < bid:
        return 0
    twice, sides = 2 * price, ask + bid
    return sign(twice - sides) if known(twice, sides, twice - sides) else None


def by_emo(price: Any, bid: Any, ask: Any) -> int:
    """Q10 without the tick rule: at one side of a quote that is neither locked nor crossed."""
    if not is_quote(bid, ask) or not ask > bid:
        return 0
    return int(price == ask) - int(price == bid)


def by_clnv(price: Any, bid: Any, ask: Any) -> int | None:
    """Q11 without the tick rule: near one side of the quote, and not near both; null on overflow."""
    if not is_quote(bid, ask) or not bid <= price <= ask:
        return 0
    ten, upper, lower = 10 * price, 7 * ask + 3 * bid, 3 * ask + 7 * bid
    if not known(ten, 7 * ask, 3 * bid, 3 * ask, 7 * bid, upper, lower):
        return None
    return int(ten >= upper) - int(ten <= lower)


@over_rows(reset="session")
def tick_rule(stretch: Stretch, _: Settings) -> Column:
    """Q7: from the known prices up to this one, at each row that has one."""
    (price,) = stretch.operands
    signs: Column = []
    for n, now in enumerate(price):
        prices: list[Any] = [value for value in price[: n + 1] if value is not None]
        changes = [sign(y - x) for x, y in pairwise(prices) if y != x]
        signs.append(None if now is None else changes[-1] if changes else 0)
    return signs


def or_tick_rule(rule: Callable[[Any, Any, Any], int | None]) -> Function:
    """The rule of a trade and its quote, and where it says 0 the tick rule."""

    def function(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
        assert not setting(settings, "lag_ns", 0), "rows hold the quote as of the trade, and no earlier one"
        ticks = tick_rule(rows, operands[:1], settings)
        sides = [
            None if price is None else rule(price, bid, ask)
            for price, bid, ask in zip(*operands, strict=True)
        ]
        # Where the tick rule is null though there is a price, the row is outside every session.
        return [
            None if side is None or tick is None else side or tick
            for side, tick in zip(sides, ticks, strict=True)
        ]

    return function


lee_ready = or_tick_rule(by_quote_rule)  # Q9
emo = or_tick_rule(by_emo)  # Q10
clnv = or_tick_rule(by_clnv)  # Q11


def quote_rule(_: Rows, operands: Sequence[Column], __: Settings) -> Column:
    """Q8, of the row alone (ctx 0): also of one outside every session, as `quote_rule` itself."""
    return [
        None if price is None else by_quote_rule(price, bid, ask)
        for price, bid, ask in zip(*operands, strict=True)
    ]


RULES: dict[str, Function] = {
    "tick_rule": lambda rows, operands, settings: tick_rule(rows, operands[:1], settings),
    "quote_rule": quote_rule,
    "lee_ready": lee_ready,
    "emo": emo,
    "clnv": clnv,
}


def direction(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """Q12 of (price, bid, ask), or of these and `buyer_is_maker`, which counts where it is there."""
    side: Column = list(operands[3]) if len(operands) > 3 else [None] * len(rows.time_ns)
    rule = RULES[setting(settings, "rule", "lee_ready")](rows, operands[:3], settings)
    return [
        by_rule if is_maker is None else -1 if is_maker else 1
        for is_maker, by_rule in zip(side, rule, strict=True)
    ]


def trade_return(rows: Rows, operands: Sequence[Column], settings: Settings) -> Column:
    """Q19."""
    returns: list[Any] = log_return(rows, operands, with_default(settings, reset="session"))
    scale = BPS if setting(settings, "unit", "bps") == "bps" else 1.0
    return [None if r is None else finite(r * scale) for r in returns]
