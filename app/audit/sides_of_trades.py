"""Who began a trade, for the audit: the rules of Q9 to Q12, each with the tick rule where it says nothing."""

from typing import Any

import polars as pl

from app.audit.formula_functions import called
from app.audit.formula_values import alike, arithmetic, choose, without
from app.audit.past import Past, Settings
from app.audit.since import tick_rule


def or_tick_rule(past: Past, side: pl.Series, price: pl.Series, settings: Settings) -> pl.Series:
    """The side that a rule says, and where that is 0 the tick rule's; null where either is."""
    ticks = tick_rule(past, price, **settings)
    return without(choose(side == 0, ticks, side.cast(pl.Int8)), ticks.is_null())


def _quoted(bid: pl.Series, ask: pl.Series, *, locked: bool) -> pl.Series:
    """Where there is a quote of two valid sides that do not cross, nor unless they may are equal."""
    bid, ask = alike(bid, ask)
    apart = (bid <= ask) if locked else (bid < ask)
    return ((bid > 0) & (ask > 0) & apart).fill_null(value=False)


def _side(price: pl.Series, quoted: pl.Series, buy: pl.Series, sell: pl.Series) -> pl.Series:
    """1 for a buy, -1 for a sell, 0 for both and neither and without a quote; null without a price."""
    buy, sell = ((quoted & each).fill_null(value=False).cast(pl.Int8) for each in (buy, sell))
    return without(buy - sell, price.is_null())


def lee_ready(past: Past, price: pl.Series, bid: pl.Series, ask: pl.Series, **settings: Any) -> pl.Series:
    """Q9."""
    return or_tick_rule(past, called("quote_rule", [price, bid, ask], {}), price, settings)


def emo(past: Past, price: pl.Series, bid: pl.Series, ask: pl.Series, **settings: Any) -> pl.Series:
    """Q10."""
    p, b, a = alike(price, bid, ask)
    side = _side(price, _quoted(b, a, locked=False), p == a, p == b)
    return or_tick_rule(past, side, price, settings)


def clnv(past: Past, price: pl.Series, bid: pl.Series, ask: pl.Series, **settings: Any) -> pl.Series:
    """Q11."""
    p, b, a = alike(price, bid, ask)
    inside = _quoted(b, a, locked=True) & (b <= p) & (p <= a)

    def times(value: pl.Series, by: int) -> pl.Series:
        return arithmetic("*", value, by)

    ten = times(p, 10)
    buy = ten >= arithmetic("+", times(a, 7), times(b, 3))
    sell = ten <= arithmetic("+", times(a, 3), times(b, 7))
    return or_tick_rule(past, _side(price, inside, buy, sell), price, settings)


def direction(
    past: Past,
    price: pl.Series,
    bid: pl.Series,
    ask: pl.Series,
    buyer_is_maker: pl.Series | None = None,
    *,
    rule: str = "lee_ready",
    **settings: Any,
) -> pl.Series:
    """Q12."""
    if rule == "tick_rule":
        by_rule = tick_rule(past, price, **settings)
    elif rule == "quote_rule":
        by_rule = called("quote_rule", [price, bid, ask], {})
    else:
        by_rule = {"lee_ready": lee_ready, "emo": emo, "clnv": clnv}[rule](past, price, bid, ask, **settings)
    if buyer_is_maker is None:
        return by_rule.cast(pl.Int8)
    flag = 1 - 2 * buyer_is_maker.cast(pl.Int8)
    return choose(flag.is_not_null(), flag, by_rule.cast(pl.Int8))
