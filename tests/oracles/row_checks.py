"""Checks of rows that are asked for, a row at a time from lists of what came before."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

Quote = tuple[int, str, float | None, float | None]


def duplicates_slowly(rows: Sequence[tuple[str, str | None, int]], dedup_ns: int) -> list[bool]:
    """D3 of source, id and time: whether an equal id was kept within the span before."""
    kept_ns: dict[tuple[str, str], int] = {}
    wrong = []
    for source, name, now_ns in rows:
        before_ns = None if name is None else kept_ns.get((source, name))
        wrong.append(before_ns is not None and now_ns - before_ns <= dedup_ns)
        if name is not None and not wrong[-1]:
            kept_ns[source, name] = now_ns
    return wrong


def is_far_slowly(before: Sequence[float], price: float) -> bool:
    """D7, in ticks, of a price and all that came before it."""
    window = sorted(before[-60:])
    if len(window) < 10:
        return False
    cut = len(window) // 20
    rest = window[cut : len(window) - cut]
    return abs(price - fmean(rest)) >= 3.0 * stdev(rest) + 2.0


def off_quote_slowly(
    trade: tuple[int, str, float | None], quotes: Sequence[Quote], spreads: float = 1.0
) -> bool:
    """D8, in ticks, of a trade's time, symbol and price, and all quotes in order."""
    now_ns, symbol, price = trade
    own = [quote for quote in quotes if quote[0] <= now_ns and quote[1] == symbol]
    if price is None or not own:
        return False
    _, _, bid, ask = own[-1]
    if bid is None or ask is None or bid <= 0 or ask < bid:
        return False
    return not bid - spreads * (ask - bid) <= price <= ask + spreads * (ask - bid)


US_WORDS: Mapping[str, str] = {  # what the handbook's lines say: high and low, last, volume
    **dict.fromkeys("@ADEFKOX156SYLI", "yyy"),
    **dict.fromkeys("GPRZ4", "y*y"),
    **dict.fromkeys("BCHNTUVW", "nny"),
    **dict.fromkeys("MQ9", "nnn"),
}


def conditions_slowly(rows: Sequence[tuple[str, str | None, str | None]]) -> list[tuple[bool, ...]]:
    """D9 of symbol, tape and conditions: price_ok, last_ok, volume_ok, auction, extended, of the US tapes."""
    had_last: set[str] = set()
    answers: list[tuple[bool, ...]] = []
    for symbol, tape, text in rows:
        codes = set(text or "") - {" "}
        words = ["yyy" if code == "B" and tape == "C" else US_WORDS.get(code, "nnn") for code in codes]
        price, last, volume = (
            "n" if "n" in column else "*" if "*" in column else "y"
            for column in ([word[place] for word in words] for place in range(3))
        )
        last_ok = last == "y" or (last == "*" and symbol not in had_last)
        if last_ok:
            had_last.add(symbol)
        answers.append(
            (price == "y", last_ok, volume == "y", bool(codes & set("O56")), bool(codes & set("TU")))
        )
    return answers
